//! A save that a server makes in the background, and the watch over it.
//!
//! The watch has a connection of its own, on which it waits for nothing: whoever puts a load on the server at the same
//! time looks after it between two requests. A save has ended when the server's INFO says so.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::encoded;
use crate::reply::{reply_length, reply_text};
use crate::servers::{Server, line_after};

/// How often INFO is asked for, and so how exactly the end of a save is known.
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// A save that takes longer has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A command that begins a save, and the fields of INFO that tell of it.
pub(crate) struct Save {
    pub(crate) command: &'static str,
    /// It is 1 while the save goes on.
    progress: &'static str,
    outcome: &'static str,
}

pub(crate) const BGSAVE: Save = Save {
    command: "BGSAVE",
    progress: "rdb_bgsave_in_progress:",
    outcome: "rdb_last_bgsave_status:",
};

pub(crate) const BGREWRITEAOF: Save = Save {
    command: "BGREWRITEAOF",
    progress: "aof_rewrite_in_progress:",
    outcome: "aof_last_bgrewrite_status:",
};

impl Save {
    /// Saves, and waits for the end of it.
    pub(crate) fn complete(&'static self, server: &Server) -> Result<()> {
        let began = Instant::now();
        let mut watch = Watch::begin(server, self)?;
        while !watch.is_over(Instant::now())? {
            if began.elapsed() > LIMIT {
                return Err(format!("{} does not end", self.command).into());
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// Whether INFO says that the save has ended; an error if it has failed.
    fn has_ended(&self, info: &str) -> Result<bool> {
        if line_after(info, self.progress) != Some("0") {
            return Ok(false);
        }
        match line_after(info, self.outcome) {
            Some("ok") => Ok(true),
            outcome => Err(format!("{} fails: {outcome:?}", self.command).into()),
        }
    }
}

/// Someone who asks the server again and again.
pub(crate) struct Watch {
    save: &'static Save,
    stream: TcpStream,
    /// The part of the next reply that has come.
    received: Vec<u8>,
    next_look: Instant,
}

impl Watch {
    /// Has the server begin a save.
    pub(crate) fn begin(server: &Server, save: &'static Save) -> Result<Self> {
        Self::after(save.command, server, save)
    }

    /// Asks just as often, but has nothing saved.
    pub(crate) fn of_nothing(server: &Server, save: &'static Save) -> Result<Self> {
        Self::after("PING", server, save)
    }

    fn after(command: &str, server: &Server, save: &'static Save) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port))?;
        stream.set_nodelay(true)?;
        stream.write_all(&encoded(&[command]))?;
        stream.set_nonblocking(true)?;
        Ok(Watch { save, stream, received: Vec::new(), next_look: Instant::now() })
    }

    /// Whether the save has ended, as far as is known.
    pub(crate) fn is_over(&mut self, now: Instant) -> Result<bool> {
        if now < self.next_look {
            return Ok(false);
        }
        self.next_look = now + STEP;
        let Some(text) = self.receive()? else { return Ok(false) };
        self.stream.write_all(&encoded(&["INFO", "persistence"]))?;
        self.save.has_ended(&text)
    }

    /// The text of the reply, if all of it is there.
    fn receive(&mut self) -> Result<Option<String>> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(length) => self.received.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some(length) = reply_length(&self.received)? else { return Ok(None) };
        let text = reply_text(&self.received[..length]);
        let is_refusal = self.received[0] == b'-';
        self.received.clear();
        if is_refusal { Err(format!("the server refuses: {text}").into()) } else { Ok(Some(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_goes_on_until_the_server_says_otherwise() {
        assert!(!BGSAVE.has_ended("Background saving started").unwrap());
        let info = "rdb_bgsave_in_progress:1\r\nrdb_last_bgsave_status:ok\r\n";
        assert!(!BGSAVE.has_ended(info).unwrap());
        assert!(BGSAVE.has_ended(&info.replace(":1", ":0")).unwrap());
    }

    #[test]
    fn a_save_that_failed_is_an_error() {
        let info = "aof_rewrite_in_progress:0\r\naof_last_bgrewrite_status:err\r\n";
        assert!(BGREWRITEAOF.has_ended(info).is_err());
    }
}
