//! The `redlet` command, as people and scripts start it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Scratch, memory_of, parse};

pub(super) const REDLET: &str = env!("CARGO_BIN_EXE_redlet");

/// A port that nobody listens on, below those that the system gives to clients.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 900) as u16;
        let port = 27_000 + offset % 1000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The program, with nothing that it would leave where the tests are run.
fn redlet() -> Command {
    let mut command = Command::new(REDLET);
    command.env("REDLET_DEFAULTS", "--save");
    command
}

fn run(arguments: &[&str]) -> Output {
    redlet().args(arguments).stdin(Stdio::null()).output().expect("redlet was built")
}

/// A server that runs until it is told to end, or until its test does.
pub(super) struct Running(Child);

impl Running {
    /// Starts it, and returns once it says that it listens on so many addresses.
    pub(super) fn start(command: &mut Command, addresses: usize) -> Running {
        if !command.get_envs().any(|(name, _)| name == "REDLET_DEFAULTS") {
            // The directory that tests are started in is nobody's to write in.
            command.env("REDLET_DEFAULTS", "--save");
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("redlet was built");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        for _ in 0..addresses {
            while !line.contains("Ready to accept connections") {
                line.clear();
                assert_ne!(output.read_line(&mut line).expect("lines"), 0, "redlet has ended");
            }
            line.clear();
        }
        // Who no longer reads must not keep it from logging.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Running(child)
    }

    pub(super) fn with(arguments: &[&str]) -> Running {
        Running::start(redlet().args(arguments), 1)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "it does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a line and reads the reply.
pub(super) fn call(mut stream: impl Read + Write, line: &str) -> String {
    stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
    let mut received = Vec::new();
    loop {
        if let Some((reply, _)) = parse(&received) {
            return reply;
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).expect("the server answers") {
            0 => return "(end)".to_owned(),
            count => received.extend_from_slice(&part[..count]),
        }
    }
}

pub(super) fn on_port(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("the server accepts")
}

fn on_socket(path: &Path) -> UnixStream {
    UnixStream::connect(path).expect("the server accepts")
}

#[test]
fn it_tells_its_version_and_its_parameters() {
    for argument in ["--version", "-v"] {
        let output = run(&[argument]);
        assert!(output.status.success());
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!("redlet {version} (follows Redis v=7.2.4)\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    for argument in ["--help", "-h"] {
        let output = run(&[argument]);
        assert!(output.status.success());
        let page = String::from_utf8_lossy(&output.stdout);
        for word in ["--port", "--requirepass", "--unixsocket", "[6379]", "redis.conf"] {
            assert!(page.contains(word), "{word} is not on the page");
        }
    }
}

#[test]
fn what_it_cannot_do_it_says_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let scratch = Scratch::new();
    let broken = scratch.path("broken.conf");
    std::fs::write(&broken, "hz 10\n\nport seven\n").unwrap();
    let broken = broken.to_str().unwrap();
    for (arguments, words) in [
        (&["--port", &taken][..], &["port", &taken, "taken"][..]),
        (&["--no-such-thing", "1"], &["no-such-thing"]),
        (&["--port", "seven"], &["port", "seven"]),
        (&["--port", "65536"], &["port", "65536"]),
        (&["--port"], &["port"]),
        (&["--databases", "0"], &["databases"]),
        (&["--port", "0"], &["--port", "--unixsocket"]),
        (&["-x"], &["-x", "--help"]),
        (&["/no/such/file.conf"], &["/no/such/file.conf"]),
        (&["/"], &["/"]),
        (&[broken], &["broken.conf", "line 3", "port seven"]),
        (&["--port", "0", "--dir", "/no/such/directory"], &["/no/such/directory"]),
        (&["--port", "0", "--unixsocket", "/no/such/directory/s"], &["/no/such/directory/s"]),
        (&["--port", "0", "--logfile", "/no/such/directory/l"], &["/no/such/directory/l"]),
        (&["--tls-port", "6380"], &["tls-port", "plain TCP"]),
        (&["--appendonly", "maybe"], &["appendonly", "yes or no"]),
        (&["--dir", "/proc", "--appendonly", "yes"], &["/proc", "write", "another 'dir'"]),
        (&["--dir", "/proc", "--save", "900", "1"], &["/proc", "write", "another 'dir'"]),
        (&["--bind", "203.0.113.7"], &["203.0.113.7", "--bind"]),
    ] {
        let output = run(arguments);
        let sentence = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {sentence}");
        assert!(sentence.starts_with("redlet: "), "{arguments:?}: {sentence}");
        assert_eq!(sentence.matches('\n').count(), 1, "{arguments:?}: {sentence}");
        for word in words {
            assert!(sentence.contains(word), "{arguments:?}: {word} is not in: {sentence}");
        }
    }
}

#[test]
fn signals_end_it_cleanly() {
    for name in ["TERM", "INT"] {
        let scratch = Scratch::new();
        let (socket, pid_file) = (scratch.path("socket"), scratch.path("pid"));
        let port = free_port().to_string();
        let mut command = redlet();
        command.args(["--port", &port]).arg("--unixsocket").arg(&socket);
        let mut server = Running::start(command.arg("--pidfile").arg(&pid_file), 2);
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        assert_eq!(pid.trim(), server.0.id().to_string());
        let mut client = on_socket(&socket);
        assert_eq!(call(&mut client, "SET key value"), "OK");
        server.signal(name);
        assert_eq!(server.wait().code(), Some(0), "after SIG{name}");
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 0);
        assert!(!socket.exists() && !pid_file.exists());
    }
}

#[test]
fn a_client_ends_it_cleanly() {
    let port = free_port();
    let mut server = Running::with(&["--port", &port.to_string()]);
    assert_eq!(call(on_port(port), "SHUTDOWN NOSAVE"), "(end)");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn all_addresses_of_both_kinds_can_be_served_on_at_once() {
    for addresses in [&["*", "-::*"][..], &["-::*", "*"]] {
        let port = free_port();
        let mut command = redlet();
        command.args(["--port", &port.to_string(), "--bind"]).args(addresses);
        let _server = Running::start(&mut command, 1);
        assert_eq!(call(on_port(port), "PING"), "PONG", "{addresses:?}");
    }
}

#[test]
fn it_may_serve_on_a_unix_socket_only() {
    let scratch = Scratch::new();
    let socket = scratch.path("socket");
    let mut command = Command::new(REDLET);
    let _server = Running::start(command.args(["--port", "0", "--unixsocket"]).arg(&socket), 1);
    let mut client = on_socket(&socket);
    assert_eq!(call(&mut client, "SET key value"), "OK");
    assert_eq!(call(&mut client, "CONFIG GET port"), "[port, 0]");
}

#[test]
fn the_command_line_wins_over_the_file() {
    let scratch = Scratch::new();
    let file = scratch.path("redis.conf");
    let port = free_port();
    let text = "# written by hand\nrequirepass \"from file\"\nmaxclients 77\nhz 33\nsave \"\"\n";
    std::fs::write(&file, text).unwrap();
    let line = ["--port", &port.to_string(), "--requirepass", "from-line", "--hz", "44"];
    let _server = Running::start(Command::new(REDLET).arg(&file).args(line), 1);
    let mut client = on_port(port);
    assert!(call(&mut client, "AUTH \"from file\"").starts_with("-WRONGPASS"));
    assert_eq!(call(&mut client, "AUTH from-line"), "OK");
    assert_eq!(call(&mut client, "CONFIG GET maxclients"), "[maxclients, 77]");
    assert_eq!(call(&mut client, "CONFIG GET hz"), "[hz, 44]");
}

#[test]
fn the_environment_has_defaults_that_everything_else_wins_over() {
    let scratch = Scratch::new();
    let file = scratch.path("redis.conf");
    let port = free_port();
    std::fs::write(&file, "hz 22\nmaxclients 22\n").unwrap();
    let mut command = Command::new(REDLET);
    command.env(
        "REDLET_DEFAULTS",
        "--bind 127.0.0.1 -::1 --protected-mode no --hz 11 --maxclients 11",
    );
    command.arg(&file).args(["--port", &port.to_string(), "--hz", "33"]);
    let _server = Running::start(&mut command, 1);
    let mut client = on_port(port);
    assert_eq!(call(&mut client, "CONFIG GET protected-mode"), "[protected-mode, no]");
    assert_eq!(call(&mut client, "CONFIG GET bind"), "[bind, 127.0.0.1 -::1]");
    assert_eq!(call(&mut client, "CONFIG GET maxclients"), "[maxclients, 22]");
    assert_eq!(call(&mut client, "CONFIG GET hz"), "[hz, 33]");
    for (text, word) in [("--no-such-thing 1", "no-such-thing"), ("redis.conf", "--name value")] {
        let output = Command::new(REDLET).env("REDLET_DEFAULTS", text).output().unwrap();
        let sentence = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(sentence.contains("REDLET_DEFAULTS") && sentence.contains(word), "{sentence}");
    }
}

#[test]
fn a_configuration_may_come_from_standard_input() {
    let port = free_port();
    let mut command = Command::new("sh");
    let line = format!("printf 'port {port}\\nmaxclients 55\\n' | exec {REDLET} -");
    let _server = Running::start(command.args(["-c", &line]), 1);
    assert_eq!(call(on_port(port), "CONFIG GET maxclients"), "[maxclients, 55]");
    assert_eq!(call(on_port(port), "SHUTDOWN NOSAVE"), "(end)");
}

#[test]
fn relative_paths_start_from_its_directory() {
    let scratch = Scratch::new();
    let mut command = redlet();
    command.args(["--port", "0", "--unixsocket", "here", "--logfile", "log", "--dir"]);
    let mut child = command.arg(scratch.directory()).spawn().map(Running).unwrap();
    let begin = Instant::now();
    while !scratch.path("here").exists() {
        assert!(begin.elapsed() < Duration::from_secs(10), "there is no socket");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(call(on_socket(&scratch.path("here")), "PING"), "PONG");
    child.signal("TERM");
    assert_eq!(child.wait().code(), Some(0));
    let log = std::fs::read_to_string(scratch.path("log")).unwrap();
    assert!(log.contains("Ready to accept connections on here"), "{log}");
}

#[test]
fn it_answers_soon_and_is_small() {
    let mut spent = Vec::new();
    for _ in 0..10 {
        let port = free_port();
        let begin = Instant::now();
        let mut command = redlet();
        command.args(["--port", &port.to_string()]).stdout(Stdio::null());
        let server = Running(command.spawn().unwrap());
        let mut client = loop {
            if let Ok(client) = TcpStream::connect(("127.0.0.1", port)) {
                break client;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "nobody listens");
            std::thread::sleep(Duration::from_micros(100));
        };
        assert_eq!(call(&mut client, "PING"), "PONG");
        spent.push(begin.elapsed());
        let resident = memory_of(&server.0.id().to_string(), "VmRSS:");
        assert!(resident < 20 * 1024 * 1024, "it takes {resident} bytes");
        if spent.len() == 10 {
            spent.sort_unstable();
            println!("figure: exec to PONG: median {:?}; {resident} bytes resident", spent[5]);
        }
    }
    assert!(spent[5] < Duration::from_secs(1), "{spent:?}");
}

#[test]
fn it_goes_on_when_descriptors_run_out() {
    let scratch = Scratch::new();
    let (port, socket) = (free_port(), scratch.path("socket"));
    let mut command = Command::new("sh");
    let line =
        format!("ulimit -n 40; exec {REDLET} --port {port} --unixsocket {}", socket.display());
    let _server = Running::start(command.args(["-c", &line]), 2);
    let mut first = on_port(port);
    assert_eq!(call(&mut first, "PING"), "PONG");
    let crowd: Vec<TcpStream> = (0..80).map(|_| on_port(port)).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(call(&mut first, "PING"), "PONG");
    drop(crowd);
    let late = on_port(port);
    late.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(call(late, "PING"), "PONG");
    assert_eq!(call(on_socket(&socket), "PING"), "PONG");
}
