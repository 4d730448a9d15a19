//! What does a call cost the application that embeds the server, and do two threads do twice as
//! much as one?
//!
//! The goals: less than 300 ns for a typed GET, less than 5 us for one over a connection in
//! memory, and at least 1.8 times as many calls from two threads as from one. Each thread has
//! keys of its own, spread over all shards. Rounds with one thread and with two take turns, and
//! every figure is the median of its rounds. The rows that share nothing between threads say how
//! much of two threads the machine has to give. `-- WORDS` measures only rows with these words.
#![allow(clippy::disallowed_methods, reason = "a bench takes the machine's time")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use redlet::Server;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};

const ROUNDS: usize = 7;
const KEYS: usize = 1_000;
const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// Makes every call of its list once.
type Worker = Box<dyn FnMut() + Send>;

#[derive(Clone, Copy, Debug)]
enum Command {
    Get,
    Set,
}

fn main() {
    let words = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start()).expect("a port is free");
    fill(&server);
    println!("{:<42} {:>12} {:>18}", "", "us per call", "two threads / one");
    for command in [Command::Get, Command::Set] {
        for path in paths(&server, runtime.handle(), command) {
            let name = format!("{command:?}, {}", path.name);
            if words.as_ref().is_none_or(|words| name.contains(words)) {
                report(&name, &measure(&path));
            }
        }
    }
}

/// A way to make calls.
struct Path<'a> {
    name: &'static str,
    /// How often a worker goes over its list in a round.
    passes: usize,
    most_threads: usize,
    /// Makes the worker of each thread.
    worker: Box<dyn Fn(usize) -> Worker + 'a>,
}

impl<'a> Path<'a> {
    fn new(name: &'static str, passes: usize, worker: impl Fn(usize) -> Worker + 'a) -> Self {
        Path { name, passes, most_threads: 2, worker: Box::new(worker) }
    }
}

fn paths<'a>(server: &'a Server, handle: &'a Handle, command: Command) -> [Path<'a>; 8] {
    let tcp = || {
        let address = server.address().expect("it listens");
        let stream = handle.block_on(TcpStream::connect(address)).expect("it accepts");
        stream.set_nodelay(true).expect("a socket can do this");
        stream
    };
    let own = Path::new("memory, runtime of one thread", 20, move |_| own_runtime(command));
    [
        Path::new("nothing but its key's bytes", 5_000, sum_of_bytes),
        Path::new("typed", 100, move |index| typed(server, command, index)),
        Path::new("typed, a server each", 100, move |index| typed_alone(handle, command, index)),
        Path { most_threads: 1, ..own },
        Path::new("memory, task", 20, move |index| {
            in_task(handle, server.connect(), command, index)
        }),
        Path::new("memory, a thread that waits", 20, move |index| {
            in_thread(handle, server.connect(), command, index)
        }),
        Path::new("memory, blocking", 20, move |index| blocking(server, command, index)),
        Path::new("TCP, task", 5, move |index| in_task(handle, tcp(), command, index)),
    ]
}

fn report(name: &str, spent_us: &[f64]) {
    let ratio = spent_us.get(1).map(|two| format!("{:.2}", 2.0 * spent_us[0] / two));
    println!("{name:<42} {:>12.3} {:>18}", spent_us[0], ratio.unwrap_or_default());
}

fn fill(server: &Server) {
    let mut direct = server.direct();
    for index in 0..2 {
        for key in keys(index) {
            direct.set(key, VALUE);
        }
    }
}

/// The keys of one thread.
fn keys(index: usize) -> Vec<String> {
    (0..KEYS).map(|number| format!("key:{index}:{number:010}")).collect()
}

/// Microseconds from the start to the end of a call, with one thread and with more.
fn measure(path: &Path<'_>) -> Vec<f64> {
    let mut rounds = vec![Vec::new(); path.most_threads];
    let mut workers: Vec<Worker> = (0..path.most_threads).map(&path.worker).collect();
    for _ in 0..ROUNDS {
        for (index, rounds) in rounds.iter_mut().enumerate() {
            let spent = run(&mut workers[..=index], path.passes);
            rounds.push(spent.as_secs_f64() * 1e6 / (path.passes * KEYS) as f64);
        }
    }
    rounds.into_iter().map(median).collect()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Has every worker go over its list so many times, each on a thread of its own.
fn run(workers: &mut [Worker], passes: usize) -> Duration {
    let barrier = Barrier::new(workers.len() + 1);
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| {
                worker();
                barrier.wait();
                (0..passes).for_each(|_| worker());
                barrier.wait();
            });
        }
        barrier.wait();
        let begin = Instant::now();
        barrier.wait();
        begin.elapsed()
    })
}

fn sum_of_bytes(index: usize) -> Worker {
    let keys = keys(index);
    Box::new(move || {
        for key in &keys {
            black_box(key.bytes().map(|byte| black_box(u64::from(byte))).sum::<u64>());
        }
    })
}

fn typed(server: &Server, command: Command, index: usize) -> Worker {
    let (mut direct, keys) = (server.direct(), keys(index));
    Box::new(move || {
        for key in &keys {
            match command {
                Command::Get => assert!(direct.get(key).is_some()),
                Command::Set => direct.set(key, VALUE),
            }
        }
    })
}

/// Threads that share no server: two of them show what the machine makes of such work.
fn typed_alone(handle: &Handle, command: Command, index: usize) -> Worker {
    let server = handle.block_on(Server::builder().no_socket().start()).expect("it starts");
    fill(&server);
    let mut worker = typed(&server, command, index);
    Box::new(move || {
        let _alive = &server;
        worker();
    })
}

/// Server and client on one thread, as in a test.
fn own_runtime(command: Command) -> Worker {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(Server::builder().no_socket().start()).expect("it starts");
    fill(&server);
    let (mut stream, mut calls) = (server.connect(), Calls::new(command, 0));
    Box::new(move || {
        let _alive = &server;
        runtime.block_on(calls.make(&mut stream));
    })
}

/// A task on one of the threads of the server's runtime.
fn in_task<S>(handle: &Handle, stream: S, command: Command, index: usize) -> Worker
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (handle, mut client) = (handle.clone(), Some((stream, Calls::new(command, index))));
    Box::new(move || {
        let (mut stream, mut calls) = client.take().expect("the last task gave it back");
        let task = handle.spawn(async move {
            calls.make(&mut stream).await;
            (stream, calls)
        });
        client = Some(handle.block_on(task).expect("the task does not panic"));
    })
}

/// A thread that is not the runtime's, as `main` under `#[tokio::main]` is.
fn in_thread<S>(handle: &Handle, mut stream: S, command: Command, index: usize) -> Worker
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (handle, mut calls) = (handle.clone(), Calls::new(command, index));
    Box::new(move || handle.block_on(calls.make(&mut stream)))
}

fn blocking(server: &Server, command: Command, index: usize) -> Worker {
    let (mut stream, mut calls) = (server.connect_blocking(), Calls::new(command, index));
    Box::new(move || {
        for request in &calls.requests {
            stream.write_all(request).expect("the server reads");
            stream.read_exact(&mut calls.reply).expect("the server answers");
        }
    })
}

/// The requests of one thread as they go over a connection, and room for a reply.
struct Calls {
    requests: Vec<Vec<u8>>,
    reply: Vec<u8>,
}

impl Calls {
    fn new(command: Command, index: usize) -> Self {
        let encode = |key: String| {
            let key = format!("${}\r\n{key}\r\n", key.len());
            match command {
                Command::Get => format!("*2\r\n$3\r\nGET\r\n{key}"),
                Command::Set => format!("*3\r\n$3\r\nSET\r\n{key}${}\r\n{VALUE}\r\n", VALUE.len()),
            }
        };
        let reply = match command {
            Command::Get => format!("${}\r\n{VALUE}\r\n", VALUE.len()),
            Command::Set => "+OK\r\n".to_owned(),
        };
        let requests = keys(index).into_iter().map(|key| encode(key).into_bytes()).collect();
        Calls { requests, reply: reply.into_bytes() }
    }

    async fn make(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        for request in &self.requests {
            stream.write_all(request).await.expect("the server reads");
            stream.read_exact(&mut self.reply).await.expect("the server answers");
        }
    }
}
