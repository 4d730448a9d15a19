//! What commands have done, as the commands that do it again: the contents of the log.
//!
//! A unit is what happens as one; where it has several effects, they stand between `MULTI` and `EXEC`. Effects are
//! collected while shards are held and given to the log before these are let go, so that the log has them in the order in
//! which they happened.

use crate::value::number::write_digits;
use crate::value::string::LONGEST_INTEGER;

/// What a run of requests has done, until the log gets it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Whether anybody wants to know.
    pub(crate) is_on: bool,
    bytes: Vec<u8>,
    /// Of the first effect, which is without a `SELECT`, and of the last.
    databases: Option<(usize, usize)>,
    /// Where the present unit begins, and how many effects it has.
    unit_at: usize,
    unit_count: usize,
}

/// Effects for the log.
pub(crate) struct Segment<'e> {
    pub(crate) bytes: &'e [u8],
    pub(crate) first_database: usize,
    pub(crate) last_database: usize,
}

impl Effects {
    pub(crate) const OFF: Effects =
        Effects { is_on: false, bytes: Vec::new(), databases: None, unit_at: 0, unit_count: 0 };

    /// Adds a command to the present unit.
    pub(crate) fn add<'w>(
        &mut self,
        database: usize,
        words: impl ExactSizeIterator<Item = &'w [u8]>,
    ) {
        match &mut self.databases {
            Some((_, last)) if *last != database => {
                *last = database;
                write_select(&mut self.bytes, database);
            }
            Some(_) => {}
            none => *none = Some((database, database)),
        }
        self.unit_count += 1;
        write_command(&mut self.bytes, words);
    }

    /// What follows is a unit of its own.
    pub(crate) fn end_unit(&mut self) {
        if self.unit_count > 1 {
            const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
            self.bytes.splice(self.unit_at..self.unit_at, MULTI.iter().copied());
            self.bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        }
        self.unit_at = self.bytes.len();
        self.unit_count = 0;
    }

    /// What has been collected, if anything. Units have ended.
    pub(crate) fn segment(&self) -> Option<Segment<'_>> {
        let (first_database, last_database) = self.databases?;
        Some(Segment { bytes: &self.bytes, first_database, last_database })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.databases.is_none()
    }

    /// Begins anew, and keeps room of a usual size.
    pub(crate) fn clear(&mut self) {
        const USUAL: usize = 64 * 1024;
        if self.bytes.capacity() > USUAL {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.databases = None;
        (self.unit_at, self.unit_count) = (0, 0);
    }
}

pub(crate) fn write_select(output: &mut Vec<u8>, database: usize) {
    let mut room = [0; LONGEST_INTEGER];
    let start = write_digits(database as u64, &mut room);
    write_command(output, [&b"SELECT"[..], &room[start..]].into_iter());
}

/// A remark that tells when what follows it was done.
pub(crate) fn write_time(output: &mut Vec<u8>, time_s: i64) {
    output.extend_from_slice(format!("#TS:{time_s}\r\n").as_bytes());
}

/// A command in the form in which clients send it.
pub(crate) fn write_command<'w>(
    output: &mut Vec<u8>,
    words: impl ExactSizeIterator<Item = &'w [u8]>,
) {
    write_head(output, b'*', words.len());
    for word in words {
        write_head(output, b'$', word.len());
        output.extend_from_slice(word);
        output.extend_from_slice(b"\r\n");
    }
}

fn write_head(output: &mut Vec<u8>, kind: u8, count: usize) {
    output.push(kind);
    if let Ok(digit @ 0..=9) = u8::try_from(count) {
        output.push(b'0' + digit);
    } else {
        let mut room = [0; LONGEST_INTEGER];
        let start = write_digits(count as u64, &mut room);
        output.extend_from_slice(&room[start..]);
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(effects: &mut Effects, database: usize, command: &str) {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        effects.add(database, words.into_iter());
    }

    /// The commands of a log in words, one a line.
    fn shown(bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.split("\r\n").filter(|line| !line.starts_with('$'));
        let mut shown = String::new();
        for line in lines {
            shown.push_str(if line.starts_with('*') { "\n" } else { line });
            shown.push(' ');
        }
        shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn several_effects_of_one_unit_stand_together() {
        let mut effects = Effects::default();
        add(&mut effects, 0, "SET a 1");
        effects.end_unit();
        add(&mut effects, 0, "DEL a");
        add(&mut effects, 2, "SET b 0123456789");
        effects.end_unit();
        effects.end_unit();
        add(&mut effects, 2, "DEL b");
        effects.end_unit();
        let segment = effects.segment().unwrap();
        assert_eq!((segment.first_database, segment.last_database), (0, 2));
        assert_eq!(
            shown(segment.bytes),
            "SET a 1; MULTI; DEL a; SELECT 2; SET b 0123456789; EXEC; DEL b"
        );
        assert!(segment.bytes.ends_with(b"*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"));
    }

    #[test]
    fn nothing_done_is_nothing_told() {
        let mut effects = Effects::default();
        effects.end_unit();
        assert!(effects.segment().is_none() && effects.is_empty());
    }
}
