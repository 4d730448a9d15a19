//! Deadlines: setting, showing and removing them.

use bitflags::bitflags;

use super::args::Word;
use super::metadata::{KeySpec, categories, flags};
use super::{Args, Command};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::Entry;
use crate::value::number::{format_integer, parse_integer};
use crate::value::string::LONGEST_INTEGER;

pub(super) const COMMANDS: &[&Command] =
    &[&EXPIRE, &PEXPIRE, &EXPIREAT, &PEXPIREAT, &TTL, &PTTL, &EXPIRETIME, &PEXPIRETIME, &PERSIST];

/// How a command gives a time: in which unit, and from now or since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    unit_ms: i64,
    is_absolute: bool,
}

impl Expiry {
    pub(super) const SECONDS: Expiry = Expiry { unit_ms: 1000, is_absolute: false };
    pub(super) const MILLISECONDS: Expiry = Expiry { unit_ms: 1, is_absolute: false };
    const UNIX_SECONDS: Expiry = Expiry { unit_ms: 1000, is_absolute: true };
    const UNIX_MILLISECONDS: Expiry = Expiry { unit_ms: 1, is_absolute: true };

    /// By the option's name, in upper case.
    pub(super) fn named(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"EX" => Self::SECONDS,
            b"PX" => Self::MILLISECONDS,
            b"EXAT" => Self::UNIX_SECONDS,
            b"PXAT" => Self::UNIX_MILLISECONDS,
            _ => return None,
        })
    }

    /// The deadline for a time that has to be positive.
    pub(super) fn deadline_ms(
        self,
        raw: &[u8],
        now_ms: i64,
        command: &'static str,
    ) -> Result<i64, Error> {
        let time = parse_integer(raw).ok_or(Error::NotInteger)?;
        if time <= 0 {
            return Err(Error::InvalidExpire(command));
        }
        self.signed_deadline_ms(time, now_ms, command)
    }

    /// The deadline for any time that can be told.
    fn signed_deadline_ms(
        self,
        time: i64,
        now_ms: i64,
        command: &'static str,
    ) -> Result<i64, Error> {
        let base_ms = if self.is_absolute { 0 } else { now_ms };
        let deadline_ms = time.checked_mul(self.unit_ms).and_then(|ms| ms.checked_add(base_ms));
        deadline_ms.ok_or(Error::InvalidExpire(command))
    }
}

const EXPIRE: Command = Command {
    name: "expire",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW update")],
    usage: "key seconds [NX | XX | GT | LT]",
    summary: "Lets a key expire after some seconds.",
    run: expire,
    ..Command::BASE
};

fn expire(call: &mut Call<'_>) -> Result<(), Error> {
    set_deadline(call, Expiry::SECONDS)
}

const PEXPIRE: Command = Command {
    name: "pexpire",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW update")],
    since: "2.6.0",
    usage: "key milliseconds [NX | XX | GT | LT]",
    summary: "Lets a key expire after some milliseconds.",
    run: pexpire,
    ..Command::BASE
};

fn pexpire(call: &mut Call<'_>) -> Result<(), Error> {
    set_deadline(call, Expiry::MILLISECONDS)
}

const EXPIREAT: Command = Command {
    name: "expireat",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW update")],
    since: "1.2.0",
    usage: "key unix-time-seconds [NX | XX | GT | LT]",
    summary: "Lets a key expire at a Unix time in seconds.",
    run: expireat,
    ..Command::BASE
};

fn expireat(call: &mut Call<'_>) -> Result<(), Error> {
    set_deadline(call, Expiry::UNIX_SECONDS)
}

const PEXPIREAT: Command = Command {
    name: "pexpireat",
    arity: -3,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW update")],
    since: "2.6.0",
    usage: "key unix-time-milliseconds [NX | XX | GT | LT]",
    summary: "Lets a key expire at a Unix time in milliseconds.",
    run: pexpireat,
    ..Command::BASE
};

fn pexpireat(call: &mut Call<'_>) -> Result<(), Error> {
    set_deadline(call, Expiry::UNIX_MILLISECONDS)
}

fn set_deadline(call: &mut Call<'_>, expiry: Expiry) -> Result<(), Error> {
    let conditions = Conditions::parse(call.args)?;
    let time = call.args.integer(2)?;
    let deadline_ms = expiry.signed_deadline_ms(time, call.now_ms(), call.row.command.name)?;
    let key = call.args.at(1);
    let present_ms = call.txn.seek(key).map(Entry::deadline_ms);
    let applies = present_ms.is_some_and(|present_ms| conditions.hold(present_ms, deadline_ms));
    if applies {
        change_deadline(call, key, Some(deadline_ms));
    }
    call.reply.flag(applies);
    Ok(())
}

/// Gives a key that is there a deadline, or takes it away. One in the past ends the key.
pub(super) fn change_deadline(call: &mut Call<'_>, key: &[u8], deadline_ms: Option<i64>) {
    let is_over = deadline_ms.is_some_and(|deadline_ms| call.txn.is_over(deadline_ms));
    let event = match deadline_ms {
        _ if is_over => "del",
        Some(_) => "expire",
        None => "persist",
    };
    if is_over {
        call.txn.remove(key);
        call.tell([&b"DEL"[..], key].into_iter());
    } else {
        call.txn.set_deadline(key, deadline_ms);
        tell_deadline(call, key, deadline_ms);
    }
    call.txn.event(EventClass::GENERIC, event, key);
}

fn tell_deadline(call: &mut Call<'_>, key: &[u8], deadline_ms: Option<i64>) {
    match deadline_ms {
        Some(deadline_ms) => {
            let mut room = [0; LONGEST_INTEGER];
            let deadline_ms = format_integer(deadline_ms, &mut room);
            call.tell([&b"PEXPIREAT"[..], key, deadline_ms].into_iter());
        }
        None => call.tell([&b"PERSIST"[..], key].into_iter()),
    }
}

bitflags! {
    /// When a deadline may be set; several may be asked for.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Conditions: u8 {
        const IF_NONE = 1;
        const IF_SOME = 1 << 1;
        const IF_LATER = 1 << 2;
        const IF_EARLIER = 1 << 3;
    }
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut parsed = Conditions::empty();
        for argument in args.from(3) {
            parsed |= match &*Word::new(argument) {
                b"NX" => Self::IF_NONE,
                b"XX" => Self::IF_SOME,
                b"GT" => Self::IF_LATER,
                b"LT" => Self::IF_EARLIER,
                _ => return Err(Error::quoting("Unsupported option ", argument, "")),
            };
        }
        let later_and_earlier = Self::IF_LATER.union(Self::IF_EARLIER);
        if parsed.contains(Self::IF_NONE) && parsed != Self::IF_NONE {
            let text = "NX and XX, GT or LT options at the same time are not compatible";
            return Err(Error::err(text));
        }
        if parsed.contains(later_and_earlier) {
            return Err(Error::err("GT and LT options at the same time are not compatible"));
        }
        Ok(parsed)
    }

    /// No deadline counts as one that never comes.
    fn hold(self, present_ms: Option<i64>, new_ms: i64) -> bool {
        let mut met = Self::empty();
        met.set(Self::IF_NONE, present_ms.is_none());
        met.set(Self::IF_SOME, present_ms.is_some());
        met.set(Self::IF_LATER, present_ms.is_some_and(|present_ms| new_ms > present_ms));
        met.set(Self::IF_EARLIER, present_ms.is_none_or(|present_ms| new_ms < present_ms));
        met.contains(self)
    }
}

const TTL: Command = Command {
    name: "ttl",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    usage: "key",
    summary: "Tells in how many seconds a key expires.",
    run: ttl,
    ..Command::BASE
};

/// -1 is a key that does not expire, -2 no key. Half a second rounds up.
fn ttl(call: &mut Call<'_>) -> Result<(), Error> {
    let now_ms = call.now_ms();
    reply_with_deadline(call, |deadline_ms| rounded_seconds(deadline_ms - now_ms))
}

const PTTL: Command = Command {
    name: "pttl",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    since: "2.6.0",
    usage: "key",
    summary: "Tells in how many milliseconds a key expires.",
    run: pttl,
    ..Command::BASE
};

fn pttl(call: &mut Call<'_>) -> Result<(), Error> {
    let now_ms = call.now_ms();
    reply_with_deadline(call, |deadline_ms| deadline_ms - now_ms)
}

const EXPIRETIME: Command = Command {
    name: "expiretime",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access")],
    since: "7.0.0",
    usage: "key",
    summary: "Tells the Unix time in seconds at which a key expires.",
    run: expiretime,
    ..Command::BASE
};

fn expiretime(call: &mut Call<'_>) -> Result<(), Error> {
    reply_with_deadline(call, rounded_seconds)
}

const PEXPIRETIME: Command = Command {
    name: "pexpiretime",
    arity: 2,
    flags: flags("readonly fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RO access")],
    since: "7.0.0",
    usage: "key",
    summary: "Tells the Unix time in milliseconds at which a key expires.",
    run: pexpiretime,
    ..Command::BASE
};

fn pexpiretime(call: &mut Call<'_>) -> Result<(), Error> {
    reply_with_deadline(call, |deadline_ms| deadline_ms)
}

/// To the nearest second, half a second upwards.
const fn rounded_seconds(time_ms: i64) -> i64 {
    time_ms / 1000 + (time_ms % 1000 >= 500) as i64
}

fn reply_with_deadline(call: &mut Call<'_>, show: impl Fn(i64) -> i64) -> Result<(), Error> {
    call.txn.ignore_usage();
    let shown = match call.txn.read(call.args.at(1)).map(Entry::deadline_ms) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline_ms)) => show(deadline_ms),
    };
    call.reply.integer(shown);
    Ok(())
}

const PERSIST: Command = Command {
    name: "persist",
    arity: 2,
    flags: flags("write fast"),
    categories: categories("keyspace"),
    keys: &[KeySpec::at(1, "RW update")],
    since: "2.2.0",
    usage: "key",
    summary: "Removes the expiration of a key.",
    run: persist,
    ..Command::BASE
};

fn persist(call: &mut Call<'_>) -> Result<(), Error> {
    let key = call.args.at(1);
    let expires = call.txn.seek(key).is_some_and(|entry| entry.deadline_ms().is_some());
    if expires {
        change_deadline(call, key, None);
    }
    call.reply.flag(expires);
    Ok(())
}
