//! What the environment says about a run.

use client_tests::{environment, program::REDLET};

use crate::form::{FORMS, Form};

/// A file goes from the first to the second, and what that leaves goes back.
pub(crate) type Chain = (String, String);

const ALL: [&str; 4] = [REDLET, "redis-7.0", "redis-8.0", "valkey-9.1"];

pub(crate) struct Settings {
    pub(crate) chains: Vec<Chain>,
    pub(crate) forms: Vec<Form>,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    /// Plays this round alone.
    pub(crate) round: Option<u64>,
    /// How many keys a dataset has, about.
    pub(crate) keys: usize,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, String> {
        Ok(Self {
            chains: chains(),
            forms: forms()?,
            seed: environment::seed("INTERCHANGE_SEED")?,
            rounds: environment::number("INTERCHANGE_ROUNDS")?.unwrap_or(1),
            round: environment::number("INTERCHANGE_ROUND")?,
            keys: environment::number("INTERCHANGE_KEYS")?.unwrap_or(60),
        })
    }

    pub(crate) fn rounds(&self) -> std::ops::Range<u64> {
        self.round.map_or(0..self.rounds, |only| only..only + 1)
    }

    /// The command that plays a round of a chain once more.
    pub(crate) fn again(&self, (first, second): &Chain, form: Form, round: u64) -> String {
        format!(
            "INTERCHANGE_CHAIN={first},{second} INTERCHANGE_FORMS={} INTERCHANGE_SEED={} INTERCHANGE_ROUND={round} INTERCHANGE_KEYS={} cargo test -p client-tests --test interchange",
            form.name(),
            self.seed,
            self.keys
        )
    }
}

/// The one that is named; all pairs of the servers that are named; or all pairs that redlet is in.
fn chains() -> Vec<Chain> {
    if let Some([first, second]) = environment::list("INTERCHANGE_CHAIN").as_deref() {
        return vec![(first.clone(), second.clone())];
    }
    let named = environment::list("INTERCHANGE_SERVERS");
    let with_redlet_alone = named.is_none();
    let servers = named.unwrap_or_else(|| ALL.map(str::to_owned).to_vec());
    let pairs = servers
        .iter()
        .flat_map(|first| servers.iter().map(move |second| (first.clone(), second.clone())));
    pairs
        .filter(|(first, second)| !with_redlet_alone || first == REDLET || second == REDLET)
        .collect()
}

fn forms() -> Result<Vec<Form>, String> {
    let Some(names) = environment::list("INTERCHANGE_FORMS") else { return Ok(FORMS.to_vec()) };
    let find = |name: &String| {
        let form = FORMS.into_iter().find(|form| form.name() == name);
        form.ok_or_else(|| format!("INTERCHANGE_FORMS: there is no {name}"))
    };
    names.iter().map(find).collect()
}
