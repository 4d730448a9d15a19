//! What the environment says about a run.

use client_tests::environment;

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
        Ok(Self {
            targets: environment::list("CONCURRENT_TARGETS"),
            scenarios: environment::list("CONCURRENT_SCENARIOS"),
            seed: environment::seed("CONCURRENT_SEED")?,
            rounds: environment::number("CONCURRENT_ROUNDS")?.unwrap_or(4),
            round: environment::number("CONCURRENT_ROUND")?,
            steps: environment::number("CONCURRENT_STEPS")?.unwrap_or(60),
            all_required: environment::requires_all(),
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
