//! Real servers, each started on a free port in a directory of its own and killed when dropped.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::sleep};

use super::{Parameter, directory::Directory};
use crate::wire::BoxedStream;

/// The executable of a real server: from the environment, or from the project's script that brings them.
pub fn find(name: &str) -> Result<PathBuf, String> {
    let variable = format!("CONFORMANCE_{}", name.to_uppercase().replace(['-', '.'], "_"));
    if let Some(path) = env::var_os(&variable) {
        return Ok(PathBuf::from(path));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/peers");
    let output = Command::new(&script)
        .args(["path", name])
        .output()
        .map_err(|error| format!("{}: {error} (or set {variable})", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A real server's process.
pub struct Peer {
    child: Child,
    directory: Directory,
    port: u16,
}

impl Peer {
    /// Another process may take the free port first, so a few are tried.
    pub async fn start(executable: &Path, parameters: &[Parameter]) -> Result<Self, String> {
        let mut failure = String::new();
        for _ in 0..5 {
            let mut peer = Self::spawn(executable, parameters)?;
            match peer.wait_until_ready().await {
                Ok(()) => return Ok(peer),
                Err(why) => failure = why,
            }
        }
        Err(format!("{} does not start: {failure}", executable.display()))
    }

    pub async fn connect(&self) -> io::Result<BoxedStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    fn spawn(executable: &Path, parameters: &[Parameter]) -> Result<Self, String> {
        let own = Directory::new()?;
        let directory = own.path();
        let port = free_port().map_err(|error| format!("a free port: {error}"))?;
        let configuration = directory.join("redis.conf");
        let prepared = fs::write(&configuration, configuration_text(port, parameters))
            .and_then(|()| fs::File::create(directory.join("log")));
        let log = prepared.map_err(|error| format!("{}: {error}", directory.display()))?;
        let child = Command::new(executable)
            .arg(&configuration)
            // SORT's order of texts must not follow the language of whoever runs this.
            .env("LC_ALL", "C")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", executable.display()))?;
        Ok(Self { child, directory: own, port })
    }

    /// Reads the log rather than trying to connect: a stranger may answer on the port.
    async fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            if log.contains("Ready to accept connections") {
                return Ok(());
            }
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                return Err(log.lines().last().unwrap_or("it ended without a word").to_owned());
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Whatever fails here, the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn configuration_text(port: u16, parameters: &[Parameter]) -> String {
    let mut text = format!("bind 127.0.0.1\nport {port}\ndaemonize no\nsave \"\"\n");
    for (name, value) in parameters {
        let value = if value.is_empty() { "\"\"" } else { value };
        writeln!(text, "{name} {value}").expect("writing to a String cannot fail");
    }
    text
}
