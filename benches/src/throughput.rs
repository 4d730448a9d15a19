//! What does a request cost the server, and how many of them does it answer?

use crate::Result;
use crate::benchmark::CLIENTS;
use crate::contest::Contest;
use crate::costs::{BUSY, Costs, Subject};
use crate::figures::grouped;
use crate::filling::KEYS;
use crate::report::Chapter;
use crate::rows::{ROWS, listed, preparations};
use crate::servers::Server;

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let subject = Subject { section: "throughput", rows: contest.chosen(ROWS), prepare };
    let costs = Costs::measure(contest, &subject)?;
    Ok(Chapter {
        title: "Cost of a request",
        method: method(contest, &subject),
        tables: costs.tables(&contest.contenders),
        charts: vec![costs.chart("cpu-per-request.svg", &contest.contenders)],
    })
}

fn prepare(server: &Server) -> Result<()> {
    let mut client = server.connect()?;
    for command in preparations() {
        client.call(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn method(contest: &Contest, subject: &Subject) -> String {
    format!(
        "{CLIENTS} clients of the load generator send one command at a time, in pipelines of 1, 16 and 64 requests. N \
         is drawn from {keys} numbers, and all keys of these numbers are there, as well as a list and a set of 100 elements \
         and two sets of 1,000. Elements have 16 bytes. Nobody is subscribed. CPU time is the server's own, user and \
         system, of all its threads; each figure spans about {span} ms of it. Fifty connections and their end are part \
         of that. A rate is marked ° where the server was at work for less than {busy:.0} % of the time: there it \
         waited for the generator, and the rate is not its own. A server that sleeps has to be woken, which costs more than \
         a short command.\n\n{rows}.",
        keys = grouped(KEYS),
        span = contest.effort.cell_cpu.as_millis(),
        busy = BUSY * 100.0,
        rows = listed(&subject.rows),
    )
}
