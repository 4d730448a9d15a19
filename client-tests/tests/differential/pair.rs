//! Two servers that get the same commands.

use std::collections::BTreeMap;

use client_tests::{
    reply::{Protocol, Reply},
    target::{
        Running, Target,
        identity::{Identity, Product, Selector},
    },
    text,
    wire::{Wire, encode},
};

use crate::{
    compare, declared,
    generate::{Command, Common},
    queue::Queue,
    state,
};

/// Small enough that neither side can be waiting for the other to read.
const BATCH: usize = 50;

/// What the two servers disagreed on.
pub(crate) struct Difference {
    /// The index of the command; what is left at the end differs after the last one.
    pub(crate) after: usize,
    pub(crate) at_end: bool,
    pub(crate) what: String,
    pub(crate) left: String,
    pub(crate) right: String,
}

impl Difference {
    fn of_replies(after: usize, command: &Command, left: &Answer, right: &Answer) -> Self {
        let what = format!("different replies to the last: {}", text::command_line(command));
        Self { after, at_end: false, what, left: describe(left), right: describe(right) }
    }
}

pub(crate) type DeclaredCounts = BTreeMap<&'static str, usize>;

pub(crate) struct Pair {
    left: Side,
    right: Side,
}

/// One server, and a connection to it in each protocol.
pub(crate) struct Side {
    name: String,
    running: Running,
    pub(crate) identity: Identity,
    resp2: Option<Wire>,
    resp3: Option<Wire>,
}

impl Pair {
    pub(crate) async fn start(left: &Target, right: &Target) -> Result<Self, String> {
        Ok(Self { left: Side::start(left).await?, right: Side::start(right).await? })
    }

    /// Asks both servers what they have, and knows the rest by their versions.
    pub(crate) async fn common(&mut self) -> Result<Common, String> {
        let scripts = self.both_have("EVAL").await?;
        let before_7_2 = Selector::parse("redis <7.2").expect("it is a selector");
        let sides = self.identities();
        let [left_is_valkey, right_is_valkey] = sides.map(|side| side.product == Product::Valkey);
        Ok(Common {
            one_line: left_is_valkey == right_is_valkey,
            scripts,
            newer: !sides.iter().any(|side| before_7_2.selects(side)),
        })
    }

    /// Whether both servers have a command of this name.
    pub(crate) async fn both_have(&mut self, name: &str) -> Result<bool, String> {
        let ask = [words(&["COMMAND", "INFO", name])];
        let (left, right) = self.exchange(&ask, Protocol::Resp2).await?;
        let has = |answers: &[Answer]| {
            let rows = answers[0].as_ref().ok().and_then(Reply::elements).unwrap_or_default();
            rows.iter().all(|row| !row.is_null())
        };
        Ok(has(&left) && has(&right))
    }

    fn identities(&self) -> [&Identity; 2] {
        [&self.left.identity, &self.right.identity]
    }

    pub(crate) fn left_name(&self) -> &str {
        &self.left.name
    }

    pub(crate) fn right_name(&self) -> &str {
        &self.right.name
    }

    /// Plays the commands on two empty servers and finds the first difference.
    pub(crate) async fn play(
        &mut self,
        commands: &[Command],
        protocol: Protocol,
        declared: &mut DeclaredCounts,
    ) -> Result<Option<Difference>, String> {
        self.exchange(&beginning(), protocol).await?;
        let mut after = 0;
        let mut queue = Queue::default();
        for batch in commands.chunks(BATCH) {
            let (left, right) = self.exchange(batch, protocol).await?;
            for (command, (left, right)) in batch.iter().zip(left.iter().zip(&right)) {
                let executed = left.as_ref().map(|reply| queue.follow(command, reply));
                let executed = executed.unwrap_or_default();
                if self.differs(command, &executed, left, right, declared) {
                    self.hang_up();
                    return Ok(Some(Difference::of_replies(after, command, left, right)));
                }
                after += 1;
            }
        }
        self.exchange(&ending(), protocol).await?;
        let (left, right) = tokio::join!(
            state::read(&mut self.left, protocol),
            state::read(&mut self.right, protocol)
        );
        Ok(state::compare(&left?, &right?, self.identities())
            .map(|(what, left, right)| Difference { after, at_end: true, what, left, right }))
    }

    /// Whether the replies to a command differ, those that they hold to the commands that it executed included.
    fn differs(
        &self,
        command: &Command,
        executed: &[Command],
        left: &Answer,
        right: &Answer,
        declared: &mut DeclaredCounts,
    ) -> bool {
        match (left, right) {
            (Ok(Reply::Array(left)), Ok(Reply::Array(right)))
                if left.len() == executed.len() && right.len() == executed.len() =>
            {
                let replies = left.iter().zip(right);
                let mut all = executed.iter().zip(replies);
                all.any(|(command, (left, right))| {
                    self.reply_differs(command, left, right, declared)
                })
            }
            (Ok(left), Ok(right)) => self.reply_differs(command, left, right, declared),
            (left, right) => left != right,
        }
    }

    fn reply_differs(
        &self,
        command: &Command,
        left: &Reply,
        right: &Reply,
        declared: &mut DeclaredCounts,
    ) -> bool {
        if compare::agree(command, left, right) {
            return false;
        }
        let reason = declared::reason(self.identities(), command, left, right);
        if let Some(reason) = reason {
            *declared.entry(reason).or_default() += 1;
        }
        reason.is_none()
    }

    async fn exchange(
        &mut self,
        batch: &[Command],
        protocol: Protocol,
    ) -> Result<(Vec<Answer>, Vec<Answer>), String> {
        let (left, right) =
            tokio::join!(self.left.play(batch, protocol), self.right.play(batch, protocol));
        Ok((left?, right?))
    }

    /// After a difference the connections may be out of step.
    fn hang_up(&mut self) {
        for side in [&mut self.left, &mut self.right] {
            side.resp2 = None;
            side.resp3 = None;
        }
    }
}

/// A reply, or why there was none.
pub(crate) type Answer = Result<Reply, String>;

fn describe(answer: &Answer) -> String {
    match answer {
        Ok(reply) => reply.to_string(),
        Err(why) => why.clone(),
    }
}

/// What makes a server and a connection like new. Of a script it is known in the end whether it was loaded by EVAL alone,
/// which not every server remembers, so none is kept either.
fn beginning() -> Vec<Command> {
    [
        &["DISCARD"][..],
        &["UNWATCH"],
        &["FLUSHALL"],
        &["SCRIPT", "FLUSH"],
        &["SELECT", "0"],
        &["CLIENT", "SETNAME", ""],
    ]
    .map(words)
    .into()
}

/// What is left is read outside of any transaction.
fn ending() -> [Command; 1] {
    [words(&["DISCARD"])]
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

impl Side {
    async fn start(target: &Target) -> Result<Self, String> {
        target.check().await?;
        let running = target.start(&[]).await?;
        let identity = running.identify().await?;
        Ok(Self { name: target.name.clone(), running, identity, resp2: None, resp3: None })
    }

    /// Sends all commands at once and reads a reply for each.
    pub(crate) async fn play(
        &mut self,
        commands: &[Command],
        protocol: Protocol,
    ) -> Result<Vec<Answer>, String> {
        let place = match protocol {
            Protocol::Resp2 => &mut self.resp2,
            Protocol::Resp3 => &mut self.resp3,
        };
        if place.is_none() {
            *place = Some(self.running.wire(protocol).await?);
        }
        let wire = place.as_mut().expect("it was just connected");
        let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
        let mut answers = Vec::with_capacity(commands.len());
        let mut broken = wire.send(&bytes).await.err().map(|error| error.to_string());
        for _ in commands {
            if broken.is_none() {
                match wire.reply().await {
                    Ok(reply) => {
                        answers.push(Ok(reply));
                        continue;
                    }
                    Err(none) => broken = Some(none.to_string()),
                }
            }
            answers.push(Err(broken.clone().unwrap_or_default()));
        }
        if broken.is_some() {
            *place = None;
        }
        Ok(answers)
    }
}
