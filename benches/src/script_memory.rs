//! How much memory does a script take, and does it come back?

use crate::Result;
use crate::client::{Client, encode};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::memory::lowest_resident_bytes;
use crate::report::Chapter;
use crate::scripts;
use crate::servers::{Contender, Server, line_after};

const SCRIPTS: u64 = 10_000;

/// How many scripts are loaded and flushed before the first reading, so that buffers are not counted as scripts.
const WARM_UP: u64 = 100;

/// How many scripts are sent at once.
const DEPTH: usize = 50;

/// What is read of a server: its resident memory, and what it says in INFO of what it keeps beside Lua, and of Lua.
const ACCOUNTS: [&str; 3] = ["resident memory", "used_memory_scripts_eval", "used_memory_vm_eval"];

/// When resident memory is compared with that before the first script.
const MOMENTS: [&str; 2] = ["with all scripts", "after SCRIPT FLUSH"];

/// What was found; nothing of a server without scripts, or of what it does not tell.
#[derive(Default)]
struct Figures {
    per_script: [Option<f64>; 3],
    growth: [Option<f64>; 2],
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut per_script = Comparison::lower_is_better("Memory per script, bytes");
    let mut growth = Comparison::lower_is_better("Resident memory, times that before");
    // Memory does not depend on what else the machine does: one round is enough.
    contest.rounds("script-memory", 1, |contender| {
        let figures = figures(contest, contender)?;
        for (account, bytes) in ACCOUNTS.into_iter().zip(figures.per_script) {
            per_script.add_if_any(account, contender, bytes);
        }
        for (moment, times) in MOMENTS.into_iter().zip(figures.growth) {
            growth.add_if_any(moment, contender, times);
        }
        Ok(())
    })?;
    let contenders = &contest.contenders;
    Ok(Chapter {
        title: "Memory of scripts",
        method: method(contest),
        tables: vec![per_script.table(contenders), growth.table(contenders)],
        charts: Vec::new(),
    })
}

fn figures(contest: &Contest, contender: &Contender) -> Result<Figures> {
    let server = Server::start(contender)?;
    if !scripts::are_known_to(&server)? {
        return Ok(Figures::default());
    }
    let mut client = server.connect()?;
    load(&mut client, WARM_UP)?;
    client.call(&["SCRIPT", "FLUSH"])?;
    let (before, own_before) = (server.resident_bytes()? as f64, own_accounts(&mut client)?);
    load(&mut client, SCRIPTS)?;
    let (full, own_full) = (server.resident_bytes()? as f64, own_accounts(&mut client)?);
    client.call(&["SCRIPT", "FLUSH"])?;
    let flushed = lowest_resident_bytes(&server, contest.effort.flush_watch)? as f64;

    let per_script = |full: f64, before: f64| (full - before) / SCRIPTS as f64;
    let own = [0, 1].map(|place| Some(per_script(own_full[place]?, own_before[place]?)));
    Ok(Figures {
        per_script: [Some(per_script(full, before)), own[0], own[1]],
        growth: [full, flushed].map(|bytes| Some(bytes / before)),
    })
}

/// What the server says of its scripts.
fn own_accounts(client: &mut Client) -> Result<[Option<f64>; 2]> {
    let info = client.call(&["INFO", "memory"])?;
    let bytes = |account: &str| line_after(&info, &format!("{account}:"))?.parse().ok();
    Ok([bytes(ACCOUNTS[1]), bytes(ACCOUNTS[2])])
}

/// Loads that many scripts, none of them like another.
fn load(client: &mut Client, count: u64) -> Result<()> {
    let numbers: Vec<u64> = (0..count).collect();
    for pipeline in numbers.chunks(DEPTH) {
        let mut requests = Vec::new();
        for &number in pipeline {
            encode(&["SCRIPT", "LOAD", &text(number)], &mut requests);
        }
        client.send(&requests)?;
        client.await_replies(pipeline.len())?;
    }
    Ok(())
}

/// As long as the scripts that give locks back.
fn text(number: u64) -> String {
    format!(
        "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return {number:05} end"
    )
}

fn method(contest: &Contest) -> String {
    format!(
        "{scripts} scripts of {length} bytes are loaded with SCRIPT LOAD into a fresh server; they differ in one number. \
         A figure is by how much the server's resident memory has grown, or what INFO says of scripts, divided by the \
         number of scripts. Then SCRIPT FLUSH, as the server does it by default: the lowest reading of the {watch} s \
         after it, in times of the memory before the first script. One round.",
        scripts = grouped(SCRIPTS),
        length = text(0).len(),
        watch = contest.effort.flush_watch.as_secs_f64(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scripts_have_the_same_length() {
        assert_eq!(text(SCRIPTS - 1).len(), text(0).len());
    }
}
