//! How long does something take from the client who adds it to a list or a stream to one who waits for it, and what
//! does that cost?
//!
//! The goal: no longer than with the best peer.

use std::hint;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Result;
use crate::client::{Client, encoded};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::entries::{ID, WHOLE_ID, reply_with};
use crate::figures::grouped;
use crate::listeners::{ANY_DIGIT, Listeners, Part};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};
use crate::template::{NUMBER, Template};

/// How many clients wait for one and the same list or stream.
const WAITING: [usize; 2] = [1, 1_000];

/// What the client who has been served needs to wait again before the next push, in plenty.
const REST: Duration = Duration::from_micros(20);

/// How many hand-offs go before those that count.
const WARM_UP: usize = 50;

const QUEUE: &str = "queue";
const GROUP: &str = "group";

/// How something is handed off.
struct Way {
    name: &'static str,
    /// What is sent before anybody waits, if anything is.
    preparation: &'static [&'static str],
    wait: &'static [&'static str],
    push: &'static [&'static str],
    /// What comes to whoever waits.
    message: fn() -> Vec<u8>,
}

const WAYS: [Way; 2] = [
    Way {
        name: "list",
        preparation: &[],
        wait: &["brpop", QUEUE, "0"],
        push: &["lpush", QUEUE, VALUE],
        message: || encoded(&[QUEUE, VALUE]),
    },
    Way {
        name: "stream",
        preparation: &["xgroup", "create", QUEUE, GROUP, "0", "MKSTREAM"],
        wait: &["xreadgroup", "GROUP", GROUP, "consumer", "BLOCK", "0", "STREAMS", QUEUE, ">"],
        push: &["xadd", QUEUE, ID, "item", VALUE],
        message: entry,
    },
];

/// The entry, as it comes to whoever reads the stream.
fn entry() -> Vec<u8> {
    let id = WHOLE_ID.replace(NUMBER, &ANY_DIGIT.to_string().repeat(NUMBER.len()));
    reply_with(QUEUE, &id, &["item", VALUE])
}

/// What was seen of some hand-offs.
struct Observation {
    times: Histogram<u64>,
    cpu_us: f64,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut middle = Comparison::lower_is_better("Hand-off, µs, median");
    let mut tail = Comparison::lower_is_better("Hand-off, µs, p99");
    let mut cpu = Comparison::lower_is_better("CPU time per hand-off, µs");
    contest.rounds("handoff", contest.effort.rounds, |contender| {
        for (way, waiting) in lines() {
            let observation = observe(contest, contender, way, waiting)?;
            let label = label(way, waiting);
            let quantile_us = |quantile| {
                let times = &observation.as_ref()?.times;
                Some(times.value_at_quantile(quantile) as f64 / 1e3)
            };
            middle.add_if_any(&label, contender, quantile_us(0.5));
            tail.add_if_any(&label, contender, quantile_us(0.99));
            cpu.add_if_any(&label, contender, observation.as_ref().map(|seen| seen.cpu_us));
        }
        Ok(())
    })?;
    let tables = [&middle, &tail, &cpu];
    Ok(Chapter {
        title: "Hand-off",
        method: method(contest),
        tables: tables.map(|table| table.table(&contest.contenders)).into(),
        charts: Vec::new(),
    })
}

fn lines() -> impl Iterator<Item = (&'static Way, usize)> {
    WAYS.iter().flat_map(|way| WAITING.map(|waiting| (way, waiting)))
}

fn label(way: &Way, waiting: usize) -> String {
    let clients = if waiting == 1 { "client" } else { "clients" };
    format!("{}, {} {clients} waiting", way.name, grouped(waiting as u64))
}

/// Nothing where the server does not have the commands.
fn observe(
    contest: &Contest,
    contender: &Contender,
    way: &Way,
    waiting: usize,
) -> Result<Option<Observation>> {
    let server = Server::start(contender)?;
    if !way.is_known_to(&server)? {
        return Ok(None);
    }
    Queue::open(server, way, waiting)?.observe(contest.effort.exchange).map(Some)
}

impl Way {
    fn is_known_to(&self, server: &Server) -> Result<bool> {
        let requests = [self.preparation, self.wait, self.push];
        let commands = requests.iter().filter_map(|words| words.first().copied());
        server.knows(&commands.collect::<Vec<_>>())
    }
}

/// A server, with those who wait for a list or a stream and one who adds to it.
struct Queue {
    server: Server,
    waiting: Listeners,
    pusher: Client,
    push: Template,
    /// The number of the next entry.
    next: u64,
}

impl Queue {
    fn open(server: Server, way: &Way, waiting: usize) -> Result<Self> {
        let mut pusher = server.connect()?;
        if !way.preparation.is_empty() {
            pusher.call(way.preparation)?;
        }
        let part =
            Part { request: encoded(way.wait), confirmation: Vec::new(), message: (way.message)() };
        let waiting = Listeners::join(&server, waiting, &part)?;
        Ok(Queue { server, waiting, pusher, push: Template::new(encoded(way.push)), next: 0 })
    }

    fn observe(&mut self, span: Duration) -> Result<Observation> {
        for _ in 0..WARM_UP {
            self.hand_off()?;
        }
        let mut times = Histogram::new(3)?;
        let before = self.server.cpu_time_at_rest()?;
        let began = Instant::now();
        while began.elapsed() < span {
            times.record(self.hand_off()?.as_nanos() as u64)?;
        }
        let cpu = self.server.cpu_time_at_rest()?.since(&before);
        let cpu_us = cpu.as_secs_f64() / times.len() as f64 * 1e6;
        Ok(Observation { times, cpu_us })
    }

    /// Gives the time from the push to its arrival at whoever has waited for longest, who then waits again.
    fn hand_off(&mut self) -> Result<Duration> {
        let mut push = Vec::new();
        self.push.append(self.next, &mut push);
        self.next += 1;
        let pushed = Instant::now();
        self.pusher.send(&push)?;
        let served = self.waiting.await_messages(1)?;
        let time = pushed.elapsed();
        self.pusher.await_replies(1)?;
        self.waiting.ask_again(served)?;
        rest();
        Ok(time)
    }
}

/// Lets a moment pass without sleeping, which would take longer and differ from time to time.
fn rest() {
    let began = Instant::now();
    while began.elapsed() < REST {
        hint::spin_loop();
    }
}

fn method(contest: &Contest) -> String {
    format!(
        "Clients wait for one and the same list with BRPOP, or for one and the same stream with XREADGROUP, all as \
         one consumer. Another one adds an element of 32 bytes with LPUSH, or an entry with a value of 32 bytes with \
         XADD. The time runs from there until it has come to one of those who wait. That one waits again, and {rest} \
         µs after it has asked to, the next one is added. Entries are not acknowledged. CPU time is the server's, for \
         both commands. Each figure spans {span} ms.",
        rest = REST.as_micros(),
        span = contest.effort.exchange.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_out() {
        let labels: Vec<String> = lines().map(|(way, waiting)| label(way, waiting)).collect();
        assert_eq!(labels[..2], ["list, 1 client waiting", "list, 1,000 clients waiting"]);
        assert_eq!(labels[2], "stream, 1 client waiting");
    }

    #[test]
    fn an_entry_may_have_any_id() {
        let entry = entry().escape_ascii().to_string();
        assert!(entry.contains("$15\\r\\n1############-0\\r\\n"), "{entry}");
    }
}
