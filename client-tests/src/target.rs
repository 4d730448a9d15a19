//! The servers the suite runs against.

mod directory;
pub mod identity;
pub mod peer;
#[cfg(feature = "redlet")]
pub mod redlet;
pub mod url;

use std::{env, io};

use identity::Identity;

use crate::{
    reply::{Protocol, Reply},
    text::contains,
    wire::{BoxedStream, Wire},
};

/// A parameter of a server and its value.
pub type Parameter = (String, String);

/// A kind of server that can be started, or is there already.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    #[cfg(feature = "redlet")]
    Redlet(redlet::Transport),
    Peer(std::path::PathBuf),
    Url(url::Url),
}

/// A server that runs; it ends when this is dropped.
pub struct Running {
    server: Server,
    password: Option<String>,
}

enum Server {
    #[cfg(feature = "redlet")]
    Redlet(redlet::Redlet),
    Peer(peer::Peer),
    Url(url::Url),
}

/// Every target there is by name, and why those that cannot be had cannot.
pub struct Targets {
    pub found: Vec<Target>,
    pub missing: Vec<(String, String)>,
}

impl Targets {
    /// The targets named, or all of them.
    pub fn find(wanted: Option<&[String]>) -> Self {
        let mut targets = Self { found: Vec::new(), missing: Vec::new() };
        let all: Vec<String> = NAMES.iter().map(ToString::to_string).collect();
        for name in wanted.unwrap_or(&all) {
            match Target::find(name) {
                Ok(target) => targets.found.push(target),
                Err(why) => targets.missing.push((name.clone(), why)),
            }
        }
        targets
    }
}

impl Targets {
    /// Sets aside those that must not be used.
    pub async fn check(&mut self) {
        for target in std::mem::take(&mut self.found) {
            match target.check().await {
                Ok(()) => self.found.push(target),
                Err(why) => self.missing.push((target.name, why)),
            }
        }
    }
}

const NAMES: [&str; 5] = ["redlet-tcp", "redlet-memory", "redis-7.0", "redis-8.0", "valkey-9.1"];

impl Target {
    /// A target by its name, or by a URL.
    pub fn find(name: &str) -> Result<Self, String> {
        let kind = match name {
            #[cfg(feature = "redlet")]
            "redlet-tcp" => Kind::Redlet(redlet::Transport::Tcp),
            #[cfg(feature = "redlet")]
            "redlet-memory" => Kind::Redlet(redlet::Transport::Memory),
            #[cfg(not(feature = "redlet"))]
            "redlet-tcp" | "redlet-memory" => {
                return Err("the suite was built without redlet".to_owned());
            }
            url if url.contains("://") => Kind::Url(url::Url::parse(url)?),
            peer => Kind::Peer(peer::find(peer)?),
        };
        Ok(Self { name: name.to_owned(), kind })
    }

    /// A server that was there before the suite can neither be configured nor started several times.
    pub fn is_url(&self) -> bool {
        matches!(self.kind, Kind::Url(_))
    }

    /// Whether this target may be used at all.
    pub async fn check(&self) -> Result<(), String> {
        if !self.is_url() {
            return Ok(());
        }
        self.start(&[]).await?.refuse_data().await
    }

    /// Whether clients come over a socket.
    pub fn has_addresses(&self) -> bool {
        self.name != "redlet-memory"
    }

    pub async fn start(&self, parameters: &[Parameter]) -> Result<Running, String> {
        let server = match &self.kind {
            #[cfg(feature = "redlet")]
            Kind::Redlet(transport) => {
                Server::Redlet(redlet::Redlet::start(*transport, parameters).await?)
            }
            Kind::Peer(executable) => {
                Server::Peer(peer::Peer::start(executable, parameters).await?)
            }
            Kind::Url(url) => Server::Url(url.clone()),
        };
        let password = if let Server::Url(url) = &server {
            url.password.clone()
        } else {
            let given = parameters.iter().find(|(name, _)| name == "requirepass");
            given.map(|(_, value)| value.clone())
        };
        Ok(Running { server, password })
    }
}

impl Running {
    pub async fn connect(&self) -> io::Result<BoxedStream> {
        match &self.server {
            #[cfg(feature = "redlet")]
            Server::Redlet(redlet) => redlet.connect().await,
            Server::Peer(peer) => peer.connect().await,
            Server::Url(url) => url.connect().await,
        }
    }

    /// A connection that has given the password, if there is one, and speaks `protocol`.
    pub async fn wire(&self, protocol: Protocol) -> Result<Wire, String> {
        let mut wire = self.plain_wire().await?;
        if let Some(password) = &self.password {
            wire.call(&["AUTH", password]).await.map_err(|none| format!("AUTH: {none}"))?;
        }
        wire.greet(protocol).await?;
        Ok(wire)
    }

    /// A connection on which nothing was sent yet.
    pub async fn plain_wire(&self) -> Result<Wire, String> {
        let stream = self.connect().await.map_err(|error| format!("cannot connect: {error}"))?;
        Ok(Wire::new(stream))
    }

    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Empties the server between two cases, over a connection that is gone when this returns.
    pub async fn reset(&self) -> Result<(), String> {
        let mut wire = self.wire(Protocol::Resp2).await?;
        match ask(&mut wire, &["FLUSHALL"]).await? {
            Reply::Simple(_) => {}
            other => return Err(format!("FLUSHALL was answered with {other}")),
        }
        // A server without functions refuses this, and has nothing to delete.
        ask(&mut wire, &["FUNCTION", "FLUSH"]).await?;
        wire.close().await;
        Ok(())
    }

    /// Refuses a server that holds keys or functions: they would be deleted, and nobody said they may be.
    pub async fn refuse_data(&self) -> Result<(), String> {
        let may_be_deleted = env::var_os("CONFORMANCE_FLUSH").is_some_and(|value| value == "yes");
        if may_be_deleted || !self.holds_data().await? {
            return Ok(());
        }
        Err("it holds keys or functions, which the suite would delete: CONFORMANCE_FLUSH=yes allows that".to_owned())
    }

    async fn holds_data(&self) -> Result<bool, String> {
        let mut wire = self.wire(Protocol::Resp2).await?;
        let info = ask(&mut wire, &["INFO", "keyspace"]).await?;
        let libraries = ask(&mut wire, &["FUNCTION", "LIST"]).await?;
        wire.close().await;
        let holds_keys = info.text().is_some_and(|info| contains(&info, b"keys="));
        Ok(holds_keys || matches!(libraries, Reply::Array(libraries) if !libraries.is_empty()))
    }

    /// Asks the server which product and version it is.
    pub async fn identify(&self) -> Result<Identity, String> {
        #[cfg(feature = "redlet")]
        if matches!(self.server, Server::Redlet(_)) {
            return Ok(Identity::of_redlet());
        }
        let mut wire = self.wire(Protocol::Resp2).await?;
        let info = match wire.call(&["INFO", "server"]).await {
            Ok(Reply::Bulk(info)) => String::from_utf8_lossy(&info).into_owned(),
            Ok(other) => return Err(format!("INFO server was answered with {other}")),
            Err(none) => return Err(format!("INFO server: {none}")),
        };
        wire.close().await;
        Identity::from_info(&info)
    }
}

/// The reply to a command, or which command got none.
async fn ask(wire: &mut Wire, command: &[&str]) -> Result<Reply, String> {
    wire.call(command).await.map_err(|none| format!("{}: {none}", command.join(" ")))
}
