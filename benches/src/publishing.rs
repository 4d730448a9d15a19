//! What does a message cost the server, for each of those who get it?

use std::time::{Duration, Instant};

use crate::Result;
use crate::benchmark::{CLIENTS, Load};
use crate::chart::{Chart, Shape};
use crate::client::{Client, encoded};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::listeners::{Listeners, Part};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

/// How many messages are sent at once.
const DEPTHS: [usize; 2] = [1, 16];

/// The deepest pipeline, for which the size of a load is meant.
const DEEPEST: usize = DEPTHS[DEPTHS.len() - 1];

/// How many pipelines go before those that count.
const WARM_UP: usize = 4;

const CHANNEL: &str = "channel";
const PATTERN: &str = "chan*";
const PUBLISH: &[&str] = &["publish", CHANNEL, VALUE];

/// Some who are subscribed to the same.
struct Audience {
    label: &'static str,
    count: usize,
    request: [&'static str; 2],
    confirmation: &'static str,
    message: &'static [&'static str],
}

const NOBODY: &str = "nobody";

const SUBSCRIBERS: Audience = Audience {
    label: "100 subscribers",
    count: 100,
    request: ["subscribe", CHANNEL],
    confirmation: "*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n",
    message: &["message", CHANNEL, VALUE],
};

const AUDIENCES: [Audience; 3] = [
    SUBSCRIBERS,
    Audience { label: "1,000 subscribers", count: 1_000, ..SUBSCRIBERS },
    Audience {
        label: "100 of a pattern",
        count: 100,
        request: ["psubscribe", PATTERN],
        confirmation: "*3\r\n$10\r\npsubscribe\r\n$5\r\nchan*\r\n:1\r\n",
        message: &["pmessage", PATTERN, CHANNEL, VALUE],
    },
];

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let title = |depth| format!("CPU time per delivery, µs, depth {depth}");
    let mut tables = DEPTHS.map(|depth| Comparison::lower_is_better(title(depth)));
    contest.rounds("publishing", contest.effort.rounds, |contender| {
        for (depth, table) in DEPTHS.into_iter().zip(&mut tables) {
            table.add(NOBODY, contender, unheard_us(contest, contender, depth)?);
            for audience in &AUDIENCES {
                let mut hall = Hall::open(contender, audience)?;
                let cost_us = hall.cost_us(depth, contest.effort.exchange)?;
                table.add(audience.label, contender, cost_us);
            }
        }
        Ok(())
    })?;
    let contenders = &contest.contenders;
    let panels =
        tables.iter().map(|table| table.panel(Shape::Bars, "who is subscribed", contenders));
    Ok(Chapter {
        title: "Publishing",
        method: method(contest),
        charts: vec![Chart { file: "publishing.svg", panels: panels.collect() }],
        tables: tables.iter().map(|table| table.table(contenders)).collect(),
    })
}

/// The cost of a message that nobody gets.
fn unheard_us(contest: &Contest, contender: &Contender, depth: usize) -> Result<f64> {
    let server = Server::start(contender)?;
    let requests = contest.effort.load_requests * depth as u64 / DEEPEST as u64;
    let load = Load { request: PUBLISH, keys: 1, depth: depth as u64, requests };
    Ok(contest.benchmark.cost(&server, &load)?.cpu_us)
}

/// A server, with those who listen and one who speaks.
struct Hall {
    server: Server,
    listeners: Listeners,
    publisher: Client,
}

impl Hall {
    fn open(contender: &Contender, audience: &Audience) -> Result<Self> {
        let server = Server::start(contender)?;
        let listeners = Listeners::join(&server, audience.count, &audience.part())?;
        let publisher = server.connect()?;
        Ok(Hall { server, listeners, publisher })
    }

    fn cost_us(&mut self, depth: usize, span: Duration) -> Result<f64> {
        let pipeline = encoded(PUBLISH).repeat(depth);
        for _ in 0..WARM_UP {
            self.publish(&pipeline, depth)?;
        }
        let before = self.server.cpu_time_at_rest()?;
        let began = Instant::now();
        let mut pipelines = 0;
        while began.elapsed() < span {
            self.publish(&pipeline, depth)?;
            pipelines += 1;
        }
        let cpu = self.server.cpu_time_at_rest()?.since(&before);
        self.listeners.confirm_each_has((WARM_UP + pipelines) * depth)?;
        let deliveries = pipelines * depth * self.listeners.count();
        Ok(cpu.as_secs_f64() / deliveries as f64 * 1e6)
    }

    /// Publishes at once what everybody has to get before anything more is published.
    fn publish(&mut self, pipeline: &[u8], depth: usize) -> Result<()> {
        self.publisher.send(pipeline)?;
        self.listeners.await_messages(depth * self.listeners.count())?;
        self.publisher.await_replies(depth)
    }
}

impl Audience {
    fn part(&self) -> Part {
        Part {
            request: encoded(&self.request),
            confirmation: self.confirmation.into(),
            message: encoded(self.message),
        }
    }
}

fn method(contest: &Contest) -> String {
    format!(
        "Messages of 32 bytes. One client publishes 1 or {DEEPEST} at once, and goes on when all have come to everybody \
         who is subscribed; every subscriber is a connection of its own, and one thread reads them all. The figure is \
         the server's CPU time divided by the number of messages that have come. That number is counted, and every \
         message is compared with what was published. Each figure spans {span} ms. All who are subscribed with a \
         pattern use the same one. Where nobody is subscribed, {CLIENTS} clients of the load generator publish {many} \
         messages in all at depth {DEEPEST}, and a {DEEPEST}th of them at depth 1; the figure is per PUBLISH.",
        span = contest.effort.exchange.as_millis(),
        many = grouped(contest.effort.load_requests),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_name_what_was_asked_for() {
        for audience in &AUDIENCES {
            let [command, name] = audience.request;
            let (verb, subject) = (command.len(), name.len());
            let confirmation =
                format!("*3\r\n${verb}\r\n{command}\r\n${subject}\r\n{name}\r\n:1\r\n");
            assert_eq!(audience.confirmation, confirmation);
        }
    }
}
