//! Plays one case against one server.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    case::{Action, Answer, Case, Protocols, Step, Whose},
    expect::Expect,
    reply::{Protocol, Reply},
    target::{Running, identity::Identity},
    text::{escape, split_words},
    variables::Variables,
    wire::{Wire, encode},
};

/// How long `=> nothing` listens.
const MOMENT: Duration = Duration::from_millis(30);
/// How long `@until` tries.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a case went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Steps in which the server answered otherwise than the case says, as it declares.
    pub declared: usize,
}

/// The step at which a case failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub line: usize,
    pub command: String,
    pub expected: String,
    pub got: String,
}

/// Runs all steps; the first that fails ends the case, as what follows it would mean nothing.
pub async fn play(
    case: &Case,
    running: &Running,
    identity: &Identity,
    protocol: Protocol,
) -> Result<Passed, Failure> {
    let mut session = Session {
        case,
        running,
        identity,
        protocol,
        wires: HashMap::new(),
        variables: Variables::default(),
        passed: Passed::default(),
    };
    let mut outcome = Ok(());
    for step in &case.steps {
        outcome = session.step(step).await;
        if outcome.is_err() {
            break;
        }
    }
    let passed = session.passed;
    for (_, wire) in session.wires {
        wire.close().await;
    }
    outcome.map(|()| passed)
}

struct Session<'run> {
    case: &'run Case,
    running: &'run Running,
    identity: &'run Identity,
    protocol: Protocol,
    wires: HashMap<String, Wire>,
    variables: Variables,
    passed: Passed,
}

impl Session<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let outcome = match &step.action {
            Action::Wait(duration) => {
                sleep(*duration).await;
                Ok(())
            }
            Action::Keep { name, text } => self.keep(name, text),
            Action::Close => {
                self.close(step).await;
                Ok(())
            }
            Action::Until(_) => self.repeat(step).await,
            _ => self.send_and_check(step).await,
        };
        outcome.map_err(|mismatch| mismatch.into_failure(step))
    }

    fn keep(&mut self, name: &str, text: &str) -> Result<(), Mismatch> {
        let words = self.variables.fill_in(text).and_then(|text| split_words(&text));
        let words = words.map_err(|why| Mismatch::new("a text to keep", why))?;
        self.variables.keep(name, words.concat());
        Ok(())
    }

    async fn close(&mut self, step: &Step) {
        if let Some(wire) = self.wires.remove(&step.connection) {
            wire.close().await;
        }
    }

    async fn repeat(&mut self, step: &Step) -> Result<(), Mismatch> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outcome = self.send_and_check(step).await;
            if outcome.is_ok() || Instant::now() > deadline {
                return outcome;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn send_and_check(&mut self, step: &Step) -> Result<(), Mismatch> {
        let plain = step.action == Action::Open && step.answers.expected.is_some();
        let greeted = !plain && self.case.protocols != Protocols::Plain;
        self.open(&step.connection, greeted)
            .await
            .map_err(|why| Mismatch::new("a connection", why))?;
        let words = self.send(step).await.map_err(|why| Mismatch::new("a command to send", why))?;
        self.check(step, &words).await
    }

    async fn open(&mut self, connection: &str, greeted: bool) -> Result<(), String> {
        if self.wires.contains_key(connection) {
            return Ok(());
        }
        let wire = if greeted {
            self.running.wire(self.protocol).await?
        } else {
            self.running.plain_wire().await?
        };
        self.wires.insert(connection.to_owned(), wire);
        Ok(())
    }

    /// A connection that is gone shows when its reply is read, so a failure to send is none yet.
    async fn send(&mut self, step: &Step) -> Result<Vec<Vec<u8>>, String> {
        let (Action::Command(text)
        | Action::Fragmented(text)
        | Action::Until(text)
        | Action::Raw(text)) = &step.action
        else {
            return Ok(Vec::new());
        };
        let words = split_words(&self.variables.fill_in(text)?)?;
        let wire = self.wires.get_mut(&step.connection).expect("the connection was opened before");
        let _ = match &step.action {
            Action::Raw(_) => wire.send(&words.concat()).await,
            Action::Fragmented(_) => wire.send_bytewise(&encode(&words)).await,
            _ => wire.send(&encode(&words)).await,
        };
        if matches!(step.action, Action::Raw(_)) { Ok(Vec::new()) } else { Ok(words) }
    }

    async fn check(&mut self, step: &Step, words: &[Vec<u8>]) -> Result<(), Mismatch> {
        let difference = step.answers.difference(self.identity, self.protocol);
        let base = step.answers.base(self.protocol);
        let answer = difference.map(|difference| &difference.answer).or(base);
        let Some(answer) = answer else { return Ok(()) };
        let expect = self.parse(answer)?;
        let wire = self.wires.get_mut(&step.connection).expect("the connection was opened before");
        let reply = observe(wire, &expect, words)
            .await
            .map_err(|got| Mismatch::new(&answer.notation, got))?;
        if let (Some(name), Some(reply)) = (&answer.kept_as, &reply) {
            let value =
                reply.text().ok_or_else(|| Mismatch::new("a text to keep", reply.to_string()))?;
            self.variables.keep(name, value);
        }
        if let Some(difference) =
            difference.filter(|difference| !matches!(difference.whose, Whose::Everyone))
        {
            self.passed.declared += 1;
            self.refuse_stale(base.filter(|base| **base != difference.answer), reply.as_ref())?;
        }
        Ok(())
    }

    /// A difference that is no longer one must not stay declared.
    fn refuse_stale(&self, base: Option<&Answer>, reply: Option<&Reply>) -> Result<(), Mismatch> {
        let (Some(base), Some(reply)) = (base, reply) else { return Ok(()) };
        if self.parse(base)?.matches(reply, self.protocol) {
            return Err(Mismatch::new(
                "the declared difference",
                format!("{reply}, as everywhere else"),
            ));
        }
        Ok(())
    }

    fn parse(&self, answer: &Answer) -> Result<Expect, Mismatch> {
        let notation = self.variables.fill_in(&answer.notation);
        notation
            .and_then(|notation| Expect::parse(&notation))
            .map_err(|why| Mismatch::new(&answer.notation, why))
    }
}

/// Reads what the connection does, and says what it was where that is not `expect`.
async fn observe(
    wire: &mut Wire,
    expect: &Expect,
    words: &[Vec<u8>],
) -> Result<Option<Reply>, String> {
    match expect {
        Expect::Closed => wire.closed().await.map(|()| None),
        Expect::Nothing => wire.silent(MOMENT).await.map(|()| None),
        Expect::Raw(bytes) => {
            let got = wire.bytes(bytes.len()).await;
            if got == *bytes { Ok(None) } else { Err(format!("raw \"{}\"", escape(&got))) }
        }
        _ => {
            let reply = read_reply(wire, words).await?;
            if expect.matches(&reply, wire.protocol) {
                Ok(Some(reply))
            } else {
                Err(reply.to_string())
            }
        }
    }
}

/// HELLO answers in the protocol it asks for, and RESET in RESP2.
async fn read_reply(wire: &mut Wire, words: &[Vec<u8>]) -> Result<Reply, String> {
    let before = wire.protocol;
    match words {
        [name, version, ..] if name.eq_ignore_ascii_case(b"hello") => {
            wire.protocol = if version == b"3" { Protocol::Resp3 } else { Protocol::Resp2 };
        }
        [name] if name.eq_ignore_ascii_case(b"reset") => wire.protocol = Protocol::Resp2,
        _ => {}
    }
    let reply = wire.reply().await.map_err(|none| none.to_string())?;
    if reply.is_error() {
        wire.protocol = before;
    }
    Ok(reply)
}

struct Mismatch {
    expected: String,
    got: String,
}

impl Mismatch {
    fn new(expected: &str, got: String) -> Self {
        Self { expected: expected.to_owned(), got }
    }

    fn into_failure(self, step: &Step) -> Failure {
        let (Action::Command(text)
        | Action::Fragmented(text)
        | Action::Until(text)
        | Action::Raw(text)) = &step.action
        else {
            return self.on(step, format!("{:?}", step.action));
        };
        // A report has a line for it.
        let command = text.replace('\n', "\\n");
        self.on(step, command)
    }

    fn on(self, step: &Step, command: String) -> Failure {
        let command = if step.connection == "a" {
            command
        } else {
            format!("{}> {command}", step.connection)
        };
        Failure { line: step.line, command, expected: self.expected, got: self.got }
    }
}
