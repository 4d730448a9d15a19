//! Data of several types, for those who save and load it: most keys are strings, and there are some lists, sets and
//! streams.

use crate::Result;
use crate::client::{Client, encoded};
use crate::entries;
use crate::filling::{self, send_all};
use crate::rows::VALUE;
use crate::template::{NUMBER, Template};

/// For so many strings there is one key of each other type.
const STRINGS_PER_OTHER: u64 = 500;

/// How many elements or entries those have.
pub(crate) const ELEMENTS: u64 = 50;

/// Commands that make a list, a set of strings and a set of integers.
const COLLECTIONS: [(&str, &str, Element); 3] = [
    ("RPUSH", "list", Element::String),
    ("SADD", "set", Element::String),
    ("SADD", "integers", Element::Integer),
];

#[derive(Clone, Copy)]
enum Element {
    String,
    Integer,
}

/// How many keys of each other type there are besides so many strings.
pub(crate) fn others(strings: u64) -> u64 {
    strings / STRINGS_PER_OTHER
}

/// How many keys there are in all.
pub(crate) fn size(strings: u64) -> u64 {
    strings + others(strings) * (COLLECTIONS.len() as u64 + 1)
}

/// Brings so many strings and all that belongs to them into a server.
pub(crate) fn fill(client: &mut Client, strings: u64) -> Result<()> {
    filling::fill(client, 0..strings, &[VALUE])?;
    for (command, name, element) in COLLECTIONS {
        send_all(client, &addition(command, name, element), 0..others(strings))?;
    }
    for number in 0..others(strings) {
        entries::fill(client, &format!("stream:{number:09}"), 0..ELEMENTS)?;
    }
    Ok(())
}

/// The command that makes a key of that name with all its elements.
fn addition(command: &str, name: &str, element: Element) -> Template {
    let elements = (0..ELEMENTS).map(|number| element.with(number));
    let words: Vec<String> =
        [command.to_owned(), format!("{name}:{NUMBER}")].into_iter().chain(elements).collect();
    Template::new(encoded(&words.iter().map(String::as_str).collect::<Vec<_>>()))
}

impl Element {
    /// Strings have 16 bytes, and no two keys have one in common.
    fn with(self, number: u64) -> String {
        match self {
            Element::String => format!("{number:03}:{NUMBER}"),
            Element::Integer => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_part() {
        assert_eq!(size(1_000), 1_000 + 4 * 2);
        assert_eq!(size(1_000_000), 1_008_000);
    }

    #[test]
    fn a_command_makes_a_whole_key() {
        let mut request = Vec::new();
        addition("RPUSH", "list", Element::String).append(7, &mut request);
        let text = request.escape_ascii().to_string();
        assert!(
            text.starts_with("*52\\r\\n$5\\r\\nRPUSH\\r\\n$17\\r\\nlist:000000000007\\r\\n"),
            "{text}"
        );
        assert!(text.ends_with("$16\\r\\n049:000000000007\\r\\n"), "{text}");
    }
}
