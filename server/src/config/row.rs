//! What the table says of one parameter, and the words its rows are written in.

/// One parameter, as redis.conf, the command line and `CONFIG` know it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// A second name, of older releases mostly; `CONFIG GET *` shows both, as Redis does.
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    pub(crate) change: Change,
    pub(crate) support: Support,
    /// Numbers outside are moved to the nearer end instead of being refused.
    pub(crate) clamp: Option<(i64, i64)>,
    pub(crate) group: Group,
    pub(crate) help: &'static str,
}

/// How a value is written and read.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Flag,
    Integer {
        low: i64,
        high: i64,
    },
    Octal {
        high: i64,
    },
    /// Bytes, with the units `k kb m mb g gb`.
    Memory {
        low: i64,
    },
    /// The same for as many as 64 bits hold, stored as the number of the same bits.
    WideMemory,
    /// Bytes, or a share of `maxmemory`, which is stored as a negative number.
    MemoryOrPercent,
    /// One of these words; stored as its index.
    Choice(&'static [&'static str]),
    /// Several of these words; the first one alone means none of them. Stored as a bit mask.
    Choices(&'static [&'static str]),
    Text,
    /// The working directory, which has to exist. Empty stands for the directory of the process.
    Directory,
    Addresses,
    Percentiles,
    OomScores,
    SavePoints,
    Events,
    OutputLimits,
}

#[derive(Clone, Copy)]
pub(crate) enum Default {
    Number(i64),
    Text(&'static str),
}

/// When a value may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Anytime,
    /// By `CONFIG SET` only where `enable-protected-configs` allows it.
    Protected,
    /// Redis too reads it only at start.
    Never,
    /// Redis changes it while running, redlet reads it only at start.
    NotYet,
}

/// What redlet does with a value.
#[derive(Clone, Copy)]
pub(crate) enum Support {
    /// What the value asks for happens.
    Implemented,
    /// Every value is accepted, because no value can make a visible difference: the reason.
    NoDifference(&'static str),
    /// Other values than these are refused, with the reason.
    Only { values: &'static [&'static str], because: &'static str },
}

/// The headings of `redlet --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Network,
    Clients,
    Security,
    Keyspace,
    Memory,
    Observation,
    Durability,
    Values,
    Process,
    Absent,
}

impl Group {
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Group::Network => "Network",
            Group::Clients => "Clients and limits",
            Group::Security => "Security",
            Group::Keyspace => "Keys and expiry",
            Group::Memory => "Memory and eviction",
            Group::Observation => "Logs and observation",
            Group::Durability => "Durability",
            Group::Values => "Sizes of values",
            Group::Process => "Process",
            Group::Absent => "For what redlet does not have: read so that a redis.conf loads",
        }
    }
}

/// The largest value of Redis's C `int`, the upper end of many ranges.
pub(crate) const INT: i64 = i32::MAX as i64;
/// The largest value of Redis's C `unsigned int`.
pub(crate) const UINT: i64 = u32::MAX as i64;

pub(crate) const fn flag(name: &'static str, default: bool) -> Row {
    number(name, Kind::Flag, default as i64)
}

pub(crate) const fn integer(name: &'static str, low: i64, high: i64, default: i64) -> Row {
    number(name, Kind::Integer { low, high }, default)
}

pub(crate) const fn octal(name: &'static str, high: i64, default: i64) -> Row {
    number(name, Kind::Octal { high }, default)
}

pub(crate) const fn memory(name: &'static str, low: i64, default: i64) -> Row {
    number(name, Kind::Memory { low }, default)
}

/// A word out of `words`; `default` is its index.
pub(crate) const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: i64,
) -> Row {
    number(name, Kind::Choice(words), default)
}

/// Any of `words` together; the first one, the default, means none.
pub(crate) const fn choices(name: &'static str, words: &'static [&'static str]) -> Row {
    number(name, Kind::Choices(words), 0)
}

pub(crate) const fn text(name: &'static str, default: &'static str) -> Row {
    words(name, Kind::Text, default)
}

/// A value of a kind of its own that is stored as a number.
pub(crate) const fn number(name: &'static str, kind: Kind, default: i64) -> Row {
    Row::new(name, kind, Default::Number(default))
}

/// A value of a kind of its own that is stored as text, in the form `CONFIG GET` prints.
pub(crate) const fn words(name: &'static str, kind: Kind, default: &'static str) -> Row {
    Row::new(name, kind, Default::Text(default))
}

impl Row {
    const fn new(name: &'static str, kind: Kind, default: Default) -> Self {
        Row {
            name,
            alias: None,
            kind,
            default,
            change: Change::Anytime,
            support: Support::Implemented,
            clamp: None,
            group: Group::Process,
            help: "",
        }
    }

    pub(crate) const fn help(mut self, group: Group, help: &'static str) -> Self {
        self.group = group;
        self.help = help;
        self
    }

    pub(crate) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    pub(crate) const fn clamp(mut self, low: i64, high: i64) -> Self {
        self.clamp = Some((low, high));
        self
    }

    pub(crate) const fn no_difference(mut self, because: &'static str) -> Self {
        self.support = Support::NoDifference(because);
        self
    }

    pub(crate) const fn only(
        mut self,
        values: &'static [&'static str],
        because: &'static str,
    ) -> Self {
        self.support = Support::Only { values, because };
        self
    }

    /// Whether a client, or a file, may call it this.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }
}
