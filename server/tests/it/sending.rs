//! Commands that the program sends to a server: `redlet ping`, `redlet send`, and what is called `redis-cli`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::binary::{REDLET, Running, free_port};
use crate::support::Scratch;

/// The program, not knowing what the environment of the tests may know.
fn redlet(word: &str, port: u16) -> Command {
    let mut command = Command::new(REDLET);
    command.env_remove("REDISCLI_AUTH").stdin(Stdio::null());
    command.args([word, "-p", &port.to_string()]);
    command
}

fn serve(more: &[&str]) -> (Running, u16) {
    let port = free_port();
    let port_text = port.to_string();
    (Running::with(&[&["--port", &port_text], more].concat()), port)
}

/// Status, what it printed, and what it printed as errors.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    told(&command.output().expect("redlet was built"))
}

fn send(port: u16, words: &[&str]) -> String {
    let (status, printed, errors) = run(redlet("send", port).args(words));
    assert_eq!((status, &*errors), (Some(0), ""), "{words:?}");
    printed
}

#[test]
fn a_ping_tells_by_its_status_whether_the_server_serves() {
    let (_server, port) = serve(&["--requirepass", "secret"]);
    let with = |words: &[&str]| run(redlet("ping", port).args(words));
    assert_eq!(with(&["-a", "secret"]), (Some(0), "PONG\n".into(), String::new()));
    assert_eq!(with(&["--user", "default", "-a", "secret"]).0, Some(0));
    assert_eq!(run(redlet("ping", port).env("REDISCLI_AUTH", "secret")).0, Some(0));
    // Without a password nobody can say more than that the server asks for one.
    assert_eq!(with(&[]), (Some(0), "NOAUTH Authentication required.\n\n".into(), String::new()));
    let (status, _, errors) = with(&["-a", "wrong"]);
    assert!(status == Some(1) && errors.contains("WRONGPASS"), "{errors}");
    let (status, _, errors) = with(&["word"]);
    assert!(status == Some(1) && errors.contains("'word'"), "{errors}");
    let (status, _, errors) = run(&mut redlet("ping", free_port()));
    assert!(status == Some(1) && errors.contains("no server answers at 127.0.0.1:"), "{errors}");
}

#[test]
fn a_server_that_wants_no_password_is_pinged_with_one() {
    let (_server, port) = serve(&[]);
    let (status, printed, errors) = run(redlet("ping", port).args(["-a", "any"]));
    assert_eq!((status, &*printed), (Some(0), "PONG\n"));
    assert!(errors.starts_with("AUTH failed: ERR AUTH"), "{errors}");
}

#[test]
fn replies_are_printed_line_by_line() {
    let (_server, port) = serve(&[]);
    for (words, printed) in [
        (&["SET", "key", "a b"][..], "OK\n"),
        (&["GET", "key"], "a b\n"),
        (&["GET", "none"], "\n"),
        (&["INCR", "count"], "1\n"),
        (&["RPUSH", "list", "one", "", "three"], "3\n"),
        (&["LRANGE", "list", "0", "-1"], "one\n\nthree\n"),
        (&["LRANGE", "none", "0", "-1"], "\n"),
        (&["EVAL", "return {1, {2, {}}, 'x'}", "0"], "1\n2\n\nx\n"),
        (&["-n", "3", "SET", "key", "third"], "OK\n"),
        (&["-n", "3", "GET", "key"], "third\n"),
        (&["GET", "key"], "a b\n"),
        (&["nonsense"], "ERR unknown command 'nonsense', with args beginning with: \n\n"),
    ] {
        assert_eq!(send(port, words), printed, "{words:?}");
    }
    assert_eq!(send(port, &["SETRANGE", "long", "3000000", "end"]), "3000003\n");
    assert_eq!(send(port, &["GET", "long"]).len(), 3_000_004);
}

#[test]
fn an_error_can_be_what_the_status_tells() {
    let (_server, port) = serve(&[]);
    let (status, printed, errors) = run(redlet("send", port).args(["-e", "INCR", "key", "more"]));
    assert_eq!((status, &*printed), (Some(1), ""));
    assert_eq!(errors, "redlet: ERR wrong number of arguments for 'incr' command\n");
    let (status, _, errors) = run(redlet("send", port).args(["-n", "99", "GET", "key"]));
    assert!(status == Some(1) && errors.contains("database 99"), "{errors}");
    let (status, _, errors) = run(redlet("send", port).args(["--bigkeys"]));
    assert!(status == Some(1) && errors.contains("--bigkeys"), "{errors}");
    let (status, page, _) = run(redlet("send", port).args(["--help"]));
    assert!(status == Some(0) && page.contains("redlet ping"), "{page}");
}

#[test]
fn bytes_are_sent_and_printed_as_they_are() {
    let (_server, port) = serve(&[]);
    let bytes = OsStr::from_bytes(b"\xff\xfe\r\n$1");
    assert_eq!(run(redlet("send", port).args(["SET", "key"]).arg(bytes)).1, "OK\n");
    let output = redlet("send", port).args(["GET", "key"]).output().expect("redlet was built");
    assert_eq!(output.stdout, [bytes.as_bytes(), b"\n"].concat());
    assert_eq!(send(port, &["STRLEN", "key"]), "6\n");
}

#[test]
fn lines_of_standard_input_are_commands() {
    let (_server, port) = serve(&[]);
    let mut command = redlet("send", port);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"SET key \"a b\"\n\n  GET key \r\nquit\nGET key\n").unwrap();
    drop(input);
    assert_eq!(told(&child.wait_with_output().unwrap()).1, "OK\na b\n");
    // A line cannot pretend to be a request of the other form, for whose rest everybody would wait.
    let mut child =
        redlet("send", port).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"*3\nPING").unwrap();
    let printed = told(&child.wait_with_output().unwrap()).1;
    assert!(
        printed.starts_with("ERR unknown command '*3'") && printed.ends_with("\nPONG\n"),
        "{printed}"
    );
}

#[test]
fn who_listens_is_told_until_the_server_ends() {
    let (mut server, port) = serve(&[]);
    let mut command = redlet("send", port);
    command.args(["SUBSCRIBE", "news"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let next = |lines: &mut dyn Iterator<Item = String>| lines.take(3).collect::<Vec<_>>();
    assert_eq!(next(&mut lines), ["subscribe", "news", "1"]);
    assert_eq!(send(port, &["PUBLISH", "news", "it rains"]), "1\n");
    assert_eq!(next(&mut lines), ["message", "news", "it rains"]);
    assert_eq!(send(port, &["SHUTDOWN", "NOSAVE"]), "");
    assert_eq!(server.wait().code(), Some(0));
    let (status, _, errors) = told(&child.wait_with_output().unwrap());
    assert!(status == Some(1) && errors.contains("has ended"), "{errors}");
}

#[test]
fn under_the_names_of_redis_it_does_what_these_do() {
    let scratch = Scratch::new();
    let [server, client, socket] =
        ["redis-server", "redis-cli", "socket"].map(|name| scratch.path(name));
    for name in [&server, &client] {
        std::os::unix::fs::symlink(REDLET, name).unwrap();
    }
    let mut command = Command::new(&server);
    let _server = Running::start(command.args(["--port", "0", "--unixsocket"]).arg(&socket), 1);
    let with =
        |path: &Path, words: &[&str]| run(Command::new(&client).arg("-s").arg(path).args(words));
    assert_eq!(with(&socket, &["ping"]).1, "PONG\n");
    assert_eq!(
        with(&socket, &["send", "ping"]).1.lines().next(),
        Some("ERR unknown command 'send', with args beginning with: 'ping' ")
    );
    let (status, _, errors) = with(&scratch.path("none"), &["ping"]);
    assert!(status == Some(1) && errors.contains("none"), "{errors}");
    assert_eq!(run(Command::new(&client).arg("--version")).0, Some(0));
}
