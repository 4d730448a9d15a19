//! What a log has in it, behind the snapshot that it may begin with.

use std::collections::BTreeMap;

use crate::command::args::Span;
use crate::command::{Args, Table};
use crate::error::Error;
use crate::journal::damage::Damage;
use crate::journal::script::{Line, next_line};
use crate::journal::window::Window;

/// What was found in a log, up to its end or to what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) commands: u64,
    pub(super) by_name: BTreeMap<String, u64>,
    pub(super) transactions: u64,
    /// The last time that a remark tells, in seconds since 1970.
    pub(super) last_s: Option<i64>,
    /// Where the transaction begins that is not complete yet.
    open_at: Option<u64>,
    foreign: Option<Damage>,
}

impl Script {
    /// Reads a log through.
    pub(super) fn survey(window: &mut Window) -> (Self, Result<(), Damage>) {
        let mut script = Script::default();
        let mut result = script.read(window);
        if let (Err(damage), Some(offset)) = (&mut result, script.open_at) {
            // What is in front of it in the transaction is no whole unit either.
            if damage.offset != offset {
                damage.what = format!(
                    "{} at byte {}, inside of a transaction that is not complete",
                    damage.what, damage.offset
                );
                damage.offset = offset;
            }
        }
        let foreign = script.foreign.take();
        (script, result.and_then(|()| foreign.map_or(Ok(()), Err)))
    }

    fn read(&mut self, window: &mut Window) -> Result<(), Damage> {
        let mut spans: Vec<Span> = Vec::new();
        loop {
            let offset = window.offset();
            match next_line(window, &mut spans)? {
                Line::End => break,
                Line::Remark(count) => {
                    self.note_remark(&window.rest()[..count]);
                    window.consume(count);
                }
                Line::Command(count) => {
                    self.note(Args::new(window.rest(), &spans, &[]), offset)?;
                    window.consume(count);
                }
            }
        }
        match self.open_at {
            Some(offset) => {
                Err(Damage::cut(offset, "the file ends in the middle of a transaction"))
            }
            None => Ok(()),
        }
    }

    fn note_remark(&mut self, remark: &[u8]) {
        let digits = remark.strip_prefix(b"#TS:").unwrap_or_default().trim_ascii();
        let time_s = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        self.last_s = time_s.or(self.last_s);
    }

    fn note(&mut self, args: Args<'_>, offset: u64) -> Result<(), Damage> {
        if let Err(error) = known(args) {
            let text = String::from_utf8_lossy(&error.wire()).into_owned();
            let text = text.trim_start_matches("ERR ").trim_end();
            self.foreign.get_or_insert_with(|| Damage::foreign(offset, text));
        }
        let name = String::from_utf8_lossy(args.at(0)).to_ascii_uppercase();
        match (&*name, self.open_at) {
            ("MULTI", None) => self.open_at = Some(offset),
            ("MULTI", Some(_)) => {
                return Err(Damage::at(offset, "a transaction begins inside of another"));
            }
            ("EXEC" | "DISCARD", None) => {
                return Err(Damage::at(offset, "a transaction ends that never began"));
            }
            ("EXEC", Some(_)) => {
                self.open_at = None;
                self.transactions += 1;
            }
            ("DISCARD", Some(_)) => self.open_at = None,
            _ => {}
        }
        self.commands += 1;
        *self.by_name.entry(name).or_default() += 1;
        Ok(())
    }
}

/// Whether there is a command of this name that takes so many arguments.
fn known(args: Args<'_>) -> Result<(), Error> {
    let row = Table::get().find(args)?;
    if row.command.accepts(args.len()) { Ok(()) } else { Err(Error::WrongArity(row.name.clone())) }
}
