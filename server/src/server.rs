//! Starting a server, accepting connections, and ending it.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::accept::{self, Acceptor, Peer};
use crate::clients::ClientFlags;
use crate::clock::Clock;
use crate::config::{ClientClass, Config, ConfigError, Param};
use crate::direct::Direct;
use crate::durability::{self, Loading, Observer, Snapshot};
use crate::engine::{Engine, State};
use crate::random::Random;
use crate::transport::{self, BlockingStream, MemoryStream};

/// What share of each round the sweeper may take, besides two percent for each level of effort,
/// and how long it may keep requests waiting.
const SWEEP_PERCENT: u32 = 23;
const SWEEP_SLICE: Duration = Duration::from_micros(500);

/// A running server. Dropping it ends it.
pub struct Server {
    engine: Arc<Engine>,
    runtime: Handle,
    address: Option<SocketAddr>,
    unix_path: Option<PathBuf>,
    /// Every task holds the other end: when all have ended, nothing more is received.
    tasks: mpsc::Receiver<()>,
    task: mpsc::Sender<()>,
    own_thread: Option<std::thread::JoinHandle<()>>,
}

/// Says what kind of server to start.
#[derive(Default)]
pub struct Builder {
    config: Config,
    clock: Option<Clock>,
    seed: Option<u64>,
    no_socket: bool,
    snapshot: Option<Snapshot>,
    problem: Option<ConfigError>,
    observer: Option<Observer>,
}

/// Why a server could not start; its `Display` is a sentence that says what to do.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl Builder {
    /// Starts from this configuration. Comes first: it replaces what was said before.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets a parameter by its name in `redis.conf`.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        if let Err(problem) = self.config.set_at_start(name, &[value]) {
            self.problem.get_or_insert(problem);
        }
        self
    }

    /// The TCP port on 127.0.0.1; 0, the default, takes a free one.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.parameter("port", &port.to_string())
    }

    /// Listens on no TCP port: connections are made in memory or over a Unix socket.
    #[must_use]
    pub fn no_socket(mut self) -> Self {
        self.no_socket = true;
        self
    }

    /// Listens on a Unix socket too.
    #[must_use]
    pub fn unix_socket(self, path: impl AsRef<std::path::Path>) -> Self {
        self.parameter("unixsocket", &path.as_ref().to_string_lossy())
    }

    /// The password of the default user.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        self.parameter("requirepass", password)
    }

    /// How many databases there are; 16 by default.
    #[must_use]
    pub fn databases(self, databases: usize) -> Self {
        self.parameter("databases", &databases.to_string())
    }

    /// Over how many shards keys are spread; 1 makes a server that runs the same every time.
    #[must_use]
    pub fn shards(self, shards: usize) -> Self {
        self.parameter("shards", &shards.to_string())
    }

    /// The server's clock; [`Clock::manual`] gives one that is moved by hand.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes everything random in the server the same every time.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts with what another server had, in place of an empty keyspace.
    #[must_use]
    pub fn snapshot(mut self, snapshot: &Snapshot) -> Self {
        self.snapshot = Some(snapshot.clone());
        self
    }

    /// Where the server keeps its files, which it loads when it starts: a log of everything that is changed, which is
    /// brought to the disk every second, unless parameters say otherwise.
    #[must_use]
    pub fn directory(self, directory: impl AsRef<std::path::Path>) -> Self {
        self.parameter("dir", &directory.as_ref().to_string_lossy()).parameter("appendonly", "yes")
    }

    /// Calls this while the server loads what it has on disk, some times a second, if that is much.
    #[must_use]
    pub fn on_loading(mut self, observer: impl Fn(&Loading) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Starts the server on the current tokio runtime. A client that blocks must not run on the
    /// runtime's only thread: the server needs it to answer.
    pub async fn start(self) -> Result<Server, StartError> {
        let snapshot = self.snapshot.clone();
        let (engine, no_socket) = self.into_engine()?;
        if !durability::loads_long(&engine) {
            load_aside(&engine, snapshot).await?;
            return Server::launch(engine, no_socket, Handle::current());
        }
        // Who connects meanwhile is told so.
        engine.begin_loading(0);
        let server = Server::launch(Arc::clone(&engine), no_socket, Handle::current())?;
        let loaded = load_aside(&engine, snapshot).await;
        if loaded.is_err() {
            // What has been loaded so far is not to be saved in place of what is there.
            server.engine.stop();
        }
        loaded.map(|()| server)
    }

    /// Starts the server on a thread of its own, for code that does not use tokio.
    pub fn start_blocking(self) -> Result<Server, StartError> {
        let snapshot = self.snapshot.clone();
        let (engine, no_socket) = self.into_engine()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StartError(format!("no runtime: {error}")))?;
        let handle = runtime.handle().clone();
        let mut state = engine.state();
        let launched = load(&engine, snapshot.as_ref()).map_err(StartError).and_then(|()| {
            let _inside = runtime.enter();
            Server::launch(engine, no_socket, handle)
        });
        let mut server = match launched {
            Ok(server) => server,
            Err(error) => {
                // Waiting for it here would not be allowed on a thread of another runtime.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let ended = server.task.clone();
        let run = move || {
            runtime.block_on(async {
                let _ = state.wait_for(|state| *state != State::Running).await;
                drop(ended);
                tokio::task::yield_now().await;
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("redlet".to_owned()).spawn(run);
        server.own_thread =
            Some(thread.map_err(|error| StartError(format!("no thread for the server: {error}")))?);
        Ok(server)
    }

    fn into_engine(self) -> Result<(Arc<Engine>, bool), StartError> {
        if let Some(problem) = self.problem {
            return Err(StartError(problem.to_string()));
        }
        let clock = self.clock.unwrap_or_else(Clock::system);
        let random = self.seed.map_or_else(Random::from_system, Random::seeded);
        let engine = Engine::new(self.config, clock, random);
        *engine.durability.progress.observer() = self.observer;
        engine.claim_directory().map_err(StartError)?;
        Ok((Arc::new(engine), self.no_socket))
    }
}

/// Loads on a thread where others do not wait for it.
async fn load_aside(engine: &Arc<Engine>, snapshot: Option<Snapshot>) -> Result<(), StartError> {
    let engine = Arc::clone(engine);
    if engine.directory().is_none() {
        return load(&engine, snapshot.as_ref()).map_err(StartError);
    }
    let mut state = engine.state();
    let loading = spawn_blocking(move || load(&engine, snapshot.as_ref()));
    let loaded = tokio::select! {
        loaded = loading => loaded.unwrap_or_else(|_| Err("loading panicked".to_owned())),
        // A client has ended the server already.
        _ = state.wait_for(|state| *state != State::Running) => Ok(()),
    };
    loaded.map_err(StartError)
}

impl Server {
    /// A server as a test wants it: on a free port of 127.0.0.1, with nothing in it.
    pub async fn start() -> Result<Server, StartError> {
        Self::builder().start().await
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    fn launch(engine: Arc<Engine>, no_socket: bool, runtime: Handle) -> Result<Server, StartError> {
        durability::follow_config(&engine);
        engine.keyspace.keep_accounts(engine.config.is_memory_limited());
        let (task, tasks) = mpsc::channel(1);
        let mut server = Server {
            engine,
            runtime,
            address: None,
            unix_path: None,
            tasks,
            task,
            own_thread: None,
        };
        if !no_socket {
            server.listen_tcp()?;
        }
        server.listen_unix()?;
        server.spawn(background(Arc::clone(&server.engine)));
        server.spawn(durability::run_jobs(Arc::clone(&server.engine)));
        server.spawn(durability::relay_log(Arc::clone(&server.engine)));
        Ok(server)
    }

    fn listen_tcp(&mut self) -> Result<(), StartError> {
        let config = &self.engine.config;
        let port = config.number(Param::Port) as u16;
        let backlog = config.number(Param::TcpBacklog) as u32;
        for host in config.text(Param::Bind).split_whitespace() {
            // With port 0 the first address gets a free one. That it is free at the others too is
            // not certain, so only a port that was chosen is listened on everywhere.
            if port == 0 && self.address.is_some() {
                break;
            }
            let bound = accept::bind(host, port, backlog).map_err(StartError)?;
            let Some(listener) = bound else {
                continue;
            };
            if let Ok(address) = listener.local_addr() {
                self.address.get_or_insert(address);
                self.engine.port.store(usize::from(address.port()), Ordering::Relaxed);
            }
            self.spawn(self.acceptor().accept_tcp(listener));
        }
        Ok(())
    }

    fn listen_unix(&mut self) -> Result<(), StartError> {
        let path = self.engine.config.text(Param::UnixSocket);
        if path.is_empty() {
            return Ok(());
        }
        let mode = self.engine.config.number(Param::UnixSocketPerm) as u32;
        let listener = accept::bind_unix(&path, mode).map_err(StartError)?;
        self.unix_path = Some(path.as_ref().into());
        self.spawn(self.acceptor().accept_unix(listener, path));
        Ok(())
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor { engine: Arc::clone(&self.engine), task: self.task.clone() }
    }

    /// Runs a task that ends when the server does.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (mut state, task) = (self.engine.state(), self.task.clone());
        self.runtime.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = state.wait_for(|state| *state != State::Running) => {}
            }
            drop(task);
        });
    }

    /// Where it listens, if it does.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What clients take: `redis://127.0.0.1:port`, or `unix:///path` where there is no port, with
    /// the password if there is one.
    pub fn url(&self) -> String {
        let password = self.engine.config.text(Param::RequirePass);
        let password = percent_encoded(&password).replace('/', "%2F");
        match (self.address, &self.unix_path) {
            (Some(address), _) if password.is_empty() => format!("redis://{address}"),
            (Some(address), _) => format!("redis://:{password}@{address}"),
            (None, Some(path)) => {
                let path = percent_encoded(&path.to_string_lossy());
                let login = if password.is_empty() { "" } else { "?pass=" };
                format!("unix://{path}{login}{password}")
            }
            (None, None) => "memory:".to_owned(),
        }
    }

    /// A connection to the server without TCP.
    pub fn connect(&self) -> MemoryStream {
        let (client, server) = transport::pipe();
        let serving = self.acceptor().serve(server, &Peer::Memory);
        MemoryStream::new(client, serving, self.runtime.clone())
    }

    /// A connection to the server without TCP, for code that blocks.
    pub fn connect_blocking(&self) -> BlockingStream {
        BlockingStream::new(self.connect(), self.runtime.clone())
    }

    /// The server's data, without a client.
    pub fn direct(&self) -> Direct {
        Direct::new(Arc::clone(&self.engine))
    }

    pub fn clock(&self) -> &Clock {
        &self.engine.clock
    }

    /// Returns when the server has ended, by `SHUTDOWN` or because it failed: then with why.
    pub async fn stopped(&self) -> Result<(), String> {
        let mut state = self.engine.state();
        let ended = state.wait_for(|state| *state != State::Running).await;
        match ended.as_deref() {
            Ok(State::Failed(reason)) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Takes everything that is in the databases now, and the functions, while requests go on being executed.
    pub async fn snapshot(&self) -> Snapshot {
        durability::take(&self.engine).await
    }

    /// Puts what a snapshot has in place of everything that is there, all at once. The error says why it is none;
    /// nothing is changed then.
    pub async fn restore(&self, snapshot: &Snapshot) -> Result<(), String> {
        let (engine, snapshot) = (Arc::clone(&self.engine), snapshot.clone());
        let restored = spawn_blocking(move || durability::restore(&engine, &snapshot)).await;
        restored.unwrap_or_else(|_| Err("restoring panicked".to_owned()))
    }

    /// Brings to disk what the configuration says is to be there when the server ends. The error is why it could not:
    /// then it may be better not to end.
    pub async fn settle(&self) -> Result<(), String> {
        if !self.engine.has_to_settle() {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let settled = spawn_blocking(move || engine.settle_before_end()).await;
        settled.unwrap_or_else(|_| Err("saving panicked".to_owned()))
    }

    /// Ends the server and returns when all its connections and tasks have ended.
    pub async fn shutdown(mut self) {
        if let Err(problem) = self.settle().await {
            self.engine.give_up(&problem);
        }
        self.engine.stop();
        let (unused, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.task, unused));
        while self.tasks.recv().await.is_some() {}
    }
}

/// Loads what is on disk, and then what the server is to begin with.
fn load(engine: &Arc<Engine>, snapshot: Option<&Snapshot>) -> Result<(), String> {
    durability::load(engine)?;
    snapshot.map_or(Ok(()), |snapshot| durability::restore(engine, snapshot))
}

/// A text as it may stand in a URL, whose slashes are those of a path.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(problem) = self.engine.settle_before_end() {
            self.engine.give_up(&problem);
        }
        self.engine.stop();
        if let Some(path) = &self.unix_path {
            let _ = std::fs::remove_file(path);
        }
        if let Some(thread) = self.own_thread.take() {
            let _ = thread.join();
        }
        self.engine.durability.directories.release();
    }
}

/// What a server does on its own: expiring keys, ending idle connections, taking samples.
async fn background(engine: Arc<Engine>) {
    loop {
        let round = Duration::from_secs(1) / engine.config.number(Param::Hz).max(1) as u32;
        engine.clock.sleep(round).await;
        if engine.is_background_paused.load(Ordering::Relaxed) {
            continue;
        }
        // What is over may have more time by what is still to be loaded.
        let sweeps = engine.sweeps.load(Ordering::Relaxed) && !engine.is_loading();
        if sweeps && !engine.pause.holds(true, engine.clock.now_ms()) {
            let effort = engine.config.number(Param::ActiveExpireEffort).clamp(1, 10) as u32;
            sweep(&engine, round * (SWEEP_PERCENT + 2 * effort) / 100).await;
        }
        engine.follow_parameters();
        durability::tick(&engine);
        engine.tend_memory();
        engine.limit_tracking();
        engine.stats.sample(engine.clock.now_us());
        end_slow(&engine);
        end_idle(&engine);
    }
}

/// Removes expired keys for as long as it is worth while, but no longer than its share of the
/// round, and lets requests through every so often.
async fn sweep(engine: &Engine, share: Duration) {
    let started_ns = engine.clock.monotonic_ns();
    let spent = |since_ns| engine.clock.monotonic_ns() - since_ns;
    while spent(started_ns) < share.as_nanos() as i64 {
        let slice_ns = engine.clock.monotonic_ns();
        let out_of_time = || spent(slice_ns) > SWEEP_SLICE.as_nanos() as i64;
        if engine.sweep(&out_of_time) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn end_slow(engine: &Engine) {
    if engine.pubsub.are_any() {
        let limit = engine.config.output_limit(ClientClass::Pubsub);
        let clients = engine.clients.all().into_iter();
        for client in clients.filter(|client| client.has(ClientFlags::PUBSUB)) {
            client.enforce(limit, engine.clock.now_ms());
        }
    }
}

fn end_idle(engine: &Engine) {
    let timeout_ms = engine.config.number(Param::Timeout) * 1000;
    if timeout_ms == 0 {
        return;
    }
    let now_ms = engine.clock.now_ms();
    let spared = ClientFlags::MONITOR.union(ClientFlags::WAITING).union(ClientFlags::PUBSUB);
    for client in engine.clients.all() {
        let idle_ms = now_ms - client.seen.last_used_ms.load(Ordering::Relaxed);
        if idle_ms > timeout_ms && !client.flags().intersects(spared) {
            client.kill();
        }
    }
}
