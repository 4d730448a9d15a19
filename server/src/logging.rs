//! The log: Redis's levels and `logfile`, written through tracing.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, stdout};

use redlet::Config;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to where the parameters say, and follows `CONFIG SET loglevel`.
pub(crate) fn start(config: &Config) -> Result<(), String> {
    let file = log_file(config)?;
    let colored = file.is_none() && stdout().is_terminal();
    let writer = match file {
        Some(file) => BoxMakeWriter::new(file),
        None => BoxMakeWriter::new(stdout),
    };
    let (filter, handle) = reload::Layer::new(level(config));
    tracing_subscriber::registry()
        .with(filter)
        .with(fmt::layer().with_ansi(colored).with_target(false).with_writer(writer))
        .init();
    let live = config.clone();
    config.on_change(move |name| {
        if name == "loglevel" {
            // This fails only when logging has ended, and then there is nothing left to change.
            let _ = handle.reload(level(&live));
        }
    });
    Ok(())
}

fn log_file(config: &Config) -> Result<Option<File>, String> {
    let path = config.value("logfile").unwrap_or_default();
    if path.is_empty() {
        return Ok(None);
    }
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map(Some).map_err(|error| {
        format!(
            "cannot write the log file {path} ({error}); make its directory or change 'logfile'"
        )
    })
}

/// What Redis's levels let through. Its notice is what others call info.
fn level(config: &Config) -> LevelFilter {
    match config.value("loglevel").unwrap_or_default().as_str() {
        "debug" => LevelFilter::TRACE,
        "verbose" => LevelFilter::DEBUG,
        "warning" => LevelFilter::WARN,
        "nothing" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    }
}
