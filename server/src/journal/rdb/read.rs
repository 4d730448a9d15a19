//! Reading a snapshot, element by element, without having all of it in memory.

use super::super::damage::Damage;
use super::super::payload::{PayloadError, Reader, Restored};
use super::super::window::Window;
use super::{ACTIVE_TIMES, FIRST_CHECKED_VERSION, MAGIC, VALKEY_MAGIC, opcode};
use crate::text::quoted;
use crate::value::stream::Stream;

/// Something that a snapshot has in it.
pub(crate) enum Item<'w> {
    Library(&'w [u8]),
    Entry(Loaded<'w>),
}

pub(crate) struct Loaded<'w> {
    pub(crate) database: usize,
    pub(crate) key: &'w [u8],
    pub(crate) value: Restored<'w>,
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) idle_s: Option<i64>,
    pub(crate) frequency: Option<u8>,
}

/// The newest versions that are read.
const NEWEST_REDIS_VERSION: u32 = 12;
const NEWEST_VALKEY_VERSION: u32 = 80;
const MAGIC_BYTES: usize = MAGIC.len() + 4;
const CHECKSUM_BYTES: usize = 8;

/// What is told of the entry that comes next, and of which database it is.
#[derive(Clone, Debug, Default)]
struct Told {
    database: usize,
    deadline_ms: Option<i64>,
    idle_s: Option<i64>,
    frequency: Option<u8>,
    active_times: Vec<u8>,
}

impl Told {
    /// The entry has come: what was told held for it alone.
    fn settle(&mut self) {
        *self = Told { database: self.database, ..Told::default() };
    }
}

enum Step {
    Read,
    End,
}

/// Why an element is not read.
enum Trouble {
    /// Bytes are missing, or are not what they should be.
    Format,
    Refused(String),
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Trouble::Refused(sentence)
    }
}

/// Who takes what is read; the error says why it cannot be taken.
pub(crate) type Visit<'v> = dyn FnMut(Item<'_>) -> Result<(), String> + 'v;

/// Reads a snapshot to its end, and leaves what follows it in the file.
pub(crate) fn read(window: &mut Window, visit: &mut Visit<'_>) -> Result<(), Damage> {
    let version = read_version(window)?;
    let mut told = Told::default();
    while let Step::Read = next(window, &mut told, visit)? {}
    if version >= FIRST_CHECKED_VERSION { check(window) } else { Ok(()) }
}

fn read_version(window: &mut Window) -> Result<u32, Damage> {
    let has_it = window.want(MAGIC_BYTES).map_err(|error| Damage::unreadable(0, &error))?;
    let offset = window.offset();
    if !has_it {
        return Err(Damage::cut(offset, "the file ends before the version of its format"));
    }
    let head = &window.rest()[..MAGIC_BYTES];
    let digits = head.strip_prefix(MAGIC).or_else(|| head.strip_prefix(VALKEY_MAGIC));
    let digits =
        digits.ok_or_else(|| Damage::at(offset, "this is not the beginning of an RDB file"))?;
    let version = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let is_known = |version: &u32| {
        (1..=NEWEST_REDIS_VERSION).contains(version) || *version == NEWEST_VALKEY_VERSION
    };
    let Some(version) = version.filter(is_known) else {
        let digits = String::from_utf8_lossy(digits).into_owned();
        return Err(Damage::at(
            offset,
            format!(
                "the file is of RDB version {digits}, and versions up to \
                 {NEWEST_REDIS_VERSION} and {NEWEST_VALKEY_VERSION} can be read"
            ),
        ));
    };
    window.consume(MAGIC_BYTES);
    Ok(version)
}

/// Reads the next element, once all of it is there.
fn next(window: &mut Window, told: &mut Told, visit: &mut Visit<'_>) -> Result<Step, Damage> {
    loop {
        let offset = window.offset();
        let mut reader = Reader::new(window.rest());
        let before = reader.remaining();
        match element(&mut reader, told, visit) {
            Ok(step) => {
                let count = before - reader.remaining();
                window.consume(count);
                return Ok(step);
            }
            Err(Trouble::Refused(sentence)) => return Err(Damage::at(offset, sentence)),
            Err(Trouble::Format) if !reader.ran_out() => {
                return Err(Damage::at(offset, "what stands here is no part of an RDB file"));
            }
            Err(Trouble::Format) if window.has_ended() => {
                return Err(Damage::cut(offset, "the file ends in the middle of something"));
            }
            Err(Trouble::Format) => {
                window.fetch().map_err(|error| Damage::unreadable(offset, &error))?;
            }
        }
    }
}

fn element(
    reader: &mut Reader<'_>,
    told: &mut Told,
    visit: &mut Visit<'_>,
) -> Result<Step, Trouble> {
    let kind = reader.byte().ok_or(Trouble::Format)?;
    match kind {
        opcode::END => return Ok(Step::End),
        opcode::SELECT => told.database = length(reader)? as usize,
        opcode::RESIZE => {
            length(reader)?;
            length(reader)?;
        }
        opcode::DEADLINE_MS => {
            told.deadline_ms = Some(i64::from_le_bytes(reader.array().ok_or(Trouble::Format)?));
        }
        opcode::DEADLINE_S => {
            let seconds = i32::from_le_bytes(reader.array().ok_or(Trouble::Format)?);
            told.deadline_ms = Some(i64::from(seconds) * 1000);
        }
        opcode::IDLE => told.idle_s = Some(length(reader)? as i64),
        opcode::FREQUENCY => told.frequency = Some(reader.byte().ok_or(Trouble::Format)?),
        opcode::AUXILIARY => auxiliary(reader, told)?,
        opcode::LIBRARY => {
            let code = reader.string().ok_or(Trouble::Format)?;
            visit(Item::Library(&code))?;
        }
        opcode::SLOT => {
            for _ in 0..3 {
                length(reader)?;
            }
        }
        opcode::EARLY_LIBRARY => {
            return Err("the file has functions in a form that was never released"
                .to_owned()
                .into());
        }
        opcode::MODULE_AUXILIARY => {
            return Err("the file has data of a module, and redlet has no modules"
                .to_owned()
                .into());
        }
        opcode::SLOT_IMPORT => {
            return Err("the file is of a cluster's node in the middle of a move"
                .to_owned()
                .into());
        }
        kind => entry(kind, reader, told, visit)?,
    }
    Ok(Step::Read)
}

fn length(reader: &mut Reader<'_>) -> Result<u64, Trouble> {
    reader.plain_length().ok_or(Trouble::Format)
}

fn auxiliary(reader: &mut Reader<'_>, told: &mut Told) -> Result<(), Trouble> {
    let name = reader.string().ok_or(Trouble::Format)?;
    let value = reader.string().ok_or(Trouble::Format)?;
    if &*name == ACTIVE_TIMES {
        told.active_times = value.into_owned();
    }
    Ok(())
}

fn entry(
    kind: u8,
    reader: &mut Reader<'_>,
    told: &mut Told,
    visit: &mut Visit<'_>,
) -> Result<(), Trouble> {
    let key = reader.string().ok_or(Trouble::Format)?;
    let refused =
        |what: String| Trouble::Refused(format!("{what}, under the key {}", quoted(&key)));
    let mut value = Restored::read(kind, reader).map_err(|error| match error {
        PayloadError::UnsupportedType(kind) => refused(format!(
            "the file has a {} in it (type {kind}), which redlet does not have",
            type_name(kind)
        )),
        _ if reader.ran_out() => Trouble::Format,
        _ => refused(format!("what should be a value of type {kind} is none")),
    })?;
    if let Restored::Stream(stream) = &mut value {
        set_active_times(stream, &told.active_times);
    }
    let Told { database, deadline_ms, idle_s, frequency, .. } = *told;
    visit(Item::Entry(Loaded { database, key: &key, value, deadline_ms, idle_s, frequency }))
        .map_err(refused)?;
    told.settle();
    Ok(())
}

/// Gives consumers the times that were told, in the order in which they were written.
fn set_active_times(stream: &mut Stream, times: &[u8]) {
    let (times, _) = times.as_chunks();
    let mut times = times.iter().map(|time| i64::from_le_bytes(*time));
    let consumers = stream.groups.iter().map(|(_, group)| group.count_consumers()).sum::<usize>();
    if times.len() == consumers {
        stream.groups.for_each_consumer(|consumer| {
            consumer.active_ms = times.next().filter(|&time_ms| time_ms != -1);
        });
    }
}

/// What the types are that redlet does not have.
const fn type_name(kind: u8) -> &'static str {
    match kind {
        3 | 5 | 12 | 17 => "sorted set",
        4 | 9 | 13 | 16 | 22..=25 => "hash",
        6 | 7 => "module's value",
        _ => "value",
    }
}

fn check(window: &mut Window) -> Result<(), Damage> {
    let offset = window.offset();
    let computed = window.checksum();
    let has_it = window.want(CHECKSUM_BYTES).map_err(|error| Damage::unreadable(offset, &error))?;
    let Some(written) = window.rest().first_chunk().filter(|_| has_it) else {
        return Err(Damage::cut(offset, "the file ends before its checksum"));
    };
    let written = u64::from_le_bytes(*written);
    // Where checksums were turned off, there is none.
    if written != 0 && written != computed {
        return Err(Damage::at(
            offset,
            format!("the checksum is {written:016x} and should be {computed:016x}"),
        ));
    }
    window.consume(CHECKSUM_BYTES);
    Ok(())
}
