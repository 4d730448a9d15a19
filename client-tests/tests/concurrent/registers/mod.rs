//! A few keys that everybody reads and writes at once, in every way there is: some order explains all that was answered.
//!
//! Each request is recorded with the moments at which it was sent and answered, and the whole history of a round is given to
//! the search of [`client_tests::history`]. Watches are part of it: one that was broken without a write is a failure, too.

mod player;
mod script;

use std::sync::Arc;

use client_tests::{
    history::{
        Operation, Unexplained, linearize,
        registers::{Action, State},
    },
    random::Random,
    target::Running,
};
use tokio::task::JoinSet;

use crate::client::{Client, join_all, random_protocol};
use player::Player;

const CLIENTS: usize = 6;
/// How many of the operations before a failure are told.
const TOLD: usize = 12;

pub(crate) async fn play(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let script = script::script(number, random, steps);
        let client =
            Client::connect(server, format!("client-{number}"), random_protocol(random)).await?;
        tasks.spawn(Player::new(client, number).play(script));
    }
    let history = join_all(tasks).await?.concat();
    match linearize(&history, State::default(), State::after) {
        Ok(()) => Ok(history.len()),
        Err(unexplained) => Err(tell(&history, &unexplained)),
    }
}

/// An operation, and who did it.
type Recorded = Operation<Action>;

fn tell(history: &[Recorded], unexplained: &Unexplained<State>) -> String {
    let zero = history.iter().map(|operation| operation.start).min().expect("something was done");
    let line = |index: &usize| {
        let Operation { start, end, action } = &history[*index];
        let (start, end) = ((*start - zero).as_micros(), (*end - zero).as_micros());
        format!("    {start:>8}..{end:<8} µs: {action:?}")
    };
    let lines = |indices: &[usize]| indices.iter().map(line).collect::<Vec<_>>().join("\n");
    let explained = &unexplained.explained;
    format!(
        "  no order explains what {} requests were answered. After these, the last of {}:\n{}\n  it is {}, and none of these may be next:\n{}",
        history.len(),
        explained.len(),
        lines(&explained[explained.len().saturating_sub(TOLD)..]),
        unexplained.state,
        lines(&unexplained.unfitting),
    )
}
