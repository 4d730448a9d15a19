//! What `${...}` stands for in a case: replies kept under a name, long texts, and times.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::text::escape;

/// The values one session has kept.
#[derive(Default)]
pub struct Variables {
    kept: HashMap<String, Vec<u8>>,
}

impl Variables {
    pub fn keep(&mut self, name: &str, value: Vec<u8>) {
        self.kept.insert(name.to_owned(), value);
    }

    /// Replaces each `${...}` of a line.
    pub fn fill_in(&self, text: &str) -> Result<String, String> {
        replace(text, |name| self.value(name))
    }

    /// Replaces each `${...}` by a digit, to check a line before anything is known.
    pub fn blank_out(text: &str) -> String {
        replace(text, |_| Ok("0".to_owned())).unwrap_or_else(|_| text.to_owned())
    }

    fn value(&self, name: &str) -> Result<String, String> {
        if let Some(value) = self.kept.get(name) {
            return Ok(escape(value));
        }
        if let Some((text, times)) = name.rsplit_once('*') {
            let times =
                times.parse().map_err(|_| format!("`{times}` in ${{{name}}} is no count"))?;
            return Ok(text.repeat(times));
        }
        moment(name).ok_or_else(|| format!("nothing was kept as ${{{name}}}"))
    }
}

/// `now+10` in seconds and `now_ms-10` in milliseconds, both since 1970.
fn moment(name: &str) -> Option<String> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let (now, offset) = match name.strip_prefix("now_ms") {
        Some(offset) => (since_1970.as_millis() as i64, offset),
        None => (since_1970.as_secs() as i64, name.strip_prefix("now")?),
    };
    let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
    Some((now + offset).to_string())
}

fn replace(text: &str, value: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let end = rest[start..].find('}').ok_or("a `${` is never closed")? + start;
        result.push_str(&rest[..start]);
        result.push_str(&value(&rest[start + 2..end])?);
        rest = &rest[end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in() {
        let mut variables = Variables::default();
        variables.keep("id", b"7".to_vec());
        assert_eq!(variables.fill_in("KILL ${id} ${x*3}").unwrap(), "KILL 7 xxx");
        assert!(variables.fill_in("${now_ms+10}").unwrap().len() >= 13);
        assert!(variables.fill_in("${other}").is_err());
    }
}
