//! Watching a server: `MONITOR`; and `LOLWUT`.

use super::Command;
use super::args::Word;
use super::info::REDIS_VERSION;
use super::metadata::{Group, flags};
use crate::clients::ClientFlags;
use crate::error::Error;
use crate::execute::Call;
use crate::random::Random;

pub(super) const COMMANDS: &[&Command] = &[&MONITOR, &LOLWUT];

const MONITOR: Command = Command {
    name: "monitor",
    arity: 1,
    flags: flags("admin noscript loading stale"),
    group: Group::Server,
    complexity: "",
    summary: "Shows every request to the server as it comes.",
    run: monitor,
    ..Command::BASE
};

/// A client that monitors already gets no reply, which no client waits for.
fn monitor(call: &mut Call<'_>) -> Result<(), Error> {
    if call.session.is_direct() {
        return Err(Error::err("MONITOR needs a connection"));
    }
    if call.session.transaction.is_executing {
        return Err(Error::err("MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let client = &call.session.client;
    if !client.has(ClientFlags::MONITOR) {
        call.engine.monitors.add(client);
        call.reply.ok();
    }
    Ok(())
}

const LOLWUT: Command = Command {
    name: "lolwut",
    arity: -1,
    flags: flags("readonly fast"),
    group: Group::Server,
    since: "5.0.0",
    complexity: "",
    usage: "[VERSION version]",
    summary: "Draws something, and tells the server's version.",
    run: lolwut,
    ..Command::BASE
};

/// Arguments other than the version are for one drawing or another, and none is refused.
fn lolwut(call: &mut Call<'_>) -> Result<(), Error> {
    if call.args.len() >= 3 && *Word::new(call.args.at(1)) == *b"VERSION" {
        (2..call.args.len()).try_for_each(|index| call.args.integer(index).map(drop))?;
    }
    let mut text = draw_maze(&call.engine.random);
    text.push_str("\nA maze without an entrance. Follows Redis ver. ");
    text.push_str(REDIS_VERSION);
    text.push_str(concat!("\nredlet ver. ", env!("CARGO_PKG_VERSION"), "\n"));
    call.reply.verbatim(text.as_bytes());
    Ok(())
}

/// Diagonals that lean left or right at random: enough to make a maze.
fn draw_maze(random: &Random) -> String {
    const COLUMNS: usize = 64;
    const ROWS: usize = 16;
    let mut maze = String::with_capacity(ROWS * (COLUMNS * '╱'.len_utf8() + 1));
    for _ in 0..ROWS {
        let leanings = random.next();
        maze.extend((0..COLUMNS).map(|column| ['╱', '╲'][(leanings >> column) as usize & 1]));
        maze.push('\n');
    }
    maze
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_maze() {
        let maze = draw_maze(&Random::seeded(7));
        assert_eq!(maze, draw_maze(&Random::seeded(7)));
        assert_ne!(maze, draw_maze(&Random::seeded(8)));
        assert!(maze.lines().all(|line| line.chars().count() == 64));
    }
}
