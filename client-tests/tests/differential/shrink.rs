//! Finds a shortest sequence that still differs: delta debugging.

use std::ops::Range;

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
    let Some(difference) = replay(pair, &commands, protocol).await? else { return Ok(None) };
    let mut found = (commands, difference);
    shrink_list(pair, &mut found, protocol, &Whole).await?;
    for at in 0..found.0.len() {
        shrink_list(pair, &mut found, protocol, &ScriptOf(at)).await?;
    }
    for _ in 0..CONFIRMATIONS {
        match replay(pair, &found.0, protocol).await? {
            Some(difference) => found.1 = difference,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// Something that consists of parts, most of which may turn out to be needless.
trait Divisible {
    fn parts(&self, commands: &[Command]) -> usize;
    /// The commands without some of the parts, or all of them if these parts are needed.
    fn without(&self, commands: &[Command], parts: Range<usize>) -> Vec<Command>;
}

/// All commands.
struct Whole;

impl Divisible for Whole {
    fn parts(&self, commands: &[Command]) -> usize {
        commands.len()
    }

    fn without(&self, commands: &[Command], parts: Range<usize>) -> Vec<Command> {
        let mut fewer = commands.to_vec();
        fewer.drain(parts);
        fewer
    }
}

/// The lines of the script of one command. What is no script any more fails alike everywhere, and is not taken.
struct ScriptOf(usize);

impl Divisible for ScriptOf {
    fn parts(&self, commands: &[Command]) -> usize {
        commands[self.0].get(1).map_or(0, |script| script.split(|byte| *byte == b'\n').count())
    }

    fn without(&self, commands: &[Command], parts: Range<usize>) -> Vec<Command> {
        let mut shorter = commands.to_vec();
        let script = &mut shorter[self.0][1];
        let lines = script.split(|byte| *byte == b'\n').enumerate();
        let left = lines.filter(|(at, line)| !parts.contains(at) || counts_rounds(line));
        *script = left.map(|(_, line)| line).collect::<Vec<_>>().join(&b'\n');
        shorter
    }
}

/// Without the line `count1 = count1 + 1` a loop would not end, nor would the server be of use for anything else.
fn counts_rounds(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let sides = line.trim().split_once(" = ");
    sides.is_some_and(|(name, sum)| sum.strip_suffix(" + 1") == Some(name))
}

/// Leaves out half of the parts, then quarters, and in the end single ones, as long as the difference stays.
async fn shrink_list(
    pair: &mut Pair,
    found: &mut (Vec<Command>, Difference),
    protocol: Protocol,
    divisible: &impl Divisible,
) -> Result<(), String> {
    let mut size = divisible.parts(&found.0).div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < divisible.parts(&found.0) && divisible.parts(&found.0) > 1 {
            let end = (start + size).min(divisible.parts(&found.0));
            let fewer = divisible.without(&found.0, start..end);
            let is_fewer = divisible.parts(&fewer) < divisible.parts(&found.0);
            match replay(pair, &fewer, protocol).await? {
                Some(difference) if is_fewer => *found = (fewer, difference),
                _ => start += size,
            }
        }
        size /= 2;
    }
    Ok(())
}

async fn replay(
    pair: &mut Pair,
    commands: &[Command],
    protocol: Protocol,
) -> Result<Option<Difference>, String> {
    pair.play(commands, protocol, &mut DeclaredCounts::new()).await
}
