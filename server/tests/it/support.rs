//! What the tests share: a client that speaks RESP and nothing more, and looks at the process.

use std::future::Future;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redlet::{MemoryStream, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes on a busy machine: whoever waits for so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits something that has to come.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it should not take so long")
}

/// Waits until something holds that others bring about.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "still not so: {what}");
}

/// A client that sends bytes and reads replies.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

impl Wire<MemoryStream> {
    pub(crate) fn memory(server: &Server) -> Self {
        Wire::new(server.connect())
    }
}

impl Wire<TcpStream> {
    pub(crate) async fn tcp(server: &Server) -> Self {
        let address = server.address().expect("the server listens");
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        stream.set_nodelay(true).expect("a TCP socket can do this");
        Wire::new(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Wire { stream, received: Vec::new() }
    }

    /// Sends words that hold no blanks as a request, and reads the reply.
    pub(crate) async fn call(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.request(&words).await
    }

    pub(crate) async fn request<A: AsRef<[u8]>>(&mut self, words: &[A]) -> String {
        self.send(&encode(words)).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.expect("the server reads");
    }

    /// The next reply, in a form to compare: see [`parse`].
    pub(crate) async fn reply(&mut self) -> String {
        within(async {
            loop {
                if let Some((reply, length)) = parse(&self.received) {
                    self.received.drain(..length);
                    return reply;
                }
                let count = self.stream.read_buf(&mut self.received).await.unwrap_or(0);
                if count == 0 {
                    return "(end)".to_owned();
                }
            }
        })
        .await
    }

    /// Everything that comes until the server ends the connection.
    pub(crate) async fn until_end(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.received);
        // A connection that is reset has ended too.
        let _ = within(self.stream.read_to_end(&mut all)).await;
        all
    }

    /// What comes back until `last` ends it.
    pub(crate) async fn until(&mut self, last: &[u8]) -> Vec<u8> {
        within(async {
            while !self.received.ends_with(last) {
                let count = self.stream.read_buf(&mut self.received).await.unwrap_or(0);
                assert!(count > 0, "the server ended the connection");
            }
        })
        .await;
        std::mem::take(&mut self.received)
    }
}

/// A request as an array of bulk strings.
pub(crate) fn encode<A: AsRef<[u8]>>(words: &[A]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// The first reply and its length once it is whole: texts and numbers as they are, errors with
/// their dash, `(nil)`, and arrays as `[a, b]`.
pub(crate) fn parse(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let head = String::from_utf8_lossy(&bytes[1..end]).into_owned();
    let start = end + 2;
    match bytes[0] {
        b'+' | b':' => Some((head, start)),
        b'-' => Some((format!("-{head}"), start)),
        b'$' | b'*' if head == "-1" => Some(("(nil)".to_owned(), start)),
        b'$' => {
            let length: usize = head.parse().expect("a length");
            let text = bytes.get(start..start + length + 2)?;
            Some((text[..length].escape_ascii().to_string(), start + length + 2))
        }
        b'*' => {
            let (mut elements, mut at) = (Vec::new(), start);
            for _ in 0..head.parse::<usize>().expect("a count") {
                let (element, length) = parse(&bytes[at..])?;
                elements.push(element);
                at += length;
            }
            Some((format!("[{}]", elements.join(", ")), at))
        }
        other => panic!("no reply begins with {:?}", char::from(other)),
    }
}

/// Asserts that the server is well: it answers new clients and has not failed.
pub(crate) async fn assert_serves(server: &Server) {
    assert_eq!(Wire::memory(server).call("PING").await, "PONG");
    let stopped = tokio::time::timeout(Duration::ZERO, server.stopped()).await;
    assert!(stopped.is_err(), "the server has ended: {stopped:?}");
}

/// The same for a server on a thread of its own.
pub(crate) fn assert_serves_blocking(server: &Server) {
    let mut stream = server.connect_blocking();
    stream.write_all(b"PING\r\n").expect("the server reads");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).expect("the server answers");
    assert_eq!(&reply, b"+PONG\r\n");
}

/// Runs a test's body in a process of its own, where nothing else takes memory or descriptors.
/// Comes first in a test; `name` is the test's.
pub(crate) fn alone(module: &str, name: &str, body: impl FnOnce()) {
    const MARK: &str = "REDLET_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let module = module.split_once("::").map_or("", |(_, inner)| inner);
    let mut again = Command::new(std::env::current_exe().expect("the tests run from a file"));
    again.args([&format!("{module}::{name}"), "--exact", "--nocapture", "--test-threads=1"]);
    let output = again.env(MARK, "1").output().expect("the tests can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    for figure in text.lines().filter_map(|line| line.split_once("figure: ")) {
        println!("figure: {}", figure.1);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// Runs a test's body in a process of its own, on a runtime with one thread.
pub(crate) fn alone_async(module: &str, name: &str, body: impl AsyncFnOnce()) {
    alone(module, name, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system has room for a runtime").block_on(body());
    });
}

/// A field such as `VmRSS:` of a process, in bytes.
pub(crate) fn memory_of(process: &str, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<usize>().ok());
    kilobytes.expect("a number") * 1024
}

pub(crate) fn resident_bytes() -> usize {
    memory_of("self", "VmRSS:")
}

/// The most memory that this process ever had.
pub(crate) fn peak_bytes() -> usize {
    memory_of("self", "VmHWM:")
}

/// How many descriptors (`fd`) or threads (`task`) this process has.
pub(crate) fn count_of(kind: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{kind}")).expect("this is Linux").count()
}

/// The checksum at the end of a dumped value, bit by bit.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| {
        (0..8)
            .fold(sum ^ u64::from(*byte), |sum, _| (sum >> 1) ^ (0x95AC_9329_AC4B_C9B5 * (sum & 1)))
    })
}

/// A dumped value with the version and checksum that belong to it.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut payload = [body, &[11, 0]].concat();
    let sum = checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// A snapshot with these entries.
pub(crate) fn sealed_snapshot(entries: &[u8]) -> Vec<u8> {
    let mut file = [b"REDIS0010", entries, &[0xff]].concat();
    let sum = checksum(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// Numbers that are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound`, without it.
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// A directory that goes when its test does.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("redlet-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("the temporary directory can be written to");
        Scratch(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _: io::Result<()> = std::fs::remove_dir_all(&self.0);
    }
}
