//! What the operating system says about the process that the server runs in.
//!
//! All of it comes from `/proc`; where there is none, every figure is 0.

use std::fs;

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessorTime {
    pub(super) system: f64,
    pub(super) user: f64,
    /// Of child processes that have ended.
    pub(super) children_system: f64,
    pub(super) children_user: f64,
}

impl ProcessorTime {
    pub(super) fn so_far() -> Self {
        fs::read_to_string("/proc/self/stat").map(|stat| Self::parse(&stat)).unwrap_or_default()
    }

    fn parse(stat: &str) -> Self {
        /// Linux counts in hundredths of a second towards programs, whatever it uses inside.
        const TICKS_PER_SECOND: f64 = 100.0;
        /// The place of the user time, counted after the program's name, which may hold blanks.
        const USER_TIME: usize = 11;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = after_name.split_whitespace().skip(USER_TIME);
        let mut next = || {
            let ticks = fields.next().and_then(|field| field.parse::<f64>().ok());
            ticks.unwrap_or(0.0) / TICKS_PER_SECOND
        };
        let (user, system, children_user, children_system) = (next(), next(), next(), next());
        ProcessorTime { system, user, children_system, children_user }
    }
}

/// The memory of the process that is in RAM.
pub(super) fn resident_bytes() -> u64 {
    size_in("/proc/self/status", "VmRSS:")
}

/// The RAM of the machine.
pub(super) fn system_memory_bytes() -> u64 {
    size_in("/proc/meminfo", "MemTotal:")
}

fn size_in(path: &str, field: &str) -> u64 {
    fs::read_to_string(path).map_or(0, |text| parse_size(&text, field))
}

/// A figure of a file that has lines such as `VmRSS:  1234 kB`.
fn parse_size(text: &str, field: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("");
    let kilobytes = value.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The system's name, release and processor, as `uname` gives them.
pub(super) fn system_name() -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let name = read("ostype").unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let release = read("osrelease").unwrap_or_default();
    [name.trim(), release.trim(), std::env::consts::ARCH].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_blanks() {
        let stat = "77 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 300 75 20 0";
        let time = ProcessorTime::parse(stat);
        let figures = [time.user, time.system, time.children_user, time.children_system];
        assert_eq!(figures.map(|seconds| (seconds * 100.0).round() as u64), [150, 25, 300, 75]);
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        assert!(ProcessorTime::parse("odd").user.abs() < f64::EPSILON);
        assert_eq!(parse_size("VmSize: 5 kB\nVmRSS:\t 1234 kB\n", "VmRSS:"), 1234 * 1024);
        assert_eq!(parse_size("VmRSS:\n", "VmRSS:"), 0);
        assert_eq!(size_in("/nowhere/at/all", "VmRSS:"), 0);
    }
}
