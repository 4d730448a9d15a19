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
use crate::client::Client;
use crate::machine::SERVER_CORE;
use crate::process::{CpuTime, resident_bytes, sleeps};

/// What every server is told besides its port: to keep nothing on disk.
pub(crate) const FLAGS: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// The real servers, by their names in `scripts/peers`.
const PEERS: [&str; 3] = ["redis-7.0", "redis-8.0", "valkey-9.1"];

/// A server that does not answer by then has failed to start.
const START_LIMIT: Duration = Duration::from_secs(10);

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

    /// Starts a server without waiting for it.
    pub(crate) fn launch(contender: &Contender) -> Result<Self> {
        let port = free_port()?;
        let child = launcher(&contender.executable)?
            .args(["--port", &port.to_string()])
            .args(FLAGS)
            .current_dir(env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("taskset, of util-linux, cannot be run: {error}"))?;
        Ok(Server { child, port })
    }

    pub(crate) fn wait_for_pong(&mut self) -> Result<()> {
        let started = Instant::now();
        while !answers(self.port) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a server ended at its start: {status}").into());
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("a server does not answer on port {}", self.port).into());
            }
            thread::sleep(START_STEP);
        }
        Ok(())
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
        // It has nothing to save, and may have ended by itself.
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
