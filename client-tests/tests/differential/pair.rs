//! Two servers that get the same commands.

use std::collections::BTreeMap;

use client_tests::{
    reply::{Protocol, Reply},
    target::{Running, Target, identity::Identity},
    wire::{Wire, encode},
};

use crate::{compare, declared, generate::Command, state};

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
        for batch in commands.chunks(BATCH) {
            let (left, right) = self.exchange(batch, protocol).await?;
            for (command, (left, right)) in batch.iter().zip(left.iter().zip(&right)) {
                if let Some(difference) = self.compare(after, command, left, right, declared) {
                    self.hang_up();
                    return Ok(Some(difference));
                }
                after += 1;
            }
        }
        let (left, right) = tokio::join!(
            state::read(&mut self.left, protocol),
            state::read(&mut self.right, protocol)
        );
        Ok(state::compare(&left?, &right?).map(|(what, left, right)| Difference {
            after,
            at_end: true,
            what,
            left,
            right,
        }))
    }

    fn compare(
        &self,
        after: usize,
        command: &Command,
        left: &Answer,
        right: &Answer,
        declared: &mut DeclaredCounts,
    ) -> Option<Difference> {
        let same = match (left, right) {
            (Ok(left), Ok(right)) => compare::agree(command, left, right),
            (Err(left), Err(right)) => left == right,
            _ => false,
        };
        if same {
            return None;
        }
        if let (Ok(left), Ok(right)) = (left, right) {
            let identities = [&self.left.identity, &self.right.identity];
            if let Some(reason) = declared::reason(identities, command, left, right) {
                *declared.entry(reason).or_default() += 1;
                return None;
            }
        }
        let what =
            format!("different replies to the last: {}", client_tests::text::command_line(command));
        Some(Difference {
            after,
            at_end: false,
            what,
            left: describe(left),
            right: describe(right),
        })
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

/// What makes a server and a connection like new.
fn beginning() -> Vec<Command> {
    [&["FLUSHALL"][..], &["SELECT", "0"], &["CLIENT", "SETNAME", ""]]
        .iter()
        .map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect())
        .collect()
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
