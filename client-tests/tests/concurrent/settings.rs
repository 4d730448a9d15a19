//! What the environment says about a run.

use std::{
    env,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) struct Settings {
    pub(crate) targets: Option<Vec<String>>,
    pub(crate) scenarios: Option<Vec<String>>,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    /// Plays this round alone.
    pub(crate) round: Option<u64>,
    /// How many steps a connection's script has.
    pub(crate) steps: usize,
    pub(crate) all_required: bool,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        Ok(Self {
            targets: list("CONCURRENT_TARGETS"),
            scenarios: list("CONCURRENT_SCENARIOS"),
            seed: number("CONCURRENT_SEED")?.unwrap_or(now.as_millis() as u64),
            rounds: number("CONCURRENT_ROUNDS")?.unwrap_or(4),
            round: number("CONCURRENT_ROUND")?,
            steps: number("CONCURRENT_STEPS")?.unwrap_or(60),
            all_required: variable("CONFORMANCE_REQUIRE").is_some_and(|value| value == "all"),
        })
    }

    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.scenarios.as_ref().is_none_or(|wanted| wanted.iter().any(|name| name == scenario))
    }

    /// The command that plays a round's scripts once more.
    pub(crate) fn again(&self, target: &str, scenario: &str, round: u64) -> String {
        format!(
            "CONCURRENT_TARGETS={target} CONCURRENT_SCENARIOS={scenario} CONCURRENT_SEED={} CONCURRENT_ROUND={round} CONCURRENT_STEPS={} cargo test -p client-tests --test concurrent",
            self.seed, self.steps
        )
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn list(name: &str) -> Option<Vec<String>> {
    variable(name).map(|value| value.split(',').map(str::to_owned).collect())
}

fn number<Number: FromStr>(name: &str) -> Result<Option<Number>, String> {
    match variable(name) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| format!("{name}={value} is no number")),
    }
}
