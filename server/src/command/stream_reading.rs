//! Reading streams from an id on, alone or as one of a group, and waiting for entries.

use super::Command;
use super::metadata::{Group as CommandGroup, KeySpec, categories, flags};
use super::stream::{change, parse_id, stream, write_entries, write_entry, write_id};
use super::stream_groups::{tell_pending, tell_progress};
use super::timeout::deadline_in_milliseconds;
use crate::blocking::{InVain, Wish};
use crate::command::args::{Args, Request, Word};
use crate::config::EventClass;
use crate::error::Error;
use crate::execute::Call;
use crate::keyspace::Awaited;
use crate::resp::{Mark, Protocol, Reply};
use crate::value::stream::{
    ConsumerNumber, Group, Id, IdRange, LONGEST_ID, Log, Pending, Stream, until_zero,
};

pub(super) const COMMANDS: &[&Command] = &[&XREAD, &XREADGROUP];

const XREAD: Command = Command {
    name: "xread",
    arity: -4,
    flags: flags("readonly blocking movablekeys"),
    categories: categories("stream"),
    keys: &[KeySpec::behind("STREAMS", 1, first_stream, "RO access")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(log(N)+M) for each stream of N entries of which M are returned",
    usage: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    summary: "Gets the entries behind ids in one or more streams, and waits for some if there are none.",
    run: xread,
    ..Command::BASE
};

fn xread(call: &mut Call<'_>) -> Result<(), Error> {
    let request = ReadRequest::parse(call, false)?;
    let mut places = Vec::with_capacity(request.count_keys);
    for number in 0..request.count_keys {
        places.push(place_to_read_from(call, &request, number)?);
    }
    let mut answer = Answer::begin(call);
    for (number, place) in places.iter().enumerate() {
        let key = call.args.at(request.first_key + number);
        let Some(entry) = call.txn.read(key) else {
            continue;
        };
        let log = &stream(entry.value())?.log;
        if log.top().is_some_and(|top| top > place.behind) {
            let most = if place.is_single { 1 } else { request.count };
            answer.add(&mut call.reply, key);
            write_entries(&mut call.reply, log.range(IdRange::behind(place.behind)).take(most));
        }
    }
    if !answer.end(&mut call.reply) {
        let behind: Vec<Id> = places.iter().map(|place| place.behind).collect();
        wait_or_reply_nothing(call, &request, &behind);
    }
    Ok(())
}

/// Behind which id a stream is read.
#[derive(Clone, Copy, Debug)]
struct ReadingPlace {
    behind: Id,
    /// Only the last entry is wanted.
    is_single: bool,
}

fn place_to_read_from(
    call: &mut Call<'_>,
    request: &ReadRequest<'_>,
    number: usize,
) -> Result<ReadingPlace, Error> {
    let (key, id) = request.key_and_id(call.args, number);
    let log = match call.txn.read(key) {
        Some(entry) => Some(&stream(entry.value())?.log),
        None => None,
    };
    let top = || log.and_then(Log::top).and_then(Id::previous);
    let behind = match id {
        b"$" => log.map(|log| log.history.last_id).unwrap_or_default(),
        b"+" => top().unwrap_or_default(),
        b">" => {
            return Err(Error::err(
                "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            ));
        }
        id => parse_id(id, 0)?,
    };
    Ok(ReadingPlace { behind, is_single: id == b"+" })
}

/// How long somebody waits where there is nothing to read.
#[derive(Clone, Copy, Debug)]
enum Patience {
    None,
    Until(i64),
    Endless,
}

/// The arguments of XREAD and XREADGROUP.
struct ReadRequest<'a> {
    count: usize,
    patience: Patience,
    group_and_consumer: Option<(&'a [u8], &'a [u8])>,
    is_acknowledged_at_once: bool,
    first_key: usize,
    count_keys: usize,
}

impl<'a> ReadRequest<'a> {
    fn parse(call: &Call<'a>, is_group: bool) -> Result<Self, Error> {
        let args = call.args;
        let mut request = ReadRequest {
            count: usize::MAX,
            patience: Patience::None,
            group_and_consumer: None,
            is_acknowledged_at_once: false,
            first_key: 0,
            count_keys: 0,
        };
        let mut options = args.options(1);
        while let Some(word) = options.word() {
            match &*word {
                b"BLOCK" if options.remaining() > 0 => {
                    let at = args.len() - options.remaining();
                    options.value()?;
                    let deadline_ms = deadline_in_milliseconds(call, at)?;
                    request.patience = deadline_ms.map_or(Patience::Endless, Patience::Until);
                }
                b"COUNT" if options.remaining() > 0 => {
                    let count = usize::try_from(options.integer()?).ok();
                    request.count = count.filter(|&count| count > 0).unwrap_or(usize::MAX);
                }
                b"STREAMS" if options.remaining() > 0 => {
                    request.first_key = args.len() - options.remaining();
                    request.count_keys = options.remaining() / 2;
                    if !options.remaining().is_multiple_of(2) {
                        return Err(unbalanced(is_group));
                    }
                    break;
                }
                b"GROUP" if options.remaining() > 1 => {
                    only_for_groups("GROUP", is_group)?;
                    request.group_and_consumer = Some((options.value()?, options.value()?));
                }
                b"NOACK" => {
                    only_for_groups("NOACK", is_group)?;
                    request.is_acknowledged_at_once = true;
                }
                _ => return Err(Error::Syntax),
            }
        }
        if request.first_key == 0 {
            return Err(Error::Syntax);
        }
        debug_assert_eq!(first_stream(args), Some(request.first_key), "these keys are held");
        Ok(request)
    }

    fn key_and_id<'c>(&self, args: Args<'c>, number: usize) -> (&'c [u8], &'c [u8]) {
        let at = self.first_key + number;
        (args.at(at), until_zero(args.at(at + self.count_keys)))
    }
}

fn unbalanced(is_group: bool) -> Error {
    Error::err(if is_group {
        "Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    } else {
        "Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
    })
}

fn only_for_groups(option: &str, is_group: bool) -> Result<(), Error> {
    if is_group {
        return Ok(());
    }
    Err(Error::format(format_args!(
        "The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

/// The place of the first key, found as the options are read: a group may have the name of an option.
fn first_stream(args: Args<'_>) -> Option<usize> {
    let mut at = 1;
    loop {
        match &*Word::new(args.get(at)?) {
            b"BLOCK" | b"COUNT" => at += 2,
            b"GROUP" => at += 3,
            b"NOACK" => at += 1,
            b"STREAMS" => return Some(at + 1),
            _ => return None,
        }
    }
}

/// A reply of several streams, of which it is not known yet how many they are.
struct Answer {
    mark: Mark,
    streams: usize,
}

impl Answer {
    fn begin(call: &Call<'_>) -> Self {
        Answer { mark: call.reply.mark(), streams: 0 }
    }

    /// The entries of a stream follow.
    fn add(&mut self, reply: &mut Reply<'_>, key: &[u8]) {
        self.streams += 1;
        if reply.protocol() == Protocol::Resp2 {
            reply.array(2);
        }
        reply.bulk(key);
    }

    /// Whether there was anything.
    fn end(self, reply: &mut Reply<'_>) -> bool {
        if self.streams > 0 {
            match reply.protocol() {
                Protocol::Resp2 => reply.array_at(self.mark, self.streams),
                Protocol::Resp3 => reply.map_at(self.mark, self.streams),
            }
        }
        self.streams > 0
    }
}

/// Has the client wait if it wants to. What was last when it asked stays so while it waits.
fn wait_or_reply_nothing(call: &mut Call<'_>, request: &ReadRequest<'_>, behind: &[Id]) {
    let deadline_ms = match request.patience {
        Patience::None => return call.reply.null_array(),
        Patience::Until(deadline_ms) => Some(deadline_ms),
        Patience::Endless => None,
    };
    let first_id = request.first_key + request.count_keys;
    let is_last = |at: usize| at >= first_id && until_zero(call.args.at(at)) == b"$";
    let rewritten = (first_id..call.args.len()).any(is_last).then(|| {
        let mut rewritten = Request::default();
        for (at, argument) in call.args.iter().enumerate() {
            if is_last(at) {
                rewritten.push(behind[at - first_id].format(&mut [0; LONGEST_ID]));
            } else {
                rewritten.push(argument);
            }
        }
        rewritten
    });
    call.wait(Wish {
        first: request.first_key,
        count: request.count_keys,
        awaited: Awaited { kind: "stream", minds_loss: request.group_and_consumer.is_some() },
        rewritten,
        deadline_ms,
        in_vain: InVain::Nothing,
    });
}

const XREADGROUP: Command = Command {
    name: "xreadgroup",
    arity: -7,
    flags: flags("write blocking movablekeys"),
    categories: categories("stream"),
    keys: &[KeySpec::behind("STREAMS", 4, first_stream, "RO access")],
    group: CommandGroup::Stream,
    since: "5.0.0",
    complexity: "O(log(N)+M) for each stream of N entries of which M are returned",
    usage: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
    summary: "Gets entries that a group has not read yet, or those pending with a consumer, and waits for some if there are none.",
    run: xreadgroup,
    ..Command::BASE
};

fn xreadgroup(call: &mut Call<'_>) -> Result<(), Error> {
    let request = ReadRequest::parse(call, true)?;
    let Some((group, consumer)) = request.group_and_consumer else {
        return Err(Error::err("Missing GROUP option for XREADGROUP"));
    };
    let mut sources = Vec::with_capacity(request.count_keys);
    for number in 0..request.count_keys {
        sources.push(group_source(call, &request, group, number)?);
    }
    let mut answer = Answer::begin(call);
    for (number, &source) in sources.iter().enumerate() {
        let key = call.args.at(request.first_key + number);
        // Redis looks it up once more, and counts that.
        call.txn.read(key);
        let delivery = Delivery { request: &request, key, source, now_ms: call.now_ms() };
        let done = change(call, key, |stream, reply| {
            delivery.perform(stream, (group, consumer), &mut answer, reply)
        });
        note_reading(call, key, &done);
        if call.txn.has_log() {
            tell_reading(call, key, (group, consumer), &done);
        }
    }
    if !answer.end(&mut call.reply) {
        wait_or_reply_nothing(call, &request, &[]);
    }
    Ok(())
}

/// What a consumer reads.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// What nobody of the group has read.
    New,
    /// What is pending with it behind an id.
    History(Id),
}

fn group_source(
    call: &mut Call<'_>,
    request: &ReadRequest<'_>,
    group: &[u8],
    number: usize,
) -> Result<Source, Error> {
    let (key, id) = request.key_and_id(call.args, number);
    let found = match call.txn.read(key) {
        Some(entry) => stream(entry.value())?.groups.get(group),
        None => None,
    };
    if found.is_none() {
        return Err(no_group_to_read(key, group));
    }
    match id {
        b">" => Ok(Source::New),
        b"$" | b"+" => Err(Error::format(format_args!(
            "The {sign} ID is meaningless in the context of XREADGROUP: you want to read the \
             history of this consumer by specifying a proper ID, or use the > ID to get new \
             messages. The {sign} ID would just return an empty result set.",
            sign = char::from(id[0])
        ))),
        id => Ok(match parse_id(id, 0)? {
            // Redis keeps `>` as this one.
            Id::MAX => Source::New,
            id => Source::History(id),
        }),
    }
}

fn no_group_to_read(key: &[u8], group: &[u8]) -> Error {
    let after = "' in XREADGROUP with GROUP option";
    Error::no_group(["key '", "' or consumer group '", after], [key, group])
}

/// One stream that is read for a consumer.
struct Delivery<'a> {
    request: &'a ReadRequest<'a>,
    key: &'a [u8],
    source: Source,
    now_ms: i64,
}

/// What reading has changed.
#[derive(Clone, Debug, Default)]
struct Delivered {
    has_made_consumer: bool,
    /// What is new to the group, not what is read once more.
    has_news: bool,
    /// What is pending since.
    ids: Vec<Id>,
}

impl Delivery<'_> {
    fn perform(
        &self,
        stream: &mut Stream,
        (group, consumer): (&[u8], &[u8]),
        answer: &mut Answer,
        reply: &mut Reply<'_>,
    ) -> Delivered {
        let Stream { log, groups } = stream;
        let done = groups.change(group, |group| {
            let (number, has_made_consumer) = group.find_or_add_consumer(consumer, self.now_ms);
            group.consumer_mut(number).seen_ms = self.now_ms;
            let mut ids = Vec::new();
            let has_something = match self.source {
                Source::History(_) => true,
                Source::New => log.top().is_some_and(|top| top > group.last_id),
            };
            if has_something {
                answer.add(reply, self.key);
                match self.source {
                    Source::History(behind) => self.repeat(log, group, number, behind, reply),
                    Source::New => ids = self.deliver(log, group, number, reply),
                }
            }
            let has_news = has_something && matches!(self.source, Source::New);
            Delivered { has_made_consumer, has_news, ids }
        });
        done.unwrap_or_default()
    }

    /// Delivers what is new to the group; what is pending since.
    fn deliver(
        &self,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerNumber,
        reply: &mut Reply<'_>,
    ) -> Vec<Id> {
        let (mark, mut count, mut ids) = (reply.mark(), 0, Vec::new());
        for entry in log.range(IdRange::behind(group.last_id)).take(self.request.count) {
            group.note_read(log, entry.id);
            if !self.request.is_acknowledged_at_once {
                let pending = Pending { consumer, delivered_ms: self.now_ms, deliveries: 1 };
                group.assign(entry.id, pending);
                ids.push(entry.id);
            }
            write_entry(reply, entry);
            count += 1;
        }
        if count > 0 && !self.request.is_acknowledged_at_once {
            group.consumer_mut(consumer).active_ms = Some(self.now_ms);
        }
        reply.array_at(mark, count);
        ids
    }

    /// Delivers once more what is pending with the consumer.
    fn repeat(
        &self,
        log: &Log,
        group: &mut Group,
        consumer: ConsumerNumber,
        behind: Id,
        reply: &mut Reply<'_>,
    ) {
        let pending = group.pending_with(consumer, IdRange::behind(behind));
        let ids: Vec<Id> = pending.take(self.request.count).map(|(id, _)| id).collect();
        reply.array(ids.len());
        for id in ids {
            if let Some(entry) = log.get(id) {
                write_entry(reply, entry);
                group.note_delivery(id, self.now_ms);
            } else {
                reply.array(2);
                write_id(reply, id);
                reply.null_array();
            }
        }
    }
}

/// Tells what was delivered to whom, and how far the group has come by it.
fn tell_reading(
    call: &mut Call<'_>,
    key: &[u8],
    (group, consumer): (&[u8], &[u8]),
    delivered: &Delivered,
) {
    // Who gets something is made by that.
    if delivered.has_made_consumer && delivered.ids.is_empty() {
        call.tell([&b"XGROUP"[..], b"CREATECONSUMER", key, group, consumer].into_iter());
    }
    if delivered.has_news {
        tell_pending(call, key, group, &delivered.ids);
        tell_progress(call, key, group);
    }
}

fn note_reading(call: &mut Call<'_>, key: &[u8], delivered: &Delivered) {
    if delivered.has_made_consumer {
        call.txn.event(EventClass::STREAM, "xgroup-createconsumer", key);
    }
    if delivered.has_news {
        call.txn.count_changes(1);
    }
}
