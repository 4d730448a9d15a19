//! Listening, and letting clients in.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;

use crate::clients::{Client, ClientFlags};
use crate::clock::Moment;
use crate::config::Param;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::home::Home;
use crate::session::Session;

/// How long accepting rests when the system refuses, for want of descriptors for example.
const REST: Duration = Duration::from_millis(50);

/// Lets clients in; its tasks hold `task` for as long as they run.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) task: mpsc::Sender<()>,
}

/// Who is at the other end of a new connection.
pub(crate) enum Peer {
    Tcp { remote: SocketAddr, local: String },
    Unix { path: Arc<str> },
    Memory,
}

impl Acceptor {
    pub(crate) async fn accept_tcp(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    // Replies are written whole: waiting to fill a packet only delays them.
                    let _ = stream.set_nodelay(true);
                    self.keep_alive(&stream);
                    let local = stream.local_addr().map(|local| local.to_string());
                    let peer = Peer::Tcp { remote, local: local.unwrap_or_default() };
                    self.admit(stream, &peer);
                }
                Err(error) => self.rest(&error).await,
            }
        }
    }

    pub(crate) async fn accept_unix(self, listener: UnixListener, path: Arc<str>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.admit(stream, &Peer::Unix { path: Arc::clone(&path) }),
                Err(error) => self.rest(&error).await,
            }
        }
    }

    /// Has the system notice when the other side is gone without a word.
    fn keep_alive(&self, stream: &TcpStream) {
        let idle_s = self.engine.config.number(Param::TcpKeepalive);
        if let Ok(idle_s @ 1..) = u64::try_from(idle_s) {
            let idle = Duration::from_secs(idle_s);
            let probes = Duration::from_secs((idle_s / 3).max(1));
            let keepalive = TcpKeepalive::new().with_time(idle).with_interval(probes);
            let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
        }
    }

    /// A failed accept concerns one connection, or passes: the server goes on.
    async fn rest(&self, error: &io::Error) {
        tracing::warn!(%error, "a connection could not be accepted");
        self.engine.clock.sleep(REST).await;
    }

    /// Serves a connection on a task of its own.
    fn admit<S>(&self, stream: S, peer: &Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(self.serve(stream, peer));
    }

    /// Serves a connection, or tells it why not.
    pub(crate) fn serve<S>(
        &self,
        stream: S,
        peer: &Peer,
    ) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let admitted = if let Some(refusal) = refusal(&self.engine, peer) {
            self.engine.stats.rejected_connections.fetch_add(1, Ordering::Relaxed);
            Err((stream, refusal))
        } else {
            let engine = Arc::clone(&self.engine);
            let session = new_session(&engine, peer);
            Ok((Connection::new(engine, session, stream), self.task.clone()))
        };
        async move {
            match admitted {
                Ok((connection, task)) => {
                    connection.serve().await;
                    drop(task);
                }
                Err((mut stream, refusal)) => {
                    let _ = stream.write_all(refusal.as_bytes()).await;
                }
            }
        }
    }
}

fn refusal(engine: &Engine, peer: &Peer) -> Option<&'static str> {
    let config = &engine.config;
    if engine.clients.len() as i64 >= config.number(Param::MaxClients) {
        return Some("-ERR max number of clients reached\r\n");
    }
    let is_stranger = matches!(peer, Peer::Tcp { remote, .. } if !remote.ip().is_loopback());
    if is_stranger && config.enabled(Param::ProtectedMode) && !engine.has_password() {
        return Some(
            "-DENIED redlet runs in protected mode: without a password it serves this machine \
             only. Set one with requirepass, or start with --protected-mode no if nobody else can \
             reach this port.\r\n",
        );
    }
    None
}

fn new_session(engine: &Engine, peer: &Peer) -> Session {
    let id = engine.clients.next_id();
    let (remote, local) = match peer {
        Peer::Tcp { remote, local } => (remote.to_string(), local.clone()),
        Peer::Unix { path } => (format!("{path}:0"), format!("{path}:0")),
        Peer::Memory => (format!("memory:{id}"), "memory:0".to_owned()),
    };
    let moment = Moment::now(&engine.clock);
    let client = Client::new(id, remote, local, moment.now_ms());
    if matches!(peer, Peer::Unix { .. }) {
        client.raise(ClientFlags::UNIX_SOCKET);
    }
    let mut session = Session::new(Arc::new(client), !engine.has_password(), moment);
    session.home = home(peer);
    session
}

/// On what kind of thread a client's requests are executed. What a client writes in memory is executed
/// on its own thread, of which nothing is known.
fn home(peer: &Peer) -> Home {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match (peer, flavor) {
        (Peer::Tcp { .. } | Peer::Unix { .. }, Ok(RuntimeFlavor::MultiThread)) => Home::Worker,
        _ => Home::Alone,
    }
}

/// Listens on an address of `bind`: a leading dash means that it does not matter if the machine
/// has no such address. The error is a sentence that says what to do.
pub(crate) fn bind(host: &str, port: u16, backlog: u32) -> Result<Option<TcpListener>, String> {
    let (host, is_optional) = match host.strip_prefix('-') {
        Some(host) => (host, true),
        None => (host, false),
    };
    let address = match host {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    };
    let absent = [io::ErrorKind::AddrNotAvailable, io::ErrorKind::Unsupported];
    match listen(address, port, backlog) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if is_optional && absent.contains(&error.kind()) => Ok(None),
        Err(error) => Err(cannot_listen(host, port, &error)),
    }
}

fn listen(host: &str, port: u16, backlog: u32) -> io::Result<TcpListener> {
    let mut addresses = (host, port).to_socket_addrs()?;
    let address = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // Otherwise all addresses of this kind are those of the other kind as well.
        SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.bind(address)?;
    socket.listen(backlog)
}

fn cannot_listen(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} of {host} is taken: another server is running there; end it, or choose \
             another port with --port"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("no permission to listen on port {port} of {host}; choose one above 1023")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine has no address {host}; choose one of its own with --bind, or 127.0.0.1"
        ),
        _ => format!("cannot listen on port {port} of {host} ({error}); look at --bind and --port"),
    }
}

/// Nobody can connect before the socket has its mode: until then it lies in a directory that only
/// its owner can enter.
pub(crate) fn bind_unix(path: &str, mode: u32) -> Result<UnixListener, String> {
    let failed = |error: io::Error| {
        format!(
            "cannot listen on the Unix socket {path} ({error}); choose a path in a directory that \
             can be written to with --unixsocket"
        )
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(format!(
            "another server is listening on the Unix socket {path}; end it, or choose another path"
        ));
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(format!("{path} is there and is no socket; choose another path"));
    }
    let private = format!("{path}.{}", std::process::id());
    std::fs::DirBuilder::new().mode(0o700).create(&private).map_err(failed)?;
    let listener = move_into_place(&private, path, if mode == 0 { 0o600 } else { mode });
    let _ = std::fs::remove_dir_all(&private);
    listener.map_err(failed)
}

fn move_into_place(private: &str, path: &str, mode: u32) -> io::Result<UnixListener> {
    let inside = format!("{private}/socket");
    let listener = UnixListener::bind(&inside)?;
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&inside, path)?;
    Ok(listener)
}
