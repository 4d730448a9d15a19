//! `redlet send` and `redlet ping`: commands for a server that runs already, from scripts, health checks and
//! `docker compose exec`. Under the name `redis-cli` the program does the same.
//!
//! Replies are printed as redis-cli prints them into a pipe, and its options mean what they mean there. What redis-cli does
//! beyond that, for people at a terminal, is left to it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write, stdin, stdout};
use std::net::TcpStream;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;

/// Where redis-cli looks for a password that is not to stand on a command line.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";
/// What a line of a reply may take, which is an error's text at most.
const LONGEST_LINE: u64 = 64 * 1024;
/// After these a server goes on sending.
const LISTENING: [&str; 4] = ["subscribe", "psubscribe", "ssubscribe", "monitor"];

pub(crate) const HELP: &str = "\
Usage: redlet send [OPTIONS] [COMMAND [ARGUMENT...]]
       redlet ping [OPTIONS]

'send' sends a command to a server and prints the reply. Without a command, each line of standard input is one.
'ping' ends with status 0 when the server serves, if only with a password, and otherwise with 1.

  -h HOST       [127.0.0.1]
  -p PORT       [6379]
  -s SOCKET     path of a Unix socket, in place of host and port
  -a PASSWORD   may also be in the environment, as REDISCLI_AUTH
  --user USER   [default]
  -n DATABASE   [0]
  -e            an error as reply goes to standard error, and the status is 1
";

/// Commands, and the server that they are for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    host: String,
    port: u16,
    socket: Option<String>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    fails: Fails,
    /// The command; where it is empty, the commands come from standard input.
    words: Vec<Vec<u8>>,
}

/// When a reply ends the program with status 1.
#[derive(Debug, PartialEq, Eq)]
enum Fails {
    Never,
    OnErrors,
    /// A server that only asks for a password serves those who have it.
    OnErrorsButForPasswords,
}

impl Sending {
    /// Reads what stands behind `send`; the error is a sentence, and nothing is somebody who wants help.
    pub(crate) fn parse(mut rest: VecDeque<OsString>) -> Result<Option<Self>, String> {
        let mut sending = Sending {
            host: "127.0.0.1".into(),
            port: 6379,
            socket: None,
            user: None,
            password: std::env::var(PASSWORD_VARIABLE).ok(),
            database: None,
            fails: Fails::Never,
            words: Vec::new(),
        };
        while let Some(option) = pop_option(&mut rest) {
            match &*option {
                "--help" => return Ok(None),
                "-h" if rest.is_empty() => return Ok(None),
                _ => sending.take(&option, &mut rest)?,
            }
        }
        sending.words = rest.into_iter().map(OsString::into_vec).collect();
        Ok(Some(sending))
    }

    /// Reads what stands behind `ping`.
    pub(crate) fn parse_ping(rest: VecDeque<OsString>) -> Result<Option<Self>, String> {
        let Some(mut ping) = Sending::parse(rest)? else { return Ok(None) };
        if let Some(word) = ping.words.first() {
            return Err(unexpected(&word.escape_ascii().to_string()));
        }
        ping.words.push(b"PING".to_vec());
        ping.fails = match ping.password {
            Some(_) => Fails::OnErrors,
            None => Fails::OnErrorsButForPasswords,
        };
        Ok(Some(ping))
    }

    fn take(&mut self, option: &str, rest: &mut VecDeque<OsString>) -> Result<(), String> {
        let mut value = || {
            let value = rest.pop_front().map(|value| value.to_string_lossy().into_owned());
            value.ok_or_else(|| format!("{option} needs a value; see 'redlet send --help'"))
        };
        match option {
            "-h" => self.host = value()?,
            "-p" => self.port = port(&value()?)?,
            "-s" => self.socket = Some(value()?),
            "-a" | "--pass" => self.password = Some(value()?),
            "--user" => self.user = Some(value()?),
            "-n" => self.database = Some(value()?),
            "-e" => self.fails = Fails::OnErrors,
            // What these ask redis-cli for is so in any case.
            "--raw" | "--no-auth-warning" | "-2" => {}
            _ => return Err(unexpected(option)),
        }
        Ok(())
    }

    /// Sends what is to be sent, and prints what comes back.
    pub(crate) fn perform(&self) -> Result<(), String> {
        let name = self.socket.clone().unwrap_or_else(|| format!("{}:{}", self.host, self.port));
        let unreachable = |error| format!("no server answers at {name} ({error})");
        match &self.socket {
            Some(path) => self.converse(&name, UnixStream::connect(path).map_err(unreachable)?),
            None => self.converse(
                &name,
                TcpStream::connect((&*self.host, self.port)).map_err(unreachable)?,
            ),
        }
    }

    fn converse(&self, name: &str, stream: impl Read + Write) -> Result<(), String> {
        let mut server = Peer { name, stream: BufReader::new(stream) };
        self.log_in(&mut server)?;
        if self.words.is_empty() {
            return self.send_lines(&mut server);
        }
        self.send(&encode(&self.words), &self.words[0], &mut server)
    }

    /// A refused password ends nothing by itself: the server may want none.
    fn log_in(&self, server: &mut Peer<'_, impl Read + Write>) -> Result<(), String> {
        if let Some(password) = &self.password {
            let mut words = vec!["AUTH"];
            words.extend(self.user.as_deref());
            words.push(password);
            let reply = server.ask(&encode(&words))?;
            if reply.is_error {
                eprint!("AUTH failed: {}", String::from_utf8_lossy(&reply.text));
            }
        }
        let Some(database) = &self.database else { return Ok(()) };
        let reply = server.ask(&encode(&["SELECT", database]))?;
        if reply.is_error {
            let text = String::from_utf8_lossy(&reply.text);
            return Err(format!("database {database} cannot be used: {}", text.trim_end()));
        }
        Ok(())
    }

    /// Each line is a command, which the server itself splits into words.
    fn send_lines(&self, server: &mut Peer<'_, impl Read + Write>) -> Result<(), String> {
        let mut lines = stdin().lock().split(b'\n');
        loop {
            if stdin().is_terminal() {
                print(format!("{}> ", server.name).as_bytes())?;
            }
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line.map_err(|error| format!("cannot read standard input: {error}"))?;
            let line = line.trim_ascii();
            match line.split(u8::is_ascii_whitespace).next().unwrap_or_default() {
                b"" => {}
                b"quit" | b"exit" => return Ok(()),
                // The blank keeps a line from beginning as the other form of requests does.
                name => self.send(&[b" ", line, b"\r\n"].concat(), name, server)?,
            }
        }
    }

    fn send(
        &self,
        request: &[u8],
        name: &[u8],
        server: &mut Peer<'_, impl Read + Write>,
    ) -> Result<(), String> {
        let is = |names: &[&str]| names.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()));
        match server.ask(request) {
            // It was asked to end, and does.
            Err(_) if is(&["shutdown"]) => return Ok(()),
            reply => self.show(&reply?)?,
        }
        while is(&LISTENING) {
            self.show(&server.read()?)?;
        }
        Ok(())
    }

    fn show(&self, reply: &Reply) -> Result<(), String> {
        let fails = match self.fails {
            Fails::Never => false,
            Fails::OnErrors => reply.is_error,
            Fails::OnErrorsButForPasswords => reply.is_error && !reply.text.starts_with(b"NOAUTH "),
        };
        if fails {
            return Err(String::from_utf8_lossy(&reply.text).trim_end().to_owned());
        }
        print(&reply.text)
    }
}

fn print(text: &[u8]) -> Result<(), String> {
    let mut output = stdout().lock();
    let printed = output.write_all(text).and_then(|()| output.flush());
    printed.map_err(|error| format!("cannot write the reply: {error}"))
}

fn pop_option(rest: &mut VecDeque<OsString>) -> Option<String> {
    let option = rest.front()?.to_str().filter(|word| word.starts_with('-'))?.to_owned();
    rest.pop_front();
    Some(option)
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("'{text}' is no port; a port is a number up to 65535"))
}

fn unexpected(word: &str) -> String {
    format!("'{word}' is not understood here; see 'redlet send --help'")
}

/// A server, and what it is called in sentences.
struct Peer<'a, S> {
    name: &'a str,
    stream: BufReader<S>,
}

struct Reply {
    /// As it is printed.
    text: Vec<u8>,
    is_error: bool,
}

impl<S: Read + Write> Peer<'_, S> {
    fn ask(&mut self, request: &[u8]) -> Result<Reply, String> {
        self.stream.get_mut().write_all(request).map_err(|error| self.broken(&error))?;
        self.read()
    }

    fn read(&mut self) -> Result<Reply, String> {
        read_reply(&mut self.stream).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> String {
        format!("the connection to {} has ended ({error})", self.name)
    }
}

fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        request.extend(format!("${}\r\n", word.len()).into_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// Reads a reply. Every element of an array, however deep, is a line, and an empty line follows an error.
fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let is_error = stream.fill_buf()?.first() == Some(&b'-');
    let mut text = Vec::new();
    let mut elements: u64 = 1;
    while elements > 0 {
        elements -= 1;
        let head = read_line(stream)?;
        match head.split_first() {
            Some((b'*', count)) if number(count)? > 0 => {
                elements = elements.saturating_add(number(count)? as u64);
                continue;
            }
            Some((b'$', length)) => read_text(stream, number(length)?, &mut text)?,
            Some((b'*', _)) => {}
            Some((b'+' | b':', told)) => text.extend_from_slice(told),
            Some((b'-', told)) => text.extend([told, b"\n"].concat()),
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        text.push(b'\n');
    }
    Ok(Reply { text, is_error })
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(line.to_vec()),
        None if line.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
        None => Err(ErrorKind::InvalidData.into()),
    }
}

/// Reads so many bytes and the end of their line; there are none where the length is negative.
fn read_text(stream: &mut impl BufRead, length: i64, text: &mut Vec<u8>) -> io::Result<()> {
    let Ok(length) = u64::try_from(length) else { return Ok(()) };
    if stream.take(length).read_to_end(text)? as u64 != length || !read_line(stream)?.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn number(digits: &[u8]) -> io::Result<i64> {
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> VecDeque<OsString> {
        line.iter().map(OsString::from).collect()
    }

    fn printed(reply: &[u8]) -> String {
        let reply = read_reply(&mut &reply[..]).expect("it is whole");
        String::from_utf8(reply.text).expect("it is text")
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let line = ["-p", "1", "-h", "there", "--user", "me", "-a", "-", "-e", "GET", "-n", "3"];
        let sending = Sending::parse(words(&line)).unwrap().unwrap();
        assert_eq!((sending.port, &*sending.host), (1, "there"));
        assert_eq!((sending.user.as_deref(), sending.password.as_deref()), (Some("me"), Some("-")));
        assert!(sending.fails == Fails::OnErrors && sending.database.is_none());
        assert_eq!(sending.words, [&b"GET"[..], b"-n", b"3"]);
    }

    #[test]
    fn what_is_wrong_on_the_line_is_said() {
        for line in [&["-p"][..], &["-p", "65536"], &["-x", "GET"], &["--bigkeys"]] {
            assert!(Sending::parse(words(line)).is_err(), "{line:?}");
        }
        assert!(Sending::parse_ping(words(&["-p", "1", "word"])).is_err());
        for line in [&["-h"][..], &["--help"], &["-p", "1", "--help", "x"]] {
            assert_eq!(Sending::parse(words(line)), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn every_element_of_a_reply_is_a_line() {
        for (reply, lines) in [
            (&b"+PONG\r\n"[..], "PONG\n"),
            (b":-1\r\n", "-1\n"),
            (b"$-1\r\n", "\n"),
            (b"*-1\r\n", "\n"),
            (b"*0\r\n", "\n"),
            (b"$4\r\na\r\nb\r\n", "a\r\nb\n"),
            (b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n", "1\na\n\n\n"),
            (b"-ERR no\r\n", "ERR no\n\n"),
        ] {
            assert_eq!(printed(reply), lines, "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn a_reply_that_is_none_is_an_error() {
        for reply in
            ["", "+PONG", "PONG\r\n", "\r\n", "$3\r\nab", "$1\r\nabc\r\n", "*2\r\n:1\r\n", "$x\r\n"]
        {
            assert!(read_reply(&mut reply.as_bytes()).is_err(), "{reply:?}");
        }
    }
}
