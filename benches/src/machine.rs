//! The machine: which core does what, and what the page says of it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::disk;

/// The core of the server that is measured.
pub(crate) const SERVER_CORE: &str = "0";

/// The core of everything that measures.
pub(crate) const LOAD_CORE: &str = "1";

/// What a reader has to know of the machine to place the figures.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// Whether server and load take turns on one core's circuits.
    pub(crate) shared_core: bool,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// The file system of what servers keep.
    pub(crate) files: String,
    pub(crate) pressure: Pressure,
}

impl Machine {
    pub(crate) fn describe() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        Ok(Machine {
            processor: field(&processors, "model name").unwrap_or("unknown").to_owned(),
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            shared_core: siblings().split([',', '-']).any(|core| core == LOAD_CORE),
            memory: memory()?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            files: disk::file_system()?,
            pressure: Pressure::watch(),
        })
    }
}

/// How much the programs on this machine have got into each other's way since the run began. Every program of the run
/// has a core for itself, so that nearly all of it is somebody else's.
pub(crate) struct Pressure {
    began: Instant,
    before_us: Option<u64>,
}

impl Pressure {
    pub(crate) fn watch() -> Self {
        Pressure { began: Instant::now(), before_us: waited_us() }
    }

    /// The part of the time in which some program had to wait for a core, in per cent; nothing where the kernel does
    /// not tell.
    pub(crate) fn percent(&self) -> Option<f64> {
        let waited_us = waited_us()?.checked_sub(self.before_us?)?;
        Some(waited_us as f64 / self.began.elapsed().as_micros() as f64 * 100.0)
    }
}

fn waited_us() -> Option<u64> {
    waited_in(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

/// The total of the line that begins with `some`.
fn waited_in(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_once("total=")?.1.trim().parse().ok()
}

/// The hardware threads that share the circuits of the server's core, itself among them.
fn siblings() -> String {
    let path = format!("/sys/devices/system/cpu/cpu{SERVER_CORE}/topology/thread_siblings_list");
    fs::read_to_string(path).map_or(SERVER_CORE.to_owned(), |list| list.trim().to_owned())
}

fn memory() -> Result<String> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = field(&text, "MemTotal").and_then(|total| total.split_whitespace().next());
    let kilobytes: f64 = total.unwrap_or_default().parse()?;
    Ok(format!("{:.1} GiB", kilobytes / 1024.0 / 1024.0))
}

/// The value of the first line `name : value`.
fn field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// Has everything that this process does, and the load generators that it starts, take place on one core. The program
/// begins anew there, as a process cannot be moved without code that the compiler cannot check.
pub(crate) fn pin_this_process() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    if field(&status, "Cpus_allowed_list") == Some(LOAD_CORE) {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let error = Command::new("taskset")
        .args(["-c", LOAD_CORE])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(format!("taskset, of util-linux, cannot be run: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0: fast\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 2.0: fast"));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn pressure_is_that_of_any_program() {
        let pressure =
            "some avg10=0.66 avg60=22.83 avg300=42.19 total=5137\nfull avg10=0.00 total=7\n";
        assert_eq!(waited_in(pressure), Some(5137));
        assert_eq!(waited_in(""), None);
    }
}
