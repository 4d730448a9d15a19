//! How fast does a script compute, without asking for any key?
//!
//! The goal is 1.05 times the best peer: all of them run the same Lua.

use crate::Result;
use crate::benchmark::{CLIENTS, Load};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::report::Chapter;
use crate::scripts::{self, COMPUTE};
use crate::servers::{Contender, Server};

/// The calls that make a figure. They take about a millisecond each.
const CALLS: u64 = 500;

/// How often the script is called before that.
const WARM_UP: u64 = 20;

const LABEL: &str = "a call of COMPUTE";

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut cpu = Comparison::lower_is_better("CPU time, µs");
    contest.rounds("computing", contest.effort.rounds, |contender| {
        cpu.add_if_any(LABEL, contender, cost_us(contest, contender)?);
        Ok(())
    })?;
    Ok(Chapter {
        title: "Cost of computing in a script",
        method: method(),
        tables: vec![cpu.table(&contest.contenders)],
        charts: Vec::new(),
    })
}

/// Nothing of a server without scripts.
fn cost_us(contest: &Contest, contender: &Contender) -> Result<Option<f64>> {
    let server = Server::start(contender)?;
    if !scripts::are_known_to(&server)? {
        return Ok(None);
    }
    scripts::load(&mut server.connect()?)?;
    let load =
        |requests| Load { request: &["evalsha", COMPUTE.sha1, "0"], keys: 1, depth: 1, requests };
    contest.benchmark.cost(&server, &load(WARM_UP))?;
    Ok(Some(contest.benchmark.cost(&server, &load(CALLS))?.cpu_us))
}

fn method() -> String {
    format!(
        "{CLIENTS} clients of the load generator call a script by its SHA-1, one call at a time, {CALLS} calls in all. CPU time is \
         the server's own. {definition}",
        definition = COMPUTE.definition(),
    )
}
