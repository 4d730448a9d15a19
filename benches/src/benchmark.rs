//! The load generator of the real servers, and what a load costs the server that answers it.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::servers::{Server, peer};

/// How many clients make a load.
pub(crate) const CLIENTS: u64 = 50;

/// The generator. It inherits the core of this process.
pub(crate) struct Benchmark {
    executable: PathBuf,
}

/// What the generator sends.
pub(crate) struct Load<'a> {
    /// The words of a command, or of several with `SEPARATOR` between them, which are sent together.
    pub(crate) request: &'a [&'a str],
    /// From how many numbers those are drawn that stand in the words.
    pub(crate) keys: u64,
    pub(crate) depth: u64,
    pub(crate) requests: u64,
}

/// The word between commands that are one request.
pub(crate) const SEPARATOR: &str = ";";

/// What a load costs.
pub(crate) struct Cost {
    /// The server's CPU time per request.
    pub(crate) cpu_us: f64,
    pub(crate) requests_per_second: f64,
    /// The part of the time that the server was at work. Well below 1, the rate is that of the generator.
    pub(crate) busy: f64,
    /// How often the server went to sleep to wait for requests, and had to be woken.
    pub(crate) sleeps: f64,
}

impl Benchmark {
    pub(crate) fn find() -> Result<Self> {
        let found = peer("valkey-benchmark").or_else(|| peer("redis-benchmark"));
        let executable = found.ok_or("no load generator: 'scripts/peers install' brings one")?;
        Ok(Benchmark { executable })
    }

    /// The generator with its version, in its own words.
    pub(crate) fn version(&self) -> Result<String> {
        let output = Command::new(&self.executable).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Puts a load on a server, and watches it.
    pub(crate) fn cost(&self, server: &Server, load: &Load) -> Result<Cost> {
        let (before, sleeps) = (server.cpu_time()?, server.sleeps());
        let requests_per_second = self.run(server.port, load)?;
        // It gets to notice that the generator's clients are gone, which is part of the load.
        let cpu = server.cpu_time_at_rest()?.since(&before).as_secs_f64();
        let requests = load.requests as f64;
        let busy = cpu / (requests / requests_per_second);
        let sleeps = server.sleeps().saturating_sub(sleeps) as f64 / requests;
        Ok(Cost { cpu_us: cpu / requests * 1e6, requests_per_second, busy, sleeps })
    }

    /// Gives the requests per second by the generator's clock. Every server gets the same numbers in the same order, and
    /// others at each depth: what is new to a server at one depth has to be new to it at the next.
    fn run(&self, port: u16, load: &Load) -> Result<f64> {
        let commands = load.commands();
        let options = [
            ("-p", u64::from(port)),
            ("-c", CLIENTS),
            ("-r", load.keys),
            ("-P", load.depth),
            ("-n", load.requests * commands),
            ("--seed", load.depth),
        ];
        let options = options.map(|(name, value)| [name.to_owned(), value.to_string()]);
        let output = Command::new(&self.executable)
            .args(options.as_flattened())
            .arg("--csv")
            .args(load.request)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if let (true, Some(rate)) = (output.status.success(), rate(&text)) {
            return Ok(rate / commands as f64);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("the load generator fails: {}{}", text.trim(), complaint.trim()).into())
    }
}

impl Load<'_> {
    /// How many commands a request has: the generator counts them one by one.
    fn commands(&self) -> u64 {
        self.request.split(|word| *word == SEPARATOR).count() as u64
    }
}

/// The second column of the last line; the first one is the command, which may have commas.
fn rate(csv: &str) -> Option<f64> {
    csv.trim().lines().last()?.split("\",\"").nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_in_the_second_column() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"set a,b x\",\"434782.62\",\"1.633\"\n";
        assert_eq!(rate(csv), Some(434_782.62));
    }

    #[test]
    fn commands_of_a_request_are_counted() {
        for (request, commands) in
            [(&["incr", "k"][..], 1), (&["multi", ";", "set", "k", "v", ";", "exec"], 3)]
        {
            let load = Load { request, keys: 1, depth: 1, requests: 1 };
            assert_eq!(load.commands(), commands);
        }
    }

    #[test]
    fn a_heading_alone_has_no_rate() {
        assert_eq!(rate("\"test\",\"rps\",\"avg_latency_ms\"\n"), None);
        assert_eq!(rate(""), None);
    }
}
