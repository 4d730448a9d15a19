//! Readers without a group: each sees every entry that is added after it has begun to read, in order, and none twice.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    client::{Client, Words, command, join_all, line, random_protocol},
    entries::{Entry, Id, Wait, entries, entries_by_stream},
    producer::{self, Added},
    reconnecting::Reconnecting,
};

const STREAMS: [&str; 2] = ["stream:0", "stream:1"];
const PRODUCERS: usize = 3;
/// Those who wait before anything is added, and those who come later.
const EARLY_READERS: usize = 6;
const LATE_READERS: usize = 4;
/// Who has found this in each stream may go.
const END: &str = "end";
/// Shorter than a script, longer than a round trip, and some in between.
const TIMEOUTS_MS: [usize; 5] = [1, 5, 10, 30, 80];
/// How long readers rest at most, so that several entries wait for them now and then.
const REST: usize = 15_000;

pub(crate) async fn play(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut control = Client::connect(server, "control", Protocol::Resp2).await?;
    let mut early = JoinSet::new();
    for number in 0..EARLY_READERS {
        let name = format!("reader-{number}");
        let mut reader = Reader::connect(server, name, random_protocol(random)).await?;
        reader.wait_for_news().await?;
        reader.connection.until_blocked().await?;
        early.spawn(reader.play(script(random, steps)));
    }
    let mut late = JoinSet::new();
    for number in 0..LATE_READERS {
        let name = format!("late-reader-{number}");
        let reader = Reader::connect(server, name, random_protocol(random)).await?;
        let rest = Duration::from_millis(random.below(5 * steps) as u64);
        late.spawn(reader.come_late(rest, script(random, steps)));
    }
    let mut producers = JoinSet::new();
    for number in 0..PRODUCERS {
        let name = format!("producer-{number}");
        let script = producer::script(&name, &STREAMS, random, steps);
        let client = Client::connect(server, &name, random_protocol(random)).await?;
        producers.spawn(producer::play(client, script));
    }
    let added: Vec<Added> = join_all(producers).await?.into_iter().flatten().collect();
    add_ends(&mut control).await?;
    let early = join_all(early).await?;
    let late = tokio::spawn(join_all(late));
    // Who came after the end waits for another one.
    while !late.is_finished() {
        add_ends(&mut control).await?;
        sleep(Duration::from_millis(5)).await;
    }
    let late = late.await.map_err(|error| format!("  the late readers ended: {error}"))??;
    check(&mut control, &added, &[early, late].concat()).await
}

async fn add_ends(control: &mut Client) -> Result<(), String> {
    for stream in STREAMS {
        let words = command(&["XADD", stream, "*", "payload", END]);
        let reply = control.call(&words).await?;
        Id::of(&reply).ok_or_else(|| control.complaint(&words, reply))?;
    }
    Ok(())
}

struct Step {
    rest: Duration,
    most: usize,
    timeout_ms: usize,
    /// Hangs up after some time, and waits again from where it was.
    hangs_up: bool,
}

fn script(random: &mut Random, steps: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| Step {
            rest: Duration::from_micros(random.below(REST) as u64),
            most: 1 + random.below(10),
            timeout_ms: *random.pick(&TIMEOUTS_MS),
            hangs_up: random.once_in(10),
        })
        .collect()
}

struct Reader {
    connection: Reconnecting,
    /// What each stream ended with before it came, if it came after others had begun to add.
    before: [Option<Id>; STREAMS.len()],
    seen: [Vec<Entry>; STREAMS.len()],
    missed: Vec<Missed>,
}

/// What a wait gave nothing after.
type Missed = (Wait, [Id; STREAMS.len()]);

/// What one reader saw of each stream, and what was there before it came.
#[derive(Clone)]
struct Log {
    who: String,
    before: [Option<Id>; STREAMS.len()],
    seen: [Vec<Entry>; STREAMS.len()],
    missed: Vec<Missed>,
}

impl Reader {
    async fn connect(
        server: &Arc<Running>,
        name: String,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let connection = Reconnecting::connect(server, name, protocol).await?;
        let before = [None; STREAMS.len()];
        Ok(Self { connection, before, seen: Default::default(), missed: Vec::new() })
    }

    /// Looks at what is there already, and reads what comes after it.
    async fn come_late(mut self, rest: Duration, script: Vec<Step>) -> Result<Log, String> {
        sleep(rest).await;
        for (at, stream) in STREAMS.into_iter().enumerate() {
            let words = command(&["XREVRANGE", stream, "+", "-", "COUNT", "1"]);
            let reply = self.connection.client.call(&words).await?;
            let last = entries(&reply).ok_or_else(|| self.complaint(&words, &reply))?;
            self.before[at] = Some(last.first().map_or(Id::ZERO, |entry| entry.id));
        }
        self.wait_for_news().await?;
        self.play(script).await
    }

    async fn wait_for_news(&mut self) -> Result<(), String> {
        self.connection.client.send(&[news()]).await
    }

    async fn play(mut self, script: Vec<Step>) -> Result<Log, String> {
        let reply = self.connection.client.reply(&news()).await?;
        self.note(&news(), &reply)?;
        for step in script {
            sleep(step.rest).await;
            if step.hangs_up {
                self.connection.client.send(&[self.reading(step.most, 1000)]).await?;
                sleep(step.rest).await;
                self.connection.lose().await?;
            }
            self.read(step.most, step.timeout_ms).await?;
        }
        while !self.has_seen_ends() {
            self.read(1, 0).await?;
        }
        let Self { connection, before, seen, missed } = self;
        Ok(Log { who: connection.client.name, before, seen, missed })
    }

    async fn read(&mut self, most: usize, timeout_ms: usize) -> Result<(), String> {
        let (words, last, start) = (self.reading(most, timeout_ms), self.last(), Instant::now());
        let reply = self.connection.client.call(&words).await?;
        if reply.is_null() {
            let who = format!("{}, {}", self.connection.client.name, line(&words));
            self.missed.push((Wait::new(who, start, timeout_ms), last));
        }
        self.note(&words, &reply)
    }

    fn reading(&self, most: usize, timeout_ms: usize) -> Words {
        let (most, timeout_ms) = (most.to_string(), timeout_ms.to_string());
        let options = ["XREAD", "COUNT", &most, "BLOCK", &timeout_ms, "STREAMS"];
        let ids = self.last().map(|id| id.to_string());
        command(&[&options[..], &STREAMS].concat()).into_iter().chain(ids).collect()
    }

    /// The last entry that it knows of each stream.
    fn last(&self) -> [Id; STREAMS.len()] {
        let last_seen = |at: usize| self.seen[at].last().map(|entry| entry.id);
        std::array::from_fn(|at| last_seen(at).or(self.before[at]).unwrap_or(Id::ZERO))
    }

    fn note(&mut self, words: &Words, reply: &Reply) -> Result<(), String> {
        let found = entries_by_stream(reply).ok_or_else(|| self.complaint(words, reply))?;
        for (name, entries) in found {
            let at = STREAMS.iter().position(|stream| *stream == name);
            let at = at.ok_or_else(|| self.complaint(words, reply))?;
            self.seen[at].extend(entries);
        }
        Ok(())
    }

    fn has_seen_ends(&self) -> bool {
        let is_end = |entry: &Entry| entry.payload.as_deref() == Some(END);
        self.seen.iter().all(|entries| entries.last().is_some_and(is_end))
    }

    fn complaint(&self, words: &Words, reply: &Reply) -> String {
        self.connection.client.complaint(words, reply)
    }
}

/// Waits for what comes after this moment.
fn news() -> Words {
    let [first, second] = STREAMS;
    command(&["XREAD", "BLOCK", "0", "STREAMS", first, second, "$", "$"])
}

/// Says how many entries were seen.
async fn check(control: &mut Client, added: &[Added], logs: &[Log]) -> Result<usize, String> {
    for (at, stream) in STREAMS.into_iter().enumerate() {
        let words = command(&["XRANGE", stream, "-", "+"]);
        let reply = control.call(&words).await?;
        let all = entries(&reply).ok_or_else(|| control.complaint(&words, &reply))?;
        check_stream(stream, &all, added)?;
        for log in logs {
            check_log(log, at, &all)?;
            check_waits(log, at, added)?;
        }
    }
    Ok(logs.iter().flat_map(|log| &log.seen).map(Vec::len).sum())
}

/// A stream has what was added to it, in the order of ids, and ends.
fn check_stream(stream: &str, all: &[Entry], added: &[Added]) -> Result<(), String> {
    let mut expected: Vec<&Added> = added.iter().filter(|entry| entry.stream == stream).collect();
    expected.sort_by_key(|entry| entry.id);
    let found = all.iter().filter(|entry| entry.payload.as_deref() != Some(END));
    let found: Vec<(Id, &str)> =
        found.map(|entry| (entry.id, entry.payload.as_deref().unwrap_or_default())).collect();
    let expected: Vec<(Id, &str)> =
        expected.into_iter().map(|entry| (entry.id, entry.payload.as_str())).collect();
    match found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        Some((found, expected)) => {
            Err(format!("  {stream} has {found:?} where {expected:?} was added"))
        }
        None if found.len() == expected.len() => Ok(()),
        None => Err(format!(
            "  {stream} has {} entries, and {} were added",
            found.len(),
            expected.len()
        )),
    }
}

/// A reader sees an unbroken part of a stream, which begins after what was there when it came; who came first sees it from
/// its start.
fn check_log(log: &Log, at: usize, all: &[Entry]) -> Result<(), String> {
    let (who, stream, seen) = (&log.who, STREAMS[at], &log.seen[at]);
    let first = match log.before[at] {
        None => 0,
        Some(before) => first_seen(seen, before, all).ok_or_else(|| {
            format!("  {who} saw {:?} of {stream} first, and came after {before}", seen.first())
        })?,
    };
    let expected = &all[first..];
    match seen.iter().zip(expected).position(|(seen, expected)| seen != expected) {
        None if seen.len() <= expected.len() => Ok(()),
        None => Err(format!("  {who} saw more of {stream} than there is")),
        Some(at) => Err(format!(
            "  {who} saw {:?} as number {at} of {stream}, where {:?} comes next",
            seen[at], expected[at]
        )),
    }
}

fn first_seen(seen: &[Entry], before: Id, all: &[Entry]) -> Option<usize> {
    let first = seen.first().filter(|entry| entry.id > before)?;
    all.iter().position(|entry| entry == first)
}

/// No wait gives nothing while there is something new.
fn check_waits(log: &Log, at: usize, added: &[Added]) -> Result<(), String> {
    let of_stream = || added.iter().filter(|entry| entry.stream == STREAMS[at]);
    for (wait, last) in &log.missed {
        let is_new = |entry: &&Added| entry.id > last[at] && wait.missed(entry.confirmed);
        if let Some(entry) = of_stream().find(is_new) {
            return Err(format!(
                "  {} got nothing, and {} was in {} before its time was over",
                wait.who, entry.id, entry.stream
            ));
        }
    }
    Ok(())
}
