//! What the environment says about a run.

use std::time::Duration;

use client_tests::{environment, program::REDLET};

use crate::plan::Ways;

/// What nobody minds to wait.
const A_SHORT_TIME: Duration = Duration::from_secs(15);

pub(crate) struct Settings {
    pub(crate) targets: Vec<String>,
    pub(crate) ways: Ways,
    pub(crate) seed: u64,
    /// Plays this run alone.
    pub(crate) run: Option<u64>,
    /// How many servers live on a directory, one after the other.
    pub(crate) lives: usize,
    /// No run is begun after so many ends,
    pub(crate) ends: usize,
    /// nor after so long.
    pub(crate) time: Duration,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, String> {
        let (ends, seconds) =
            (environment::number("DURABILITY_ENDS")?, environment::number("DURABILITY_SECONDS")?);
        let short = if ends.is_some() { Duration::MAX } else { A_SHORT_TIME };
        Ok(Self {
            targets: environment::list("DURABILITY_TARGETS")
                .unwrap_or_else(|| vec![REDLET.to_owned()]),
            ways: ways()?,
            seed: environment::seed("DURABILITY_SEED")?,
            run: environment::number("DURABILITY_RUN")?,
            lives: environment::number("DURABILITY_LIVES")?.unwrap_or(8),
            ends: ends.unwrap_or(usize::MAX),
            time: seconds.map_or(short, Duration::from_secs),
        })
    }

    /// The command that plays a run with the same seed once more.
    pub(crate) fn again(&self, target: &str, run: u64) -> String {
        let ways = match self.ways {
            Ways::Kills => "kill",
            Ways::Stops => "stop",
            Ways::Both => "both",
        };
        format!(
            "DURABILITY_TARGETS={target} DURABILITY_ENDING={ways} DURABILITY_SEED={} DURABILITY_RUN={run} DURABILITY_LIVES={} cargo test -p client-tests --test durability",
            self.seed, self.lives
        )
    }
}

fn ways() -> Result<Ways, String> {
    match environment::variable("DURABILITY_ENDING").as_deref() {
        None | Some("both") => Ok(Ways::Both),
        Some("kill") => Ok(Ways::Kills),
        Some("stop") => Ok(Ways::Stops),
        Some(other) => Err(format!("DURABILITY_ENDING={other} is none of kill, stop and both")),
    }
}
