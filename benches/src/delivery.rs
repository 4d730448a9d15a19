//! What does it cost to add an entry to a stream, to hand it to a consumer of a group, and to take note that it is
//! done?
//!
//! The goals, in times of the best peer: 0.85, 0.50 and 0.45 at depths 1, 16 and 64.

use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::benchmark::CLIENTS;
use crate::chart::{Chart, Shape};
use crate::client::SILENCE;
use crate::comparison::Comparison;
use crate::consumers::{COMMANDS, Consumer, LENGTH, PENDING};
use crate::contest::Contest;
use crate::costs::{BUSY, DEPTHS};
use crate::figures::grouped;
use crate::report::Chapter;
use crate::servers::{Contender, Server};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

struct Tables {
    cpu: Comparison,
    rate: Comparison,
}

/// What deliveries cost.
struct Cost {
    cpu_us: f64,
    per_second: f64,
    /// The part of the time that the server was at work.
    busy: f64,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut tables = Tables {
        cpu: Comparison::lower_is_better("CPU time per delivery, µs"),
        rate: Comparison::higher_is_better("Deliveries per second"),
    };
    contest.rounds("delivery", contest.effort.rounds, |contender| {
        let server = Server::start(contender)?;
        if !server.knows(COMMANDS)? {
            tables.leave_out(contender);
            return Ok(());
        }
        let mut crew = Crew::open(server)?;
        for depth in DEPTHS {
            tables.add(depth, contender, &crew.cost(depth, contest.effort.exchange)?);
        }
        Ok(())
    })?;
    let contenders = &contest.contenders;
    Ok(Chapter {
        title: "Delivery",
        method: method(contest),
        tables: vec![tables.cpu.table(contenders), tables.rate.table(contenders)],
        charts: vec![Chart {
            file: "delivery.svg",
            panels: vec![tables.cpu.panel(Shape::Bars, "pipeline", contenders)],
        }],
    })
}

impl Tables {
    fn add(&mut self, depth: u64, contender: &Contender, cost: &Cost) {
        let (label, waits) = (label(depth), cost.busy < BUSY);
        self.cpu.add(&label, contender, cost.cpu_us);
        self.rate.add_unless(waits, &label, contender, cost.per_second);
    }

    fn leave_out(&mut self, contender: &Contender) {
        for label in DEPTHS.map(label) {
            self.cpu.leave_out(&label, contender);
            self.rate.leave_out(&label, contender);
        }
    }
}

fn label(depth: u64) -> String {
    format!("depth {depth}")
}

/// A server, and everybody who asks it for deliveries.
struct Crew {
    server: Server,
    poll: Poll,
    events: Events,
    consumers: Vec<Consumer>,
    chunk: Vec<u8>,
}

impl Crew {
    fn open(server: Server) -> Result<Self> {
        let poll = Poll::new()?;
        let mut consumers = Vec::new();
        for number in 0..CLIENTS as usize {
            let mut consumer = Consumer::join(&server, &format!("stream:{number}"))?;
            let interest = Interest::READABLE;
            poll.registry().register(&mut consumer.connection, Token(number), interest)?;
            consumers.push(consumer);
        }
        let events = Events::with_capacity(consumers.len());
        Ok(Crew { server, poll, events, consumers, chunk: vec![0; CHUNK] })
    }

    fn cost(&mut self, depth: u64, span: Duration) -> Result<Cost> {
        let before = self.server.cpu_time_at_rest()?;
        let began = Instant::now();
        let deliveries = self.deliver(depth, span)? as f64;
        let elapsed = began.elapsed().as_secs_f64();
        let cpu = self.server.cpu_time_at_rest()?.since(&before).as_secs_f64();
        let cpu_us = cpu / deliveries * 1e6;
        Ok(Cost { cpu_us, per_second: deliveries / elapsed, busy: cpu / elapsed })
    }

    /// Has every consumer send one pipeline after the other until the time is over, and gives the number of deliveries.
    fn deliver(&mut self, depth: u64, span: Duration) -> Result<u64> {
        let began = Instant::now();
        for consumer in &mut self.consumers {
            consumer.ask(depth)?;
        }
        let (mut at_work, mut pipelines) = (self.consumers.len(), 0);
        while at_work > 0 {
            let goes_on = began.elapsed() < span;
            let served = self.receive(goes_on.then_some(depth))?;
            pipelines += served as u64;
            at_work -= if goes_on { 0 } else { served };
            if began.elapsed() > span + SILENCE {
                return Err(format!("{at_work} clients get no reply").into());
            }
        }
        Ok(pipelines * depth)
    }

    /// Reads what is there without waiting for it, and gives the number of consumers whose pipelines have been
    /// answered. These ask again, if they shall.
    fn receive(&mut self, next_depth: Option<u64>) -> Result<usize> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut served = 0;
        for event in &self.events {
            let Token(number) = event.token();
            let consumer = &mut self.consumers[number];
            if consumer.receive(&mut self.chunk)? {
                served += 1;
                next_depth.map_or(Ok(()), |depth| consumer.ask(depth))?;
            }
        }
        Ok(served)
    }
}

fn method(contest: &Contest) -> String {
    format!(
        "A delivery is three commands: XADD adds an entry of three fields with values of 16 bytes to a stream, with \
         MAXLEN ~ {length}; XREADGROUP with COUNT 1 gets it as a consumer of the stream's group; XACK acknowledges the \
         oldest of the {PENDING} entries that are pending. {CLIENTS} clients have a stream each, and ask for 1, 16 or \
         64 deliveries at once, at depth 1 in one piece too. They give the ids themselves, so that they need not wait \
         for them, and compare every reply with what has to come. One thread sends and reads for all of them and never \
         sleeps. Each figure spans {span} ms. A rate is marked ° where the server was at work for less than {busy:.0} \
         % of the time.",
        length = grouped(LENGTH),
        span = contest.effort.exchange.as_millis(),
        busy = BUSY * 100.0,
    )
}
