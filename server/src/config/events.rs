//! The classes of keyspace events, and the letters by which they are chosen.

use bitflags::bitflags;

use super::value::Reason;

bitflags! {
    /// What an event is about, and to which channels it is published.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct EventClass: u16 {
        const GENERIC = 1;
        const STRING = 1 << 1;
        const LIST = 1 << 2;
        const SET = 1 << 3;
        const HASH = 1 << 4;
        const SORTED_SET = 1 << 5;
        const EXPIRED = 1 << 6;
        const EVICTED = 1 << 7;
        const STREAM = 1 << 8;
        const MODULE = 1 << 9;
        const NEW = 1 << 10;
        /// Published to the channel of the key.
        const KEYSPACE = 1 << 11;
        /// Published to the channel of the event.
        const KEYEVENT = 1 << 12;
        const MISS = 1 << 13;
    }
}

/// In the order in which Redis prints them.
const LETTERS: [(char, EventClass); 14] = [
    ('g', EventClass::GENERIC),
    ('$', EventClass::STRING),
    ('l', EventClass::LIST),
    ('s', EventClass::SET),
    ('h', EventClass::HASH),
    ('z', EventClass::SORTED_SET),
    ('x', EventClass::EXPIRED),
    ('e', EventClass::EVICTED),
    ('t', EventClass::STREAM),
    ('d', EventClass::MODULE),
    ('n', EventClass::NEW),
    ('K', EventClass::KEYSPACE),
    ('E', EventClass::KEYEVENT),
    ('m', EventClass::MISS),
];

impl EventClass {
    /// What `A` stands for.
    const ALL: EventClass = EventClass::from_bits_retain((EventClass::MODULE.bits() << 1) - 1);

    pub(super) fn parse(word: &str) -> Result<Self, Reason> {
        let named = |letter: char| match letter {
            'A' => Some(EventClass::ALL),
            letter => LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, class)| *class),
        };
        let classes: Option<Vec<EventClass>> = word.chars().map(named).collect();
        let classes = classes.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
        Ok(classes.into_iter().fold(EventClass::empty(), EventClass::union))
    }

    pub(super) fn print(self) -> String {
        let has_all = self.contains(EventClass::ALL);
        // Redis prints the class of new keys only beside classes that are named one by one.
        let covered = if has_all { EventClass::ALL | EventClass::NEW } else { EventClass::empty() };
        let named = self.difference(covered);
        let letters = LETTERS.iter().filter(|(_, class)| named.contains(*class));
        let all = has_all.then_some('A');
        all.into_iter().chain(letters.map(|(letter, _)| *letter)).collect()
    }
}
