//! A connection to a program, whose complaints name the command.

use std::time::Duration;

use crate::{
    reply::Reply,
    text::{command_line, shorten},
    wire::{NoReply, Wire, encode},
};

/// The words of a command.
pub type Command = Vec<Vec<u8>>;

/// A command of texts and bytes, whatever they are kept in.
#[macro_export]
macro_rules! command {
    ($($word:expr),+ $(,)?) => {
        vec![$($crate::program::caller::word(&$word)),+]
    };
}

/// One word of a command.
pub fn word<Word: AsRef<[u8]>>(word: &Word) -> Vec<u8> {
    word.as_ref().to_vec()
}

/// Long enough for a command that writes everything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Small enough that neither side can be waiting for the other to read.
const BATCH: usize = 50;
/// So much of a command is told with a failure.
const MOST_TOLD: usize = 300;

pub struct Caller {
    name: String,
    wire: Wire,
}

impl Caller {
    pub fn new(name: String, wire: Wire) -> Self {
        Self { name, wire }
    }

    /// The reply to a command, which may be an error.
    pub async fn ask(&mut self, command: &Command) -> Result<Reply, String> {
        self.send(std::slice::from_ref(command))
            .await
            .map_err(|none| self.complaint(command, none))?;
        self.reply().await.map_err(|none| self.complaint(command, none))
    }

    /// The reply to a command, which must not be an error.
    pub async fn demand(&mut self, command: &Command) -> Result<Reply, String> {
        let reply = self.ask(command).await?;
        if reply.is_error() { Err(self.complaint(command, reply)) } else { Ok(reply) }
    }

    /// The same for commands of plain words.
    pub async fn demand_words(&mut self, words: &[&str]) -> Result<Reply, String> {
        self.demand(&words.iter().map(|word| word.as_bytes().to_vec()).collect()).await
    }

    /// The replies to many commands, of which some may be errors.
    pub async fn ask_all(&mut self, commands: &[Command]) -> Result<Vec<Reply>, String> {
        let mut replies = Vec::with_capacity(commands.len());
        for batch in commands.chunks(BATCH) {
            self.send(batch).await.map_err(|none| self.complaint(&batch[0], none))?;
            for command in batch {
                replies.push(self.reply().await.map_err(|none| self.complaint(command, none))?);
            }
        }
        Ok(replies)
    }

    /// Sends several commands with one write.
    pub async fn send(&mut self, commands: &[Command]) -> Result<(), NoReply> {
        let bytes: Vec<u8> = commands.iter().flat_map(|words| encode(words)).collect();
        self.wire.send(&bytes).await.map_err(|_| NoReply::Closed)
    }

    /// The reply to what was sent first and has none yet.
    pub async fn reply(&mut self) -> Result<Reply, NoReply> {
        self.wire.reply_within(PATIENCE).await
    }

    pub async fn close(self) {
        self.wire.close().await;
    }

    /// What is wrong with the answer to a command.
    pub fn complaint(&self, command: &Command, answer: impl std::fmt::Display) -> String {
        let line = shorten(&command_line(command), MOST_TOLD);
        format!(
            "{}: `{line}` was answered with {}",
            self.name,
            shorten(&answer.to_string(), MOST_TOLD)
        )
    }
}
