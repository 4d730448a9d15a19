//! How long does an element take from the client who pushes it to one who waits for it, and what does that cost?

use std::hint;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Result;
use crate::client::{Client, encoded};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::listeners::{Listeners, Part};
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

/// How many clients wait for one and the same list.
const WAITING: [usize; 2] = [1, 1_000];

/// What the client who has been served needs to wait again before the next push, in plenty.
const REST: Duration = Duration::from_micros(20);

/// How many hand-offs go before those that count.
const WARM_UP: usize = 50;

const LIST: &str = "queue";

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
        for waiting in WAITING {
            let observation = Queue::open(contender, waiting)?.observe(contest.effort.exchange)?;
            let label = label(waiting);
            let quantile_us = |quantile| observation.times.value_at_quantile(quantile) as f64 / 1e3;
            middle.add(&label, contender, quantile_us(0.5));
            tail.add(&label, contender, quantile_us(0.99));
            cpu.add(&label, contender, observation.cpu_us);
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

fn label(waiting: usize) -> String {
    let clients = if waiting == 1 { "client" } else { "clients" };
    format!("{} {clients} waiting", grouped(waiting as u64))
}

/// A server, with those who wait for a list and one who pushes to it.
struct Queue {
    server: Server,
    waiting: Listeners,
    pusher: Client,
    push: Vec<u8>,
}

impl Queue {
    fn open(contender: &Contender, waiting: usize) -> Result<Self> {
        let part = Part {
            request: encoded(&["brpop", LIST, "0"]),
            confirmation: Vec::new(),
            message: encoded(&[LIST, VALUE]),
        };
        let server = Server::start(contender)?;
        let waiting = Listeners::join(&server, waiting, &part)?;
        let pusher = server.connect()?;
        Ok(Queue { server, waiting, pusher, push: encoded(&["lpush", LIST, VALUE]) })
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
        let pushed = Instant::now();
        self.pusher.send(&self.push)?;
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
        "Clients wait for one and the same list with BRPOP. Another one pushes an element of 32 bytes with LPUSH. The \
         time runs from there until the element has come to one of those who wait. That one waits again, and {rest} µs \
         after it has asked to, the next element is pushed. CPU time is the server's, for both commands. Each figure \
         spans {span} ms.",
        rest = REST.as_micros(),
        span = contest.effort.exchange.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_out() {
        assert_eq!(WAITING.map(label), ["1 client waiting", "1,000 clients waiting"]);
    }
}
