//! One connection at the level of bytes.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    decode::decode,
    reply::{Protocol, Reply},
};

/// How long a reply may take: long enough for a busy machine, short enough that a hundred silences do not stop a run.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

/// A byte stream to a server, over TCP or in memory.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<Any: AsyncRead + AsyncWrite + Unpin + Send> Stream for Any {}
pub type BoxedStream = Box<dyn Stream>;

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    Silence,
    Closed,
    Malformed(String),
}

impl std::fmt::Display for NoReply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => formatter.write_str("no reply"),
            Self::Closed => formatter.write_str("the connection closed"),
            Self::Malformed(why) => write!(formatter, "bytes that are no reply: {why}"),
        }
    }
}

/// A connection that sends bytes and reads whole replies.
pub struct Wire {
    stream: BoxedStream,
    input: BytesMut,
    pub protocol: Protocol,
}

impl Wire {
    pub fn new(stream: BoxedStream) -> Self {
        Self { stream, input: BytesMut::new(), protocol: Protocol::Resp2 }
    }

    /// Sends a command and reads its reply.
    pub async fn call(&mut self, words: &[&str]) -> Result<Reply, NoReply> {
        self.send(&encode(words)).await.map_err(|_| NoReply::Closed)?;
        self.reply().await
    }

    /// Switches to `protocol`; a server speaks RESP2 until it is asked for RESP3.
    pub async fn greet(&mut self, protocol: Protocol) -> Result<(), String> {
        if protocol == Protocol::Resp2 {
            return Ok(());
        }
        self.protocol = Protocol::Resp3;
        match self.call(&["HELLO", "3"]).await {
            Ok(Reply::Map(_)) => Ok(()),
            Ok(other) => Err(format!("HELLO 3 was answered with {other}")),
            Err(none) => Err(format!("HELLO 3: {none}")),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends each byte on its own, with a pause in between in which the server may read it.
    pub async fn send_bytewise(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.send(&[*byte]).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub async fn reply(&mut self) -> Result<Reply, NoReply> {
        self.reply_within(REPLY_TIMEOUT).await
    }

    pub async fn reply_within(&mut self, limit: Duration) -> Result<Reply, NoReply> {
        loop {
            if let Some((reply, length)) =
                decode(&self.input, self.protocol).map_err(NoReply::Malformed)?
            {
                self.input.advance(length);
                return Ok(reply);
            }
            self.read_more(limit).await?;
        }
    }

    /// Exactly `length` bytes, or those that came before the server fell silent or closed.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.input.len() < length {
            if self.read_more(REPLY_TIMEOUT).await.is_err() {
                break;
            }
        }
        let length = length.min(self.input.len());
        self.input.split_to(length).to_vec()
    }

    /// Waits for the server to close, and says what it sent instead.
    pub async fn closed(&mut self) -> Result<(), String> {
        loop {
            if !self.input.is_empty() {
                return Err(self.describe_input());
            }
            match self.read_more(REPLY_TIMEOUT).await {
                Ok(()) => {}
                Err(NoReply::Closed) => return Ok(()),
                Err(_) => return Err("a connection that stays open".to_owned()),
            }
        }
    }

    /// Waits `moment` for the server to say nothing.
    pub async fn silent(&mut self, moment: Duration) -> Result<(), String> {
        if self.input.is_empty() {
            match self.read_more(moment).await {
                Ok(()) => {}
                Err(NoReply::Silence) => return Ok(()),
                Err(other) => return Err(other.to_string()),
            }
        }
        Err(self.describe_input())
    }

    fn describe_input(&self) -> String {
        match decode(&self.input, self.protocol) {
            Ok(Some((reply, _))) => reply.to_string(),
            _ => format!("raw \"{}\"", crate::text::escape(&self.input)),
        }
    }

    /// Closes this side and waits until the server has let the connection go, so that the next case does not see it.
    pub async fn close(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        while self.read_more(Duration::from_millis(500)).await.is_ok() {
            self.input.clear();
        }
    }

    async fn read_more(&mut self, limit: Duration) -> Result<(), NoReply> {
        match timeout(limit, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Err(NoReply::Silence),
            Ok(Ok(0) | Err(_)) => Err(NoReply::Closed),
            Ok(Ok(_)) => Ok(()),
        }
    }
}

/// A command as clients send it: an array of bulk strings.
pub fn encode<Word: AsRef<[u8]>>(words: &[Word]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
