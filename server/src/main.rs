//! The `redlet` command: a server in a process of its own, in place of `redis-server`.

mod bar;
mod checking;
mod cli;
mod logging;
mod send;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use redlet::{Builder, Config, Server};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use bar::Bar;
use cli::{Directive, Request, Sources};

/// Parameters for every start, where a container or a service is set up; files and command lines win over them.
const DEFAULTS_VARIABLE: &str = "REDLET_DEFAULTS";

fn main() -> ExitCode {
    match obey(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("redlet: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for; the error is a sentence that says what to do.
fn obey(words: VecDeque<OsString>) -> Result<(), String> {
    match cli::parse(words)? {
        Request::Help => show(&cli::help(&initial_config()?)),
        Request::HelpSending => show(send::HELP),
        Request::HelpChecking => show(checking::HELP),
        Request::Version => show(&cli::version()),
        Request::Send(sending) => return sending.perform(),
        Request::Check(checking) => return checking.perform(),
        Request::Serve(sources) => {
            let config = initial_config()?;
            read(&config, &sources)?;
            enter_directory(&config)?;
            logging::start(&config)?;
            let runtime = build_runtime(&config)?;
            let ended = runtime.block_on(serve(config));
            // A task that does not end must not keep the process.
            runtime.shutdown_background();
            return ended;
        }
    }
    Ok(())
}

/// A reader that has seen enough, as in `redlet --help | head`, is no error.
fn show(page: &str) {
    let _ = std::io::stdout().write_all(page.as_bytes());
}

/// What holds before a file or a command line says anything.
fn initial_config() -> Result<Config, String> {
    let config = defaults()?;
    for Directive { name, values } in directives_of_environment()? {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        config
            .set_default(&name, &values)
            .map_err(|error| format!("in {DEFAULTS_VARIABLE}, {error}"))?;
    }
    Ok(config)
}

fn directives_of_environment() -> Result<Vec<Directive>, String> {
    let text = std::env::var(DEFAULTS_VARIABLE).unwrap_or_default();
    match cli::parse_server(text.split_whitespace().map(str::to_owned)) {
        Ok(Request::Serve(Sources { file: None, standard_input: false, directives })) => {
            Ok(directives)
        }
        _ => Err(format!("{DEFAULTS_VARIABLE} may have parameters only, as --name value ...")),
    }
}

/// What differs from a server inside another program.
fn defaults() -> Result<Config, String> {
    let config = Config::new();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(128).to_string();
    let parameters = [
        ("port", "6379"),
        ("maxclients", "10000"),
        ("io-threads", &threads),
        ("dir", "."),
        ("save", "3600 1 300 100 60 10000"),
    ];
    for (name, value) in parameters {
        config.set_default(name, &[value]).map_err(|error| error.to_string())?;
    }
    Ok(config)
}

fn read(config: &Config, sources: &Sources) -> Result<(), String> {
    if let Some(file) = &sources.file {
        config.load(file).map_err(|error| error.to_string())?;
    }
    if sources.standard_input {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map_err(|error| {
            format!("cannot read the configuration from standard input: {error}")
        })?;
        config.load_text(&text, "standard input").map_err(|error| error.to_string())?;
    }
    for directive in &sources.directives {
        let values: Vec<&str> = directive.values.iter().map(String::as_str).collect();
        config
            .set_at_start(&directive.name, &values)
            .map_err(|error| format!("on the command line, {error}"))?;
    }
    Ok(())
}

/// Makes relative paths start from `dir`, as they do in Redis. A library could not do this to its program.
fn enter_directory(config: &Config) -> Result<(), String> {
    let directory = config.value("dir").unwrap_or_default();
    std::env::set_current_dir(&directory).map_err(|error| {
        format!("cannot enter the directory {directory} ({error}); change 'dir' or its permissions")
    })
}

fn build_runtime(config: &Config) -> Result<Runtime, String> {
    let threads = config.value("io-threads").and_then(|threads| threads.parse().ok()).unwrap_or(1);
    // Also with one thread: another can take its place while a script runs for long.
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().map_err(|error| {
        format!("the system gives no threads ({error}); start with a smaller --io-threads")
    })
}

/// Serves until a client or a signal ends it.
async fn serve(config: Config) -> Result<(), String> {
    let mut signals = Signals::listen()?;
    let server = tokio::select! {
        started = start(&config) => started?,
        name = signals.next() => {
            tracing::info!("Received {name} while loading; nothing has changed that could be saved");
            say_farewell();
            return Ok(());
        }
    };
    let _pid_file = PidFile::write(&config);
    announce(&server, &config);
    loop {
        let name = tokio::select! {
            ended = server.stopped() => return ended.inspect(|()| say_farewell()),
            name = signals.next() => name,
        };
        tracing::info!("Received {name}, scheduling shutdown...");
        if may_end(&server, &config, name).await {
            break;
        }
    }
    tokio::select! {
        () = server.shutdown() => {
            say_farewell();
            Ok(())
        }
        name = signals.next() => {
            Err(format!("ended at once by a second signal, {name}, before the shutdown was complete"))
        }
    }
}

/// What those who watch the log know the end by.
fn say_farewell() {
    tracing::info!("redlet is now ready to exit, bye bye...");
}

/// Starts the server. Where loading fails, the log has it as well: whoever looks for it may not see where this was started.
async fn start(config: &Config) -> Result<Server, String> {
    let bar = Arc::new(Bar::new());
    let watcher = Arc::clone(&bar);
    let starting = builder(config)?.on_loading(move |loading| watcher.show(loading)).start();
    let started = starting.await;
    bar.end();
    started.map_err(|error| {
        tracing::error!("{error}");
        error.to_string()
    })
}

/// Brings to disk what is to be there at the end, as a signal asks for it; whether the server may end.
async fn may_end(server: &Server, config: &Config, signal: &str) -> bool {
    let parameter = format!("shutdown-on-{}", signal.to_ascii_lowercase());
    let wishes = config.value(&parameter).unwrap_or_default();
    let wishes = |word| wishes.split(' ').any(|wish| wish == word);
    if wishes("nosave") {
        let _ = config.set_at_start("save", &[""]);
        return true;
    }
    match server.settle().await {
        Err(problem) if !wishes("force") => {
            tracing::error!(
                "Errors trying to shut down the server: {problem}. It goes on; end it with 'SHUTDOWN NOSAVE'"
            );
            false
        }
        _ => true,
    }
}

/// Where the library takes port 0 for any free one, redis-server takes it for none.
fn builder(config: &Config) -> Result<Builder, String> {
    let builder = Server::builder().config(config.clone());
    if config.value("port").as_deref() != Some("0") {
        return Ok(builder);
    }
    if config.value("unixsocket").is_none_or(|path| path.is_empty()) {
        return Err("nobody could connect: give a --port other than 0, or a --unixsocket".into());
    }
    Ok(builder.no_socket())
}

/// Says where clients can connect. Tools wait for the first words of this line.
fn announce(server: &Server, config: &Config) {
    if let Some(address) = server.address() {
        tracing::info!("Ready to accept connections on {address}");
    }
    let socket = config.value("unixsocket").unwrap_or_default();
    if !socket.is_empty() {
        tracing::info!("Ready to accept connections on {socket}");
    }
}

/// The signals that end the server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen =
            |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Signals { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// A file that holds the process id for as long as the server runs.
struct PidFile {
    path: String,
}

impl PidFile {
    /// As in Redis, a file that cannot be written keeps nobody from being served.
    fn write(config: &Config) -> Option<Self> {
        let path = config.value("pidfile").filter(|path| !path.is_empty())?;
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(PidFile { path }),
            Err(error) => {
                tracing::warn!("Cannot write the pidfile {path}: {error}");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(Path::new(&self.path)) {
            tracing::warn!("Cannot remove the pidfile {}: {error}", self.path);
        }
    }
}
