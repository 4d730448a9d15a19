//! What a snapshot has in it.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use crate::journal::damage::Damage;
use crate::journal::payload::Restored;
use crate::journal::rdb::{self, Foreign, Item, Loaded, Version};
use crate::journal::window::Window;

/// What was found in a snapshot, up to its end or to what is wrong with it.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) version: Option<Version>,
    /// What the server that wrote it says of itself, by its own words.
    pub(super) remarks: Vec<(String, String)>,
    pub(super) databases: BTreeMap<usize, Census>,
    pub(super) libraries: u64,
    /// How many keys there should be, by its own account.
    pub(super) announced: u64,
    /// What redlet does not have: where it lies, and how the first of it is called.
    pub(super) foreign: Vec<Range<u64>>,
    first_foreign: Option<String>,
    last_key: Option<Vec<u8>>,
    has_end: bool,
    now_ms: i64,
    /// Where the end mark is, or has to be put.
    pub(super) end: u64,
}

/// The keys of one database.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) by_type: BTreeMap<&'static str, u64>,
    pub(super) volatile: u64,
    pub(super) expired: u64,
}

impl Census {
    pub(super) fn keys(&self) -> u64 {
        self.by_type.values().sum()
    }
}

const CHECKSUM_BYTES: u64 = 8;
const END_BYTES: u64 = 1;

impl Contents {
    /// Reads a snapshot through, and leaves what follows it.
    pub(super) fn survey(window: &mut Window, now_ms: i64) -> (Self, Result<(), Damage>) {
        let mut contents = Contents {
            version: None,
            remarks: Vec::new(),
            databases: BTreeMap::new(),
            libraries: 0,
            announced: 0,
            foreign: Vec::new(),
            first_foreign: None,
            last_key: None,
            has_end: false,
            now_ms,
            end: 0,
        };
        let read = rdb::survey(window, &mut |item| contents.note(item));
        contents.end = match &read {
            Ok(()) => window.offset() - END_BYTES - contents.checksum_bytes(),
            Err(damage) if contents.has_end => damage.offset - END_BYTES,
            Err(damage) => damage.offset,
        };
        let read = read.map_err(|damage| contents.behind_last_key(damage));
        let result = read.and_then(|()| contents.refuse_foreign());
        (contents, result)
    }

    fn note(&mut self, item: Item<'_>) -> Result<(), String> {
        match item {
            Item::Version(version) => self.version = Some(version),
            Item::Auxiliary(name, value) => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                self.remarks.push((text(name), text(value)));
            }
            Item::Size(size) => self.announced += size.keys as u64,
            Item::Library(_) => self.libraries += 1,
            Item::Entry(entry) => self.note_entry(&entry)?,
            Item::Foreign(foreign) => self.note_foreign(foreign),
            Item::End => self.has_end = true,
        }
        Ok(())
    }

    fn note_entry(&mut self, entry: &Loaded<'_>) -> Result<(), String> {
        let type_name = match &entry.value {
            Restored::String(_) => "string",
            Restored::List(_) => "list",
            Restored::Set(_) => "set",
            Restored::Stream(_) => "stream",
        };
        if let Restored::Set(set) = &entry.value {
            let different: HashSet<&[u8]> = set.members.iter().map(|member| &**member).collect();
            if different.len() < set.members.len() {
                return Err("the members of a set are not all different".to_owned());
            }
        }
        let census = self.databases.entry(entry.database).or_default();
        *census.by_type.entry(type_name).or_default() += 1;
        if let Some(deadline_ms) = entry.deadline_ms {
            census.volatile += 1;
            census.expired += u64::from(deadline_ms <= self.now_ms);
        }
        self.last_key = Some(entry.key.to_vec());
        Ok(())
    }

    fn note_foreign(&mut self, foreign: Foreign<'_>) {
        let Foreign { database, key, type_name, place } = foreign;
        let census = self.databases.entry(database).or_default();
        *census.by_type.entry(type_name).or_default() += 1;
        self.first_foreign.get_or_insert_with(|| {
            let key = crate::text::quoted(key);
            format!(
                "the file has a {type_name} in it, which redlet does not have, under the key {key}"
            )
        });
        self.foreign.push(place);
    }

    /// All keys in it that redlet has a type for.
    pub(super) fn keys(&self) -> u64 {
        let all: u64 = self.databases.values().map(Census::keys).sum();
        all - self.foreign.len() as u64
    }

    pub(super) fn checksum_bytes(&self) -> u64 {
        if self.version.is_some_and(Version::has_checksum) { CHECKSUM_BYTES } else { 0 }
    }

    /// Whether the server that wrote it says that commands follow it.
    pub(super) fn is_base(&self) -> bool {
        self.remarks.iter().any(|(name, value)| name == "aof-base" && value == "1")
    }

    /// Where the key is not known with which something is wrong, the one before it helps to find it.
    fn behind_last_key(&self, mut damage: Damage) -> Damage {
        let is_known = self.has_end || damage.what.contains("under the key");
        if let Some(key) = self.last_key.as_ref().filter(|_| !is_known) {
            damage.what = format!("{}, behind the key {}", damage.what, crate::text::quoted(key));
        }
        damage
    }

    fn refuse_foreign(&self) -> Result<(), Damage> {
        match (&self.first_foreign, self.foreign.first()) {
            (Some(what), Some(place)) => Err(Damage::foreign(place.start, what.clone())),
            _ => Ok(()),
        }
    }
}
