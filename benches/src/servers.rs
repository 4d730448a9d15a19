//! The servers: where they are, how they are started, and how they end.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::Result;
use crate::client::{Client, encoded};
use crate::machine::SERVER_CORE;
use crate::process::{CpuTime, family_bytes, resident_bytes, sleeps};

/// What a server is told besides its port, unless a section is about its files: to keep nothing on disk.
pub(crate) const FLAGS: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// The real servers, by their names in `scripts/peers`.
const PEERS: [&str; 3] = ["redis-7.0", "redis-8.0", "valkey-9.1"];

/// A server that does not answer by then has failed to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A server that is still there so long after it was told to end has failed.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How often an ending server is looked for.
const END_STEP: Duration = Duration::from_millis(5);

/// The status with which servers end that do not accept what they are told.
const REFUSAL: i32 = 1;

/// How long a server without requests is let alone before its CPU time is read.
const REST: Duration = Duration::from_millis(5);

/// How often a starting server is asked whether it answers: this is how exact times to the first PONG are.
const START_STEP: Duration = Duration::from_micros(50);

/// One who takes part, with a column of the tables for its own.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) column: usize,
    pub(crate) version: String,
    executable: PathBuf,
}

/// redlet first, then every real server there is, and redlet once more: the difference of its two columns is what the
/// machine adds.
pub(crate) fn contenders() -> Result<Vec<Contender>> {
    let redlet = redlet()?;
    let peers = PEERS.iter().filter_map(|name| Some(((*name).to_owned(), peer(name)?)));
    let mut found = vec![("redlet".to_owned(), redlet.clone())];
    found.extend(peers);
    if found.len() == 1 {
        return Err("no real server to compare with: 'scripts/peers install' brings them".into());
    }
    found.push(("redlet again".to_owned(), redlet));
    let columns = found.into_iter().enumerate();
    columns.map(|(column, (name, executable))| Contender::new(name, column, executable)).collect()
}

/// The executable of a real server or of one of its tools, if it is here.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let output = Command::new(root().join("scripts/peers")).args(["path", name]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| path.trim().into())
}

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the project")
}

fn redlet() -> Result<PathBuf> {
    let path = env::var_os("REDLET_BIN")
        .map_or_else(|| root().join("target/release/redlet"), PathBuf::from);
    let absolute = path.canonicalize().map_err(|error| {
        format!("{}: {error}; 'cargo build --release -p redlet' makes it", path.display())
    })?;
    Ok(absolute)
}

impl Contender {
    fn new(name: String, column: usize, executable: PathBuf) -> Result<Self> {
        let mut contender = Contender { name, column, version: String::new(), executable };
        contender.version = Server::start(&contender)?.version()?;
        Ok(contender)
    }

    pub(crate) fn is_redlet(&self) -> bool {
        !PEERS.contains(&self.name.as_str())
    }

    /// What tells this executable from any other: its size and its hash.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let bytes = fs::read(&self.executable)?;
        Ok(format!("{} bytes, SHA-256 {:x}", bytes.len(), Sha256::digest(&bytes)))
    }
}

/// A server that runs on its own core; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server, and waits until it answers.
    pub(crate) fn start(contender: &Contender) -> Result<Self> {
        let mut server = Self::launch(contender)?;
        server.wait_for_pong()?;
        server.confirm_identity()?;
        Ok(server)
    }

    /// Starts a server that keeps its files in a directory without any yet. Nothing where it refuses a flag.
    pub(crate) fn start_in(
        directory: &Path,
        contender: &Contender,
        flags: &[&str],
    ) -> Result<Option<Self>> {
        let mut server = Self::launch_in(directory, contender, flags)?;
        let answer = server.wait_for_pong();
        if server.has_refused()? {
            return Ok(None);
        }
        answer?;
        server.confirm_identity()?;
        Ok(Some(server))
    }

    /// Starts a server without waiting for it.
    pub(crate) fn launch(contender: &Contender) -> Result<Self> {
        Self::launch_in(&env::temp_dir(), contender, &FLAGS)
    }

    /// Starts a server that finds and keeps its files in a directory, without waiting for it.
    pub(crate) fn launch_in(
        directory: &Path,
        contender: &Contender,
        flags: &[&str],
    ) -> Result<Self> {
        let port = free_port()?;
        let child = launcher(&contender.executable)?
            .args(["--port", &port.to_string()])
            .args(flags)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("taskset, of util-linux, cannot be run: {error}"))?;
        Ok(Server { child, port })
    }

    pub(crate) fn wait_for_pong(&mut self) -> Result<()> {
        self.wait_for_pong_within(START_LIMIT, START_STEP)
    }

    /// Waits for as long as `limit`, and asks once in every `step`.
    pub(crate) fn wait_for_pong_within(&mut self, limit: Duration, step: Duration) -> Result<()> {
        let started = Instant::now();
        while !answers(self.port) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a server ended at its start: {status}").into());
            }
            if started.elapsed() > limit {
                return Err(format!("a server does not answer on port {}", self.port).into());
            }
            thread::sleep(step);
        }
        Ok(())
    }

    fn has_refused(&mut self) -> Result<bool> {
        let status = self.child.try_wait()?;
        Ok(status.is_some_and(|status| status.code() == Some(REFUSAL)))
    }

    /// Has the server end by itself, with all of its files written.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        self.connect()?.send(&encoded(&["SHUTDOWN"]))?;
        let asked = Instant::now();
        while asked.elapsed() < END_LIMIT {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("a server failed at its end: {status}").into()),
                None => thread::sleep(END_STEP),
            }
        }
        Err("a server does not end".into())
    }

    pub(crate) fn connect(&self) -> Result<Client> {
        Client::connect(self.port)
    }

    /// Whether it has all of these commands. One client asks for all of them: after MULTI an unknown command is as
    /// unknown as elsewhere.
    pub(crate) fn knows(&self, commands: &[&str]) -> Result<bool> {
        let mut client = self.connect()?;
        for command in commands {
            if !client.knows(command)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How often it has gone to sleep so far.
    pub(crate) fn sleeps(&self) -> u64 {
        sleeps(self.child.id())
    }

    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        CpuTime::of(self.child.id())
    }

    /// The CPU time once it has had time to finish and go to sleep: what the kernel counts of a running thread is late.
    pub(crate) fn cpu_time_at_rest(&self) -> Result<CpuTime> {
        thread::sleep(REST);
        self.cpu_time()
    }

    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.child.id())
    }

    /// The resident memory of the server and of the processes that it has started.
    pub(crate) fn family_bytes(&self) -> Result<u64> {
        family_bytes(self.child.id())
    }

    fn version(&self) -> Result<String> {
        let info = self.connect()?.call(&["INFO", "server"])?;
        let own = ["redlet_version:", "valkey_version:", "redis_version:"];
        let version = own.iter().find_map(|name| line_after(&info, name));
        version.map(str::to_owned).ok_or_else(|| "INFO server tells no version".into())
    }

    /// Makes sure that nobody else has taken the port in the meantime: another's server must not be measured.
    fn confirm_identity(&self) -> Result<()> {
        let info = self.connect()?.call(&["INFO", "server"])?;
        if line_after(&info, "process_id:") == Some(&self.child.id().to_string()) {
            return Ok(());
        }
        Err(format!("another server answers on port {}", self.port).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody needs what it has not saved yet, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What starts an executable on the server's core. `scripts/peers` wraps servers in shell scripts, and whoever has none
/// gets an equal one, so that all take the same way to their start. Each step replaces the one before: the process is
/// the server's.
fn launcher(executable: &Path) -> Result<Command> {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]);
    if !is_script(executable)? {
        command.args(["sh", "-c", "exec \"$0\" \"$@\""]);
    }
    command.arg(executable);
    Ok(command)
}

fn is_script(executable: &Path) -> Result<bool> {
    let mut start = [0; 2];
    File::open(executable)?.read_exact(&mut start)?;
    Ok(&start == b"#!")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A server that is not ready yet refuses the connection, or the command.
fn answers(port: u16) -> bool {
    Client::connect(port).and_then(|mut client| client.call(&["PING"])).is_ok()
}

/// What stands behind a name at the start of a line.
pub(crate) fn line_after<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn information_is_read_by_name() {
        let info = "# Server\r\nredis_version:7.2.4\r\nprocess_id:12\r\n";
        assert_eq!(line_after(info, "process_id:"), Some("12"));
        assert_eq!(line_after(info, "valkey_version:"), None);
    }
}
