//! What is pending in a group, and taking it over from another consumer.

use super::Command;
use super::metadata::{Group as CommandGroup, KeySpec, categories, flags};
use super::stream::{
    change, parse_end, parse_id, parse_start, peek, read, stream, write_entry, write_id,
};
use super::stream_groups::{tell_pending, tell_progress};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::resp::Reply;
use crate::value::number::parse_integer;
use crate::value::stream::{ConsumerNumber, Group, Id, IdRange, Log, Pending, Stream};

pub(super) const COMMANDS: &[&Command] = &[&XPENDING, &XCLAIM, &XAUTOCLAIM];

const XPENDING: Command = Command {
    name: "xpending",
    arity: -3,
    flags: flags("readonly"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RO access")],
    tips: &["nondeterministic_output"],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(log(N)+M) for N pending entries of which M are looked at",
    usage: "key group [[IDLE min-idle-time] start end count [consumer]]",
    summary: "Tells which entries of a group are pending.",
    run: xpending,
    ..Command::BASE
};

fn xpending(call: &mut Call<'_>) -> Result<(), Error> {
    let wanted = PendingWanted::parse(call)?;
    let (key, name, now_ms) = (call.args.at(1), call.args.at(2), call.now_ms());
    let entry = call.txn.read(key);
    let stream = entry.map(|entry| stream(entry.value())).transpose()?;
    let group = stream.and_then(|stream| stream.groups.get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    match wanted {
        Some(wanted) => wanted.write(group, now_ms, &mut call.reply),
        None => write_summary(group, &mut call.reply),
    }
    Ok(())
}

fn no_key_or_group(key: &[u8], name: &[u8]) -> Error {
    Error::no_group(["key '", "' or consumer group '", "'"], [key, name])
}

fn write_summary(group: &Group, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.count(group.count_pending());
    let mut pending = group.pending_in(IdRange::ALL);
    let Some((first, _)) = pending.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(reply, first);
    write_id(reply, pending.next_back().map_or(first, |(last, _)| last));
    let busy = || group.consumers().filter(|consumer| consumer.count_pending() > 0);
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_integer(consumer.count_pending() as i64);
    }
}

/// Which pending entries are to be told one by one.
struct PendingWanted<'a> {
    least_idle_ms: i64,
    range: IdRange,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingWanted<'a> {
    fn parse(call: &Call<'a>) -> Result<Option<Self>, Error> {
        let args = call.args;
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::Syntax),
        }
        let has_idle = args.at(3).eq_ignore_ascii_case(b"IDLE");
        let least_idle_ms = if has_idle { args.integer(4)? } else { 0 };
        if has_idle && args.len() < 8 {
            return Err(Error::Syntax);
        }
        let at = if has_idle { 5 } else { 3 };
        let count = usize::try_from(args.integer(at + 2)?).unwrap_or(0);
        let range = IdRange { first: parse_start(args.at(at))?, last: parse_end(args.at(at + 1))? };
        Ok(Some(PendingWanted { least_idle_ms, range, count, consumer: args.get(at + 3) }))
    }

    fn write(&self, group: &Group, now_ms: i64, reply: &mut Reply<'_>) {
        let consumer = match self.consumer.map(|name| group.find_consumer(name)) {
            Some(None) => return reply.array(0),
            Some(found) => found,
            None => None,
        };
        let (of_all, of_one) = match consumer {
            Some(consumer) => (None, Some(group.pending_with(consumer, self.range))),
            None => (Some(group.pending_in(self.range)), None),
        };
        let all = of_all.into_iter().flatten().chain(of_one.into_iter().flatten());
        let is_idle = |&(_, pending): &(Id, Pending)| {
            self.least_idle_ms <= 0 || pending.idle_ms(now_ms) >= self.least_idle_ms
        };
        let (mark, mut count) = (reply.mark(), 0);
        for (id, pending) in all.filter(is_idle).take(self.count) {
            reply.array(4);
            write_id(reply, id);
            reply.bulk(&group.consumer(pending.consumer).name);
            reply.integer(pending.idle_ms(now_ms).max(0));
            reply.integer(pending.deliveries);
            count += 1;
        }
        reply.array_at(mark, count);
    }
}

const XCLAIM: Command = Command {
    name: "xclaim",
    arity: -6,
    flags: flags("write fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW update")],
    tips: &["nondeterministic_output"],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(log(N)) for each id",
    usage: "key group consumer min-idle-time id [id ...] [IDLE milliseconds] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID last-id]",
    summary: "Has pending entries belong to another consumer.",
    run: xclaim,
    ..Command::BASE
};

fn xclaim(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name, consumer) = (call.args.at(1), call.args.at(2), call.args.at(3));
    check_group(read(call, key)?, key, name)?;
    let request = ClaimRequest::parse(call)?;
    let now_ms = call.now_ms();
    let claimed = change(call, key, |Stream { log, groups }, reply| {
        groups.change(name, |group| {
            let is_moved = request.last_id > group.last_id;
            group.last_id = group.last_id.max(request.last_id);
            let mut claim = Claim::begin(log, group, consumer, now_ms);
            let (mark, mut count) = (reply.mark(), 0);
            for &id in &request.ids {
                count += usize::from(request.claim(&mut claim, id, reply));
            }
            reply.array_at(mark, count);
            // What was claimed tells the last id, too.
            claim.done.changes = claim.done.changes.max(usize::from(is_moved));
            claim.done
        })
    });
    note_claims(call, (key, name, consumer), &claimed.unwrap_or_default());
    Ok(())
}

/// Finds out whether there is a group.
fn check_group(stream: Option<&Stream>, key: &[u8], name: &[u8]) -> Result<(), Error> {
    let is_there = stream.is_some_and(|stream| stream.groups.get(name).is_some());
    if is_there { Ok(()) } else { Err(no_key_or_group(key, name)) }
}

/// What XCLAIM is asked for.
struct ClaimRequest {
    least_idle_ms: i64,
    ids: Vec<Id>,
    delivered_ms: i64,
    deliveries: Option<i64>,
    is_forced: bool,
    only_ids: bool,
    last_id: Id,
}

impl ClaimRequest {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (args, now_ms) = (call.args, call.now_ms());
        let mut request = ClaimRequest {
            least_idle_ms: least_idle(args.at(4), "XCLAIM")?,
            ids: args.from(5).map_while(|text| parse_id(text, 0).ok()).collect(),
            delivered_ms: -1,
            deliveries: None,
            is_forced: false,
            only_ids: false,
            last_id: Id::MIN,
        };
        let first_option = 5 + request.ids.len();
        let mut options = args.options(first_option);
        while let Some(word) = options.word() {
            let quoted = args.at(args.len() - options.remaining() - 1);
            let is_followed = options.remaining() > 0;
            let mut number = |option| -> Result<i64, Error> {
                parse_integer(options.value()?).ok_or_else(|| {
                    Error::format(format_args!("Invalid {option} option argument for XCLAIM"))
                })
            };
            match &*word {
                b"FORCE" => request.is_forced = true,
                b"JUSTID" => request.only_ids = true,
                b"IDLE" if is_followed => {
                    request.delivered_ms = now_ms.wrapping_sub(number("IDLE")?);
                }
                b"TIME" if is_followed => request.delivered_ms = number("TIME")?,
                b"RETRYCOUNT" if is_followed => {
                    request.deliveries = Some(number("RETRYCOUNT")?).filter(|&count| count >= 0);
                }
                b"LASTID" if is_followed => request.last_id = parse_id(options.value()?, 0)?,
                _ => return Err(Error::quoting("Unrecognized XCLAIM option '", quoted, "'")),
            }
        }
        // What cannot be is taken for now: clients reckon with clocks of their own.
        if !(0..=now_ms).contains(&request.delivered_ms) {
            request.delivered_ms = now_ms;
        }
        Ok(request)
    }

    /// Claims an entry, if it may be claimed; whether it was.
    fn claim(&self, claim: &mut Claim<'_>, id: Id, reply: &mut Reply<'_>) -> bool {
        let before = claim.group.pending(id);
        if claim.log.get(id).is_none() {
            claim.drop_deleted(id);
            return false;
        }
        let idle_ms = before.map(|pending| pending.idle_ms(claim.now_ms));
        let is_recent =
            idle_ms.is_some_and(|idle_ms| self.least_idle_ms > 0 && idle_ms < self.least_idle_ms);
        if before.is_none() && !self.is_forced || is_recent {
            return false;
        }
        // An entry that nobody has got so far counts as delivered once.
        let once = before.map_or(1, |pending| pending.deliveries);
        let again = i64::from(!self.only_ids);
        let deliveries = self.deliveries.unwrap_or_else(|| once.wrapping_add(again));
        claim.take(id, self.delivered_ms, deliveries);
        claim.write(id, self.only_ids, reply);
        true
    }
}

fn least_idle(text: &[u8], command: &str) -> Result<i64, Error> {
    let least_idle_ms = parse_integer(text)
        .ok_or_else(|| Error::format(format_args!("Invalid min-idle-time argument for {command}")));
    Ok(least_idle_ms?.max(0))
}

/// A consumer that takes pending entries over.
struct Claim<'a> {
    log: &'a Log,
    group: &'a mut Group,
    consumer: ConsumerNumber,
    now_ms: i64,
    done: Claimed,
}

/// What claiming has changed.
#[derive(Clone, Debug, Default)]
struct Claimed {
    has_made_consumer: bool,
    changes: usize,
    /// What is pending with somebody else now, or no more.
    ids: Vec<Id>,
}

impl<'a> Claim<'a> {
    fn begin(log: &'a Log, group: &'a mut Group, consumer: &[u8], now_ms: i64) -> Self {
        let (consumer, has_made_consumer) = group.find_or_add_consumer(consumer, now_ms);
        group.consumer_mut(consumer).seen_ms = now_ms;
        let done = Claimed { has_made_consumer, ..Claimed::default() };
        Claim { log, group, consumer, now_ms, done }
    }

    /// An entry that is not there any more is not pending either.
    fn drop_deleted(&mut self, id: Id) {
        if self.group.acknowledge(id) {
            self.done.changes += 1;
            self.done.ids.push(id);
        }
    }

    fn take(&mut self, id: Id, delivered_ms: i64, deliveries: i64) {
        let consumer = self.consumer;
        self.group.assign(id, Pending { consumer, delivered_ms, deliveries });
        self.group.consumer_mut(consumer).active_ms = Some(self.now_ms);
        self.done.changes += 1;
        self.done.ids.push(id);
    }

    fn write(&self, id: Id, only_id: bool, reply: &mut Reply<'_>) {
        match self.log.get(id).filter(|_| !only_id) {
            Some(entry) => write_entry(reply, entry),
            None => write_id(reply, id),
        }
    }
}

fn note_claims(
    call: &mut Call<'_>,
    (key, name, consumer): (&[u8], &[u8], &[u8]),
    claimed: &Claimed,
) {
    if call.txn.has_log() {
        tell_claims(call, (key, name, consumer), claimed);
    }
    if claimed.has_made_consumer {
        call.txn.event(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    call.txn.count_changes(claimed.changes);
}

fn tell_claims(
    call: &mut Call<'_>,
    (key, name, consumer): (&[u8], &[u8], &[u8]),
    claimed: &Claimed,
) {
    if claimed.has_made_consumer {
        call.tell([&b"XGROUP"[..], b"CREATECONSUMER", key, name, consumer].into_iter());
    }
    tell_pending(call, key, name, &claimed.ids);
    if claimed.changes > claimed.ids.len() {
        tell_progress(call, key, name);
    }
}

const XAUTOCLAIM: Command = Command {
    name: "xautoclaim",
    arity: -6,
    flags: flags("write fast"),
    categories: categories("stream"),
    keys: &[KeySpec::at(1, "RW delete")],
    tips: &["nondeterministic_output"],
    group: CommandGroup::Stream,
    since: "6.2.0",
    complexity: "O(1) if COUNT is small",
    usage: "key group consumer min-idle-time start [COUNT count] [JUSTID]",
    summary: "Has pending entries belong to another consumer, as many as there are from an id on.",
    run: xautoclaim,
    ..Command::BASE
};

fn xautoclaim(call: &mut Call<'_>) -> Result<(), Error> {
    let (key, name, consumer) = (call.args.at(1), call.args.at(2), call.args.at(3));
    // As in Redis, this counts as a look even if the request is wrong.
    call.txn.read(key);
    let request = AutoclaimRequest::parse(call)?;
    check_group(peek(call, key)?, key, name)?;
    if request.count.saturating_mul(size_of::<Id>()) >= ADDRESSABLE {
        return Err(Error::err(
            "Insufficient memory, failed allocating transient memory, COUNT too high.",
        ));
    }
    let now_ms = call.now_ms();
    let claimed = change(call, key, |Stream { log, groups }, reply| {
        groups.change(name, |group| {
            let mut claim = Claim::begin(log, group, consumer, now_ms);
            request.perform(&mut claim, reply);
            claim.done
        })
    });
    note_claims(call, (key, name, consumer), &claimed.unwrap_or_default());
    Ok(())
}

/// The memory that a process may have at all. Redis asks for some for each entry that is wanted, and
/// is refused at the latest from here on.
const ADDRESSABLE: usize = 1 << 47;

/// What XAUTOCLAIM is asked for.
struct AutoclaimRequest {
    least_idle_ms: i64,
    start: Id,
    count: usize,
    only_ids: bool,
}

impl AutoclaimRequest {
    /// For each entry that is wanted, so many are looked at.
    const ATTEMPTS: usize = 10;
    const MOST: i64 = i64::MAX / 16;
    const USUAL: usize = 100;

    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let args = call.args;
        let mut request = AutoclaimRequest {
            least_idle_ms: least_idle(args.at(4), "XAUTOCLAIM")?,
            start: parse_start(args.at(5))?,
            count: Self::USUAL,
            only_ids: false,
        };
        let mut options = args.options(6);
        while let Some(word) = options.word() {
            match &*word {
                b"COUNT" if options.remaining() > 0 => {
                    let count = parse_integer(options.value()?);
                    let count = count.filter(|count| (1..=Self::MOST).contains(count));
                    request.count = count.ok_or(Error::err("COUNT must be > 0"))? as usize;
                }
                b"JUSTID" => request.only_ids = true,
                _ => return Err(Error::Syntax),
            }
        }
        Ok(request)
    }

    /// Claims what may be claimed, and writes it between where to go on and what was deleted.
    fn perform(&self, claim: &mut Claim<'_>, reply: &mut Reply<'_>) {
        let begin = reply.mark();
        let (mut claimed, mut deleted) = (0, Vec::new());
        let mut next = Some(self.start);
        for _ in 0..self.count.saturating_mul(Self::ATTEMPTS) {
            let Some((id, pending)) = next.and_then(|from| claim.group.next_pending(from)) else {
                break;
            };
            if claimed + deleted.len() == self.count {
                break;
            }
            next = id.next();
            if claim.log.get(id).is_none() {
                claim.drop_deleted(id);
                deleted.push(id);
            } else if self.least_idle_ms == 0 || pending.idle_ms(claim.now_ms) >= self.least_idle_ms
            {
                let again = i64::from(!self.only_ids);
                claim.take(id, claim.now_ms, pending.deliveries.wrapping_add(again));
                claim.write(id, self.only_ids, reply);
                claimed += 1;
            }
        }
        reply.array_at(begin, claimed);
        let rest = next.and_then(|from| claim.group.next_pending(from));
        reply.insert_at(begin, |reply| {
            reply.array(3);
            write_id(reply, rest.map_or(Id::MIN, |(id, _)| id));
        });
        reply.array(deleted.len());
        for id in deleted {
            write_id(reply, id);
        }
    }
}
