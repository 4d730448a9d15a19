//! Servers as programs on a data directory that outlives them: they are stopped, killed, and started again on what they left.
//!
//! Clients come over a Unix socket, which has a new name at each start, so that nobody can be taken for somebody else. What the
//! directory holds, this module does not know.

pub mod caller;
mod home;

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{net::UnixStream, time::sleep};

use crate::{
    environment,
    reply::{Protocol, Reply},
    target::{Parameter, peer},
    text::contains,
    wire::Wire,
};
use caller::Caller;
pub use home::Home;

/// The program that this project makes.
pub const REDLET: &str = "redlet";
/// Loading may take a while on a busy machine.
const MOST_TO_START: Duration = Duration::from_secs(60);
/// Stopping may have to write everything first.
const MOST_TO_STOP: Duration = Duration::from_secs(60);
/// So much of a log is told with a failure.
const LAST_LINES: usize = 6;

/// A server's executable.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    executable: PathBuf,
}

/// A program that runs; it is killed when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Program {
    /// redlet, or a real server by its name.
    pub fn find(name: &str) -> Result<Self, String> {
        let executable = if name == REDLET { redlet()? } else { peer::find(name)? };
        Ok(Self { name: name.to_owned(), executable })
    }

    /// Whether a run without this program says nothing: redlet's can always be built.
    pub fn is_required(name: &str) -> bool {
        environment::requires_all() || (name == REDLET && cfg!(feature = "redlet"))
    }

    /// Starts the program on a directory and waits until it serves what is there.
    pub async fn start(&self, home: &Home, parameters: &[Parameter]) -> Result<Process, String> {
        let mut process = self.launch(home, parameters)?;
        process.wait_until_ready().await?;
        Ok(process)
    }

    /// Starts the program without waiting for it.
    pub fn launch(&self, home: &Home, parameters: &[Parameter]) -> Result<Process, String> {
        let (socket, log) = home.for_one_start();
        let output =
            fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let own = [
            ("port", "0".to_owned()),
            ("unixsocket", socket.display().to_string()),
            ("dir", home.data().display().to_string()),
        ];
        let given = parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let child = Command::new(&self.executable)
            .args(
                own.into_iter().chain(given).flat_map(|(name, value)| [format!("--{name}"), value]),
            )
            .current_dir(home.data())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.executable.display()))?;
        Ok(Process { name: self.name.clone(), child, socket, log })
    }
}

/// From the environment, or what was built together with this suite.
fn redlet() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("REDLET_BIN") {
        return Ok(PathBuf::from(path));
    }
    let here = env::current_exe().map_err(|error| format!("where this suite is: {error}"))?;
    let built = here.ancestors().nth(2).map(|directory| directory.join(REDLET));
    built.filter(|path| path.is_file()).ok_or_else(|| {
        "redlet's program is not built: 'cargo build -p redlet' does that, or REDLET_BIN names it"
            .to_owned()
    })
}

impl Process {
    /// A connection that speaks RESP3.
    pub async fn connect(&self) -> Result<Caller, String> {
        let mut wire = self.wire().await.map_err(|why| format!("{}: {why}", self.name))?;
        wire.greet(Protocol::Resp3).await.map_err(|why| format!("{}: {why}", self.name))?;
        Ok(Caller::new(self.name.clone(), wire))
    }

    async fn wire(&self) -> io::Result<Wire> {
        Ok(Wire::new(Box::new(UnixStream::connect(&self.socket).await?)))
    }

    /// Waits until requests are executed; the failure has the last words of the program's log.
    pub async fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + MOST_TO_START;
        while !self.serves().await {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.complaint(&format!("ended at its start ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.complaint("does not get ready"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Whether PING gets any answer but that the data is still being loaded.
    async fn serves(&self) -> bool {
        let Ok(mut wire) = self.wire().await else { return false };
        match wire.call(&["PING"]).await {
            Ok(Reply::Error(text)) => !contains(&text, b"LOADING"),
            answer => answer.is_ok(),
        }
    }

    /// Whether the program has ended without being told to.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Ends the program, and whoever it has forked, at once and without a warning.
    pub fn kill(mut self) -> Result<(), String> {
        let killed = self.kill_all();
        killed.map_err(|error| self.complaint(&format!("cannot be killed: {error}")))
    }

    fn kill_all(&mut self) -> io::Result<()> {
        // The number of a process that has ended may be another's by now.
        if self.has_ended() {
            return Ok(());
        }
        let forked = forked_by(self.child.id());
        self.child.kill()?;
        for process in forked {
            // It may have ended meanwhile.
            let _ = signal("KILL", process);
        }
        self.child.wait().map(|_| ())
    }

    /// Asks the program to end, and waits until it has.
    pub async fn stop(mut self) -> Result<(), String> {
        signal("TERM", self.child.id())
            .map_err(|error| self.complaint(&format!("cannot be stopped: {error}")))?;
        let status = self.wait_for_end().await?;
        if status.success() {
            return Ok(());
        }
        Err(self.complaint(&format!("did not end well ({status})")))
    }

    async fn wait_for_end(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + MOST_TO_STOP;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status);
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err(self.complaint("does not end after SIGTERM"))
    }

    /// What is wrong, and what the program says about it.
    pub fn complaint(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!("{} {what}; its log ends with\n    {}", self.name, last.join("\n    "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that cannot be killed.
        let _ = self.kill_all();
    }
}

/// Those that a process has forked, where the system tells.
fn forked_by(process: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    list.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect()
}

fn signal(name: &str, process: u32) -> io::Result<()> {
    let status = Command::new("kill")
        .args([format!("-{name}"), process.to_string()])
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}
