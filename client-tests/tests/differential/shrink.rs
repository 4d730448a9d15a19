//! Finds a shortest sequence that still differs: delta debugging.

use client_tests::reply::Protocol;

use crate::{
    generate::Command,
    pair::{DeclaredCounts, Difference, Pair},
};

/// Commands that raced with the clock differ now and then, a bug always.
const CONFIRMATIONS: usize = 3;

/// The commands that remain and their difference, or `None` if the difference does not come again.
pub(crate) async fn shrink(
    pair: &mut Pair,
    commands: Vec<Command>,
    protocol: Protocol,
) -> Result<Option<(Vec<Command>, Difference)>, String> {
    let Some(mut difference) = replay(pair, &commands, protocol).await? else { return Ok(None) };
    let mut shortest = commands;
    let mut part = shortest.len().div_ceil(2);
    while part > 0 {
        let mut start = 0;
        while start < shortest.len() && shortest.len() > 1 {
            let mut fewer = shortest.clone();
            fewer.drain(start..(start + part).min(fewer.len()));
            match replay(pair, &fewer, protocol).await? {
                Some(found) => {
                    shortest = fewer;
                    difference = found;
                }
                None => start += part,
            }
        }
        part /= 2;
    }
    for _ in 0..CONFIRMATIONS {
        match replay(pair, &shortest, protocol).await? {
            Some(found) => difference = found,
            None => return Ok(None),
        }
    }
    Ok(Some((shortest, difference)))
}

async fn replay(
    pair: &mut Pair,
    commands: &[Command],
    protocol: Protocol,
) -> Result<Option<Difference>, String> {
    pair.play(commands, protocol, &mut DeclaredCounts::new()).await
}
