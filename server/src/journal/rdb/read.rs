//! Reading a snapshot, element by element, without having all of it in memory.

use std::borrow::Cow;
use std::ops::Range;

use super::super::damage::Damage;
use super::super::foreign;
use super::super::payload::{PayloadError, Reader, Restored};
use super::super::window::Window;
use super::{ACTIVE_TIMES, FIRST_CHECKED_VERSION, MAGIC, Size, VALKEY_MAGIC, opcode};
use crate::text::quoted;
use crate::value::stream::Stream;

/// Something that a snapshot has in it.
pub(crate) enum Item<'w> {
    Version(Version),
    Auxiliary(&'w [u8], &'w [u8]),
    Size(Size),
    Library(&'w [u8]),
    Entry(Loaded<'w>),
    /// An entry of a type that redlet does not have.
    Foreign(Foreign<'w>),
    /// What comes now is the checksum, if the version has one.
    End,
}

/// Which version of the format a snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) is_valkey: bool,
}

impl Version {
    pub(crate) const fn has_checksum(self) -> bool {
        self.number >= FIRST_CHECKED_VERSION
    }
}

pub(crate) struct Foreign<'w> {
    pub(crate) database: usize,
    pub(crate) key: &'w [u8],
    pub(crate) type_name: &'static str,
    /// Where it begins and ends, with all that is told of it.
    pub(crate) place: Range<u64>,
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
    /// Where that begins.
    begins_at: Option<u64>,
}

impl Told {
    /// The entry has come: what was told held for it alone.
    fn settle(&mut self) {
        *self = Told { database: self.database, ..Told::default() };
    }
}

enum Step<'w> {
    /// Something of its own.
    Read,
    /// Something that is told of the entry that follows.
    Told,
    /// A value of a type of which redlet knows only where it ends, and its key.
    Passed(u8, Cow<'w, [u8]>),
    End,
}

/// Why an element is not read.
enum Trouble {
    /// Bytes are missing, or are not what they should be.
    Format,
    Refused(String),
    Foreign(String),
}

/// What becomes of entries of types that redlet does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreigners {
    Refused,
    /// As far as it is known where they end.
    Passed,
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Trouble::Refused(sentence)
    }
}

/// Who takes what is read; the error says why it cannot be taken.
pub(crate) type Visit<'v> = dyn FnMut(Item<'_>) -> Result<(), String> + 'v;

/// Reads a snapshot to its end, and leaves what follows it in the file. Where it has something that redlet does not have,
/// it is refused.
pub(crate) fn read(window: &mut Window, visit: &mut Visit<'_>) -> Result<(), Damage> {
    read_with(window, Foreigners::Refused, visit)
}

/// The same, and passes over entries of types that redlet does not have.
pub(crate) fn survey(window: &mut Window, visit: &mut Visit<'_>) -> Result<(), Damage> {
    read_with(window, Foreigners::Passed, visit)
}

fn read_with(
    window: &mut Window,
    foreigners: Foreigners,
    visit: &mut Visit<'_>,
) -> Result<(), Damage> {
    let version = read_version(window)?;
    visit(Item::Version(version)).map_err(|sentence| Damage::at(0, sentence))?;
    let mut pass = Pass { version, foreigners, told: Told::default() };
    while pass.next(window, visit)? {}
    visit(Item::End).map_err(|sentence| Damage::at(window.offset(), sentence))?;
    if version.has_checksum() { check(window) } else { Ok(()) }
}

fn read_version(window: &mut Window) -> Result<Version, Damage> {
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
        return Err(Damage::foreign(
            offset,
            format!(
                "Can't handle RDB format version {digits}, only those up to {NEWEST_REDIS_VERSION}, and \
                 {NEWEST_VALKEY_VERSION}"
            ),
        ));
    };
    window.consume(MAGIC_BYTES);
    Ok(Version { number: version, is_valkey: version == NEWEST_VALKEY_VERSION })
}

/// How far a snapshot has been read.
struct Pass {
    version: Version,
    foreigners: Foreigners,
    told: Told,
}

impl Pass {
    /// Reads the next element, once all of it is there; whether there are more.
    fn next(&mut self, window: &mut Window, visit: &mut Visit<'_>) -> Result<bool, Damage> {
        loop {
            let at = window.offset();
            // What is wrong with an entry begins with what is told of it.
            let offset = self.told.begins_at.unwrap_or(at);
            let mut reader = Reader::new(window.rest());
            let before = reader.remaining();
            match self.element(&mut reader, visit) {
                Ok(step) => {
                    let count = before - reader.remaining();
                    let has_more = self.settle(step, offset..at + count as u64, visit)?;
                    window.consume(count);
                    return Ok(has_more);
                }
                Err(Trouble::Refused(sentence)) => return Err(Damage::at(offset, sentence)),
                Err(Trouble::Foreign(sentence)) => return Err(Damage::foreign(offset, sentence)),
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

    /// Something has been read that lies there; whether there is more.
    fn settle(
        &mut self,
        step: Step<'_>,
        place: Range<u64>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, Damage> {
        match step {
            Step::Read => {}
            Step::Told => self.told.begins_at = Some(place.start),
            Step::Passed(kind, key) => {
                let (database, offset) = (self.told.database, place.start);
                let foreign = Foreign { database, key: &key, type_name: type_name(kind), place };
                visit(Item::Foreign(foreign))
                    .map_err(|sentence| Damage::foreign(offset, sentence))?;
                self.told.settle();
            }
            Step::End => return Ok(false),
        }
        Ok(true)
    }

    fn element<'w>(
        &mut self,
        reader: &mut Reader<'w>,
        visit: &mut Visit<'_>,
    ) -> Result<Step<'w>, Trouble> {
        let told = &mut self.told;
        let kind = reader.byte().ok_or(Trouble::Format)?;
        match kind {
            opcode::END => return Ok(Step::End),
            opcode::SELECT => told.database = length(reader)? as usize,
            opcode::RESIZE => {
                let (keys, volatile) = (length(reader)? as usize, length(reader)? as usize);
                visit(Item::Size(Size { database: told.database, keys, volatile }))?;
            }
            opcode::DEADLINE_MS => {
                told.deadline_ms = Some(i64::from_le_bytes(reader.array().ok_or(Trouble::Format)?));
                return Ok(Step::Told);
            }
            opcode::DEADLINE_S => {
                let seconds = i32::from_le_bytes(reader.array().ok_or(Trouble::Format)?);
                told.deadline_ms = Some(i64::from(seconds) * 1000);
                return Ok(Step::Told);
            }
            opcode::IDLE => {
                told.idle_s = Some(length(reader)? as i64);
                return Ok(Step::Told);
            }
            opcode::FREQUENCY => {
                told.frequency = Some(reader.byte().ok_or(Trouble::Format)?);
                return Ok(Step::Told);
            }
            opcode::AUXILIARY => return auxiliary(reader, told, visit),
            opcode::LIBRARY => {
                let code = reader.string().ok_or(Trouble::Format)?;
                visit(Item::Library(&code))?;
            }
            opcode::SLOT => {
                for _ in 0..3 {
                    length(reader)?;
                }
            }
            opcode::EARLY_LIBRARY | opcode::MODULE_AUXILIARY | opcode::SLOT_IMPORT => {
                return Err(Trouble::Foreign(unknown(kind).to_owned()));
            }
            kind => return self.entry(kind, reader, visit),
        }
        Ok(Step::Read)
    }

    fn entry<'w>(
        &mut self,
        kind: u8,
        reader: &mut Reader<'w>,
        visit: &mut Visit<'_>,
    ) -> Result<Step<'w>, Trouble> {
        let key = reader.string().ok_or(Trouble::Format)?;
        let named = |what: String| format!("{what}, under the key {}", quoted(&key));
        let mut value = match Restored::read(kind, reader) {
            Ok(value) => value,
            Err(PayloadError::UnsupportedType(_)) if self.passes(kind) => {
                foreign::pass_over(kind, self.version, reader).ok_or(Trouble::Format)?;
                return Ok(Step::Passed(kind, key));
            }
            Err(PayloadError::UnsupportedType(_)) => {
                return Err(Trouble::Foreign(named(format!(
                    "the file has a {} in it (type {kind}), which redlet does not have",
                    type_name(kind)
                ))));
            }
            Err(_) if reader.ran_out() => return Err(Trouble::Format),
            Err(_) => {
                let what = format!("what should be a value of type {kind} is none");
                return Err(Trouble::Refused(named(what)));
            }
        };
        let told = &mut self.told;
        if let Restored::Stream(stream) = &mut value {
            set_active_times(stream, &told.active_times);
        }
        let Told { database, deadline_ms, idle_s, frequency, .. } = *told;
        visit(Item::Entry(Loaded { database, key: &key, value, deadline_ms, idle_s, frequency }))
            .map_err(|what| Trouble::Refused(named(what)))?;
        told.settle();
        Ok(Step::Read)
    }

    /// Whether values of this type are passed over.
    fn passes(&self, kind: u8) -> bool {
        self.foreigners == Foreigners::Passed && foreign::is_known(kind)
    }
}

/// What is not read because nobody here could do anything with it.
const fn unknown(kind: u8) -> &'static str {
    match kind {
        opcode::EARLY_LIBRARY => "the file has functions in a form that was never released",
        opcode::MODULE_AUXILIARY => "the file has data of a module, and redlet has no modules",
        _ => "the file is of a cluster's node in the middle of a move",
    }
}

fn length(reader: &mut Reader<'_>) -> Result<u64, Trouble> {
    reader.plain_length().ok_or(Trouble::Format)
}

fn auxiliary<'w>(
    reader: &mut Reader<'_>,
    told: &mut Told,
    visit: &mut Visit<'_>,
) -> Result<Step<'w>, Trouble> {
    let name = reader.string().ok_or(Trouble::Format)?;
    let value = reader.string().ok_or(Trouble::Format)?;
    if &*name == ACTIVE_TIMES {
        told.active_times = value.into_owned();
        return Ok(Step::Told);
    }
    visit(Item::Auxiliary(&name, &value))?;
    Ok(Step::Read)
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
            format!("RDB CRC error: the checksum is {written:016x} and should be {computed:016x}"),
        ));
    }
    window.consume(CHECKSUM_BYTES);
    Ok(())
}
