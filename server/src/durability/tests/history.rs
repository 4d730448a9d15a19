//! What there was after each step, and what of it has to be there whatever happens.

use crate::engine::Engine;
use crate::journal::rdb::{Chunk, Form, Piece};
use crate::keyspace::Entry;
use crate::value::ValueRef;
use crate::value::string::LONGEST_INTEGER;

/// What expires before this time does so while steps are done: whether it is there is not looked at.
const HORIZON_MS: i64 = 1_701_000_000_000;

/// Everything that a server has, in a form that does not depend on how it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Everything(Vec<String>);

impl Everything {
    pub(super) fn of(engine: &Engine) -> Self {
        let libraries = engine.scripts.library_codes();
        let mut lines: Vec<String> =
            libraries.iter().map(|code| code.escape_ascii().to_string()).collect();
        engine.with_all(|txn| {
            for database in 0..engine.keyspace.databases() {
                txn.select(database);
                txn.for_each(|entry| {
                    if entry.deadline_ms().is_none_or(|deadline_ms| deadline_ms > HORIZON_MS) {
                        lines.push(told(database, entry));
                    }
                });
            }
        });
        lines.sort_unstable();
        Everything(lines)
    }

    fn differences(&self, found: &Self) -> String {
        let missing = self.0.iter().filter(|line| !found.0.contains(line));
        let foreign = found.0.iter().filter(|line| !self.0.contains(line));
        let shown = |line: &String| line.chars().take(300).collect::<String>();
        format!(
            "missing: {:?}, foreign: {:?}",
            missing.map(shown).collect::<Vec<_>>(),
            foreign.map(shown).collect::<Vec<_>>()
        )
    }
}

fn told(database: usize, entry: Entry<'_>) -> String {
    if let ValueRef::Set(set) = entry.value() {
        let mut room = [0; LONGEST_INTEGER];
        let members = set.iter().map(|member| member.bytes(&mut room).escape_ascii().to_string());
        let mut members: Vec<String> = members.collect();
        members.sort_unstable();
        let (key, deadline_ms) = (entry.key().escape_ascii(), entry.deadline_ms());
        return format!("{database} {key} {deadline_ms:?} {}", members.join(" "));
    }
    let mut chunk = Chunk::new(Form::Commands);
    chunk.add(database, entry);
    let told = chunk.into_pieces().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Large(_) => panic!("nothing is large that is written down at once"),
    });
    told.flatten().collect::<Vec<u8>>().escape_ascii().to_string()
}

/// A state, and how many calls of the disk there had been when the step that led to it began.
#[derive(Debug)]
struct Point {
    everything: Everything,
    calls: usize,
}

/// Who has survived what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    PowerLoss,
}

/// From so many calls on, at least this much has to be there.
#[derive(Clone, Copy, Debug)]
struct Promise {
    calls: usize,
    index: usize,
    /// Whether it is there without power, too.
    is_lasting: bool,
}

#[derive(Debug, Default)]
pub(super) struct History {
    points: Vec<Point>,
    promises: Vec<Promise>,
}

impl History {
    pub(super) fn begin(everything: Everything) -> Self {
        let points = vec![Point { everything, calls: 0 }];
        History { points, promises: vec![Promise { calls: 0, index: 0, is_lasting: true }] }
    }

    pub(super) fn last(&self) -> usize {
        self.points.len() - 1
    }

    /// A step that began after so many calls has led here.
    pub(super) fn add(&mut self, everything: Everything, calls: usize) {
        self.points.push(Point { everything, calls });
    }

    pub(super) fn promise(&mut self, index: usize, calls: usize, is_lasting: bool) {
        self.promises.push(Promise { calls, index, is_lasting });
    }

    /// Whether what is found after the end that came after so many calls is what it may be; if not, why.
    pub(super) fn check(&self, found: &Everything, end: End, calls: usize) -> Result<(), String> {
        let holds =
            |promise: &&Promise| promise.calls <= calls && (promise.is_lasting || end == End::Kill);
        let least = self.promises.iter().filter(holds).map(|promise| promise.index).max();
        let least = least.expect("nothing is promised from the beginning");
        let possible = self.points.iter().enumerate().filter(|(_, point)| point.calls <= calls);
        let mut same = possible.filter(|(_, point)| point.everything == *found);
        if same.any(|(index, _)| index >= least) {
            return Ok(());
        }
        let earlier = self.points.iter().position(|point| point.everything == *found);
        Err(match earlier {
            Some(index) => {
                format!("it is as after step {index} of {}; promised was {least}", self.last())
            }
            None => format!(
                "it was never so; {}",
                self.points[self.last()].everything.differences(found)
            ),
        })
    }
}
