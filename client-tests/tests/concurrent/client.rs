//! A connection with a name, whose complaints say who asked what; and what one connection can see of another.

use std::time::{Duration, Instant};

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
    text::shorten,
    wire::{NoReply, Wire, encode},
};
use tokio::{task::JoinSet, time::sleep};

/// A command's words.
pub(crate) type Words = Vec<String>;

/// How long anything may take that has to happen: far longer than it does on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How a transaction is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// Each command waits for the reply to the one before, so that others come in between.
    OneByOne,
}

pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    wire: Wire,
}

impl Client {
    pub(crate) async fn connect(
        server: &Running,
        name: impl Into<String>,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let name = format!("{} ({protocol})", name.into());
        let wire = server.wire(protocol).await.map_err(|why| format!("  {name}: {why}"))?;
        Ok(Self { name, protocol, wire })
    }

    /// Sends a command and reads its reply.
    pub(crate) async fn call(&mut self, words: &Words) -> Result<Reply, String> {
        self.send(std::slice::from_ref(words)).await?;
        self.reply(words).await
    }

    pub(crate) async fn ask(&mut self, words: &[&str]) -> Result<Reply, String> {
        self.call(&command(words)).await
    }

    /// Sends several commands with one write.
    pub(crate) async fn send(&mut self, commands: &[Words]) -> Result<(), String> {
        let bytes: Vec<u8> = commands.iter().flat_map(|words| encode(words)).collect();
        let sent = self.wire.send(&bytes).await;
        sent.map_err(|error| format!("  {} cannot send {}: {error}", self.name, line(&commands[0])))
    }

    /// The reply to a command that was sent before.
    pub(crate) async fn reply(&mut self, words: &Words) -> Result<Reply, String> {
        self.next(PATIENCE).await.map_err(|none| self.complaint(words, none))
    }

    /// Sends several commands with one write, and reads their replies.
    pub(crate) async fn pipeline(&mut self, commands: &[Words]) -> Result<Vec<Reply>, String> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for words in commands {
            replies.push(self.reply(words).await?);
        }
        Ok(replies)
    }

    /// Executes commands as one transaction that nothing can prevent.
    pub(crate) async fn execute(
        &mut self,
        commands: &[Words],
        pace: Pace,
    ) -> Result<Vec<Reply>, String> {
        let replies = self.execute_if_unchanged(commands, pace).await?;
        replies.ok_or_else(|| {
            format!("  {}: EXEC was answered with nil, and nothing was watched", self.name)
        })
    }

    /// Executes commands as one transaction; `None` if something that is watched has changed.
    pub(crate) async fn execute_if_unchanged(
        &mut self,
        commands: &[Words],
        pace: Pace,
    ) -> Result<Option<Vec<Reply>>, String> {
        let block = [&[command(&["MULTI"])], commands, &[command(&["EXEC"])]].concat();
        let mut replies = match pace {
            Pace::AtOnce => self.pipeline(&block).await?,
            Pace::OneByOne => self.one_by_one(&block).await?,
        };
        let last = replies.pop().expect("EXEC has a reply");
        for (words, reply) in block.iter().zip(&replies).skip(1) {
            if text(reply) != "QUEUED" {
                return Err(self.complaint(words, reply));
            }
        }
        match last {
            Reply::Array(items) if items.len() == commands.len() => Ok(Some(items)),
            null if null.is_null() => Ok(None),
            other => Err(self.complaint(&block[block.len() - 1], other)),
        }
    }

    async fn one_by_one(&mut self, commands: &[Words]) -> Result<Vec<Reply>, String> {
        let mut replies = Vec::with_capacity(commands.len());
        for words in commands {
            replies.push(self.call(words).await?);
        }
        Ok(replies)
    }

    /// Whatever comes next, or why nothing does.
    pub(crate) async fn next(&mut self, limit: Duration) -> Result<Reply, NoReply> {
        self.wire.reply_within(limit).await
    }

    /// The number that the server knows this connection by.
    pub(crate) async fn id(&mut self) -> Result<String, String> {
        Ok(text(&self.ask(&["CLIENT", "ID"]).await?))
    }

    /// What is wrong with the answer to a command.
    pub(crate) fn complaint(&self, words: &Words, answer: impl std::fmt::Display) -> String {
        let answer = shorten(&answer.to_string(), 300);
        format!("  {}: `{}` was answered with {answer}", self.name, line(words))
    }

    /// From now on the server speaks RESP2 to this connection.
    pub(crate) fn falls_back(&mut self) {
        self.protocol = Protocol::Resp2;
        self.wire.protocol = Protocol::Resp2;
    }
}

pub(crate) fn command<Word: AsRef<str>>(words: &[Word]) -> Words {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// A command as messages show it.
pub(crate) fn line(words: &Words) -> String {
    shorten(&words.join(" "), 200)
}

/// A reply's text, or nothing.
pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.text().unwrap_or_default()).into_owned()
}

/// The texts of an array of texts.
pub(crate) fn texts(reply: &Reply) -> Option<Vec<String>> {
    Some(reply.elements()?.into_iter().map(text).collect())
}

pub(crate) fn random_protocol(random: &mut Random) -> Protocol {
    *random.pick(&[Protocol::Resp2, Protocol::Resp3])
}

/// Waits until the connection of this number is blocked.
pub(crate) async fn until_blocked(control: &mut Client, id: &str) -> Result<(), String> {
    until(control, id, "is not blocked", |row| {
        row.split(' ').any(|field| field.strip_prefix("flags=").is_some_and(|f| f.contains('b')))
    })
    .await
}

/// Waits until the server has let the connection of this number go.
pub(crate) async fn until_gone(control: &mut Client, id: &str) -> Result<(), String> {
    until(control, id, "is not let go", |row| row.trim().is_empty()).await
}

async fn until(
    control: &mut Client,
    id: &str,
    complaint: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let row = text(&control.ask(&["CLIENT", "LIST", "ID", id]).await?);
        if fits(&row) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("  the connection {id} {complaint}: CLIENT LIST says {row:?}"));
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// How many clients INFO says are blocked.
pub(crate) async fn blocked_clients(control: &mut Client) -> Result<usize, String> {
    let info = text(&control.ask(&["INFO", "clients"]).await?);
    let number = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")?.parse().ok());
    number.ok_or_else(|| format!("  INFO clients names no blocked_clients: {info:?}"))
}

/// What all tasks give, or the first failure.
pub(crate) async fn join_all<Output: 'static>(
    mut tasks: JoinSet<Result<Output, String>>,
) -> Result<Vec<Output>, String> {
    let mut outputs = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        outputs.push(ended.map_err(|error| format!("  a task ended: {error}"))??);
    }
    Ok(outputs)
}
