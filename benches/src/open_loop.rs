//! A load generator that keeps to its own times: requests are due when the schedule says so, whether or not the server
//! has answered the earlier ones.
//!
//! Latency counts from the time a request was due. A server that stalls therefore pays for every request that was due
//! meanwhile, and not only for the one that it had in hand. One thread sends, receives and never sleeps; the core it
//! runs on is its own.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::client::encode;
use crate::filling::{KEYS, key};
use crate::reply::reply_length;
use crate::rows::VALUE;

const CONNECTIONS: usize = 50;

/// How many requests are sent before the generator looks for replies again, so that a backlog of the one does not make
/// it late for the other.
const SENDS_IN_A_ROW: usize = 4;

/// How long after its end a schedule may take to be worked off.
const GRACE: Duration = Duration::from_secs(30);

/// A generator that has less time to spare, or is late more often, shows its own delays besides the server's.
pub(crate) const LEAST_IDLE: f64 = 0.05;
pub(crate) const MOST_LATENESS_US: f64 = 100.0;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    /// Over how many keys requests are spread.
    keys: u64,
    /// Of so many requests one is a SET, the others are GETs.
    requests_per_set: u64,
}

impl Mix {
    pub(crate) const MOSTLY_READS: Mix = Mix { keys: KEYS, requests_per_set: 5 };

    pub(crate) fn writes(keys: u64) -> Self {
        Mix { keys, requests_per_set: 1 }
    }
}

/// When requests are due.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// At even times, so many a second.
    Even(f64),
    /// As soon as a connection is free: a closed loop, which finds out what can be had.
    AtOnce,
}

/// What a run showed. Times are in nanoseconds.
pub(crate) struct Observation {
    /// From the time a request was due to its reply.
    pub(crate) latency: Histogram<u64>,
    /// From the time a request was due to its sending, where a connection was free for it: the generator's own part.
    pub(crate) lateness: Histogram<u64>,
    /// The part of the time in which the generator had nothing to do.
    pub(crate) idle: f64,
    pub(crate) requests_per_second: f64,
}

impl Observation {
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    pub(crate) fn lateness_us(&self) -> f64 {
        self.lateness.value_at_quantile(0.99) as f64 / 1e3
    }

    /// Whether the figures show the generator's delays as well.
    pub(crate) fn is_overtaxed(&self) -> bool {
        self.idle < LEAST_IDLE || self.lateness_us() > MOST_LATENESS_US
    }
}

/// Connections to one server.
pub(crate) struct Generator {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    /// Those that wait for no reply. The one that has been free for longest is next.
    free: VecDeque<usize>,
    mix: Mix,
    numbers: Numbers,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request that waits for its reply was due.
    due: Instant,
}

impl Generator {
    pub(crate) fn connect(port: u16, mix: Mix) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let mut stream = connect(port)?;
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            connections.push(Connection { stream, received: Vec::new(), due: Instant::now() });
        }
        let events = Events::with_capacity(CONNECTIONS);
        let free = (0..CONNECTIONS).collect();
        Ok(Generator { poll, events, connections, free, mix, numbers: Numbers(1) })
    }

    /// Keeps up a pace for a while, and waits for all replies.
    pub(crate) fn run(&mut self, pace: Pace, duration: Duration) -> Result<Observation> {
        self.run_until(pace, duration, |_| Ok(false))
    }

    /// Keeps up a pace until `is_over` says that it is enough, but no longer than `limit`, and waits for all replies.
    /// Whatever time `is_over` takes makes the generator late.
    pub(crate) fn run_until(
        &mut self,
        pace: Pace,
        limit: Duration,
        mut is_over: impl FnMut(Instant) -> Result<bool>,
    ) -> Result<Observation> {
        let mut run = Run::new(pace, limit)?;
        loop {
            let began = Instant::now();
            if began < run.end && is_over(began)? {
                run.end = began;
            }
            let sent = self.send_due(&mut run, began)?;
            let received = self.receive(&mut run)?;
            if sent + received == 0 {
                run.idle += began.elapsed();
            }
            if self.free.len() == CONNECTIONS && run.is_over(began) {
                return Ok(run.observation());
            }
            if began > run.end + GRACE {
                return Err("the server does not catch up with its load".into());
            }
        }
    }

    fn send_due(&mut self, run: &mut Run, now: Instant) -> Result<usize> {
        let mut sent = 0;
        while sent < SENDS_IN_A_ROW && run.has_due(now) {
            let Some(number) = self.free.pop_front() else {
                run.without_connection = now;
                break;
            };
            let due = run.take_due()?;
            let request = self.mix.request(&mut self.numbers);
            self.connections[number].send(due, &request)?;
            sent += 1;
        }
        Ok(sent)
    }

    fn receive(&mut self, run: &mut Run) -> Result<usize> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut received = 0;
        for event in &self.events {
            let Token(number) = event.token();
            let connection = &mut self.connections[number];
            if connection.receive()? {
                run.latency.record(connection.due.elapsed().as_nanos() as u64)?;
                self.free.push_back(number);
                received += 1;
            }
        }
        Ok(received)
    }
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = std::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

impl Connection {
    /// A request is far smaller than what a socket holds, and there is only one at a time: it is taken whole.
    fn send(&mut self, due: Instant, request: &[u8]) -> Result<()> {
        self.due = due;
        Ok(self.stream.write_all(request)?)
    }

    /// Reads what is there, and says whether it was the rest of the reply.
    fn receive(&mut self) -> Result<bool> {
        let mut chunk = [0; 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(length) => self.received.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let whole = reply_length(&self.received)?.is_some();
        if whole {
            if self.received[0] == b'-' {
                return Err("the server refuses a request".into());
            }
            self.received.clear();
        }
        Ok(whole)
    }
}

/// One run's schedule, and what has been observed in it.
struct Run {
    pace: Pace,
    start: Instant,
    end: Instant,
    taken: u64,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
    idle: Duration,
    /// When something was due last and no connection was free: until then it was the server that kept requests waiting.
    without_connection: Instant,
}

impl Run {
    fn new(pace: Pace, duration: Duration) -> Result<Self> {
        let start = Instant::now();
        Ok(Run {
            pace,
            start,
            end: start + duration,
            taken: 0,
            latency: Histogram::new(3)?,
            lateness: Histogram::new(3)?,
            idle: Duration::ZERO,
            without_connection: start,
        })
    }

    /// When the next request is due.
    fn next_due(&self, now: Instant) -> Instant {
        match self.pace {
            Pace::Even(rate) => self.start + Duration::from_secs_f64(self.taken as f64 / rate),
            Pace::AtOnce => now,
        }
    }

    fn has_due(&self, now: Instant) -> bool {
        let next = self.next_due(now);
        next <= now && next < self.end
    }

    /// Takes the next request off the schedule.
    fn take_due(&mut self) -> Result<Instant> {
        let now = Instant::now();
        let due = self.next_due(now);
        if due > self.without_connection {
            self.lateness.record((now - due).as_nanos() as u64)?;
        }
        self.taken += 1;
        Ok(due)
    }

    /// Whether nothing will be due any more.
    fn is_over(&self, now: Instant) -> bool {
        now >= self.end && !self.has_due(now)
    }

    fn observation(self) -> Observation {
        let elapsed = self.start.elapsed().as_secs_f64();
        Observation {
            requests_per_second: self.taken as f64 / elapsed,
            idle: self.idle.as_secs_f64() / elapsed,
            latency: self.latency,
            lateness: self.lateness,
        }
    }
}

impl Mix {
    fn request(self, numbers: &mut Numbers) -> Vec<u8> {
        let drawn = numbers.draw();
        let key = key(drawn / self.requests_per_set % self.keys);
        let mut request = Vec::with_capacity(128);
        if drawn.is_multiple_of(self.requests_per_set) {
            encode(&["SET", &key, VALUE], &mut request);
        } else {
            encode(&["GET", &key], &mut request);
        }
        request
    }
}

/// Numbers that look random and are the same in every run: an xorshift generator.
struct Numbers(u64);

impl Numbers {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pace: Pace) -> Run {
        Run::new(pace, Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn requests_are_due_at_even_times() {
        let mut run = run(Pace::Even(1000.0));
        for number in 0..3 {
            let due = run.start + Duration::from_millis(number);
            assert_eq!(run.next_due(due), due);
            assert!(run.has_due(due));
            run.taken += 1;
            assert!(!run.has_due(due), "the next one is due later");
        }
    }

    #[test]
    fn a_backlog_is_worked_off_after_the_end() {
        let mut run = run(Pace::Even(10.0));
        let late = run.end + Duration::from_secs(5);
        assert!(!run.is_over(late));
        run.taken = 10;
        assert!(run.is_over(late));
    }

    #[test]
    fn a_closed_loop_ends_in_time() {
        let run = run(Pace::AtOnce);
        assert!(run.has_due(run.start));
        assert!(!run.has_due(run.end));
        assert!(run.is_over(run.end));
    }

    /// How many of 10,000 requests are SETs.
    fn sets(mix: Mix) -> usize {
        let mut numbers = Numbers(1);
        let requests = (0..10_000).map(|_| mix.request(&mut numbers));
        requests.filter(|request| request.starts_with(b"*3\r\n$3\r\nSET")).count()
    }

    #[test]
    fn a_mix_has_as_many_sets_as_it_says() {
        let some = sets(Mix::MOSTLY_READS);
        assert!((1_900..2_100).contains(&some), "{some} of 10000");
        assert_eq!(sets(Mix::writes(1_000)), 10_000);
    }
}
