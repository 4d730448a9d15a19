//! What does a request cost the server, and how many of them does it answer?

use crate::Result;
use crate::benchmark::{CLIENTS, Cost, Load};
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::{KEYS, fill};
use crate::report::Chapter;
use crate::rows::{Row, VALUE, preparations};
use crate::servers::{Contender, Server};

const DEPTHS: [u64; 3] = [1, 16, 64];

/// The requests at depth 1 by which a cell's cost is estimated; deeper pipelines get more of them, as they cost less.
const TRIAL: u64 = 10_000;

/// The requests that tell whether a row is too dear for a trial of that size.
const FIRST_TRIAL: u64 = 500;

/// A server that works for a smaller part of the time waits for the generator, and its rate is not its own.
const BUSY: f64 = 0.9;

/// A row at a depth, with a number of requests that is the same for every server.
struct Cell {
    row: &'static Row,
    depth: usize,
    requests: u64,
}

/// The tables of one depth.
struct Depth {
    cpu: Comparison,
    rate: Comparison,
    label: String,
}

impl Depth {
    fn new(depth: u64) -> Self {
        Depth {
            cpu: Comparison::lower_is_better(format!("CPU time per request, µs, depth {depth}")),
            rate: Comparison::higher_is_better(format!("Requests per second, depth {depth}")),
            label: format!("depth {depth}"),
        }
    }

    fn add(&mut self, row: &Row, contender: &Contender, cost: &Cost) {
        self.cpu.add(row.name, contender, cost.cpu_us);
        let waits = cost.busy < BUSY;
        self.rate.add_unless(waits, row.name, contender, cost.requests_per_second);
    }
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let cells = cells(contest)?;
    let mut depths = DEPTHS.map(Depth::new);
    let mut sleeps =
        Comparison::lower_is_better("Sleeps per thousand requests, median of all rows");
    contest.rounds("throughput", contest.effort.rounds, |contender| {
        let server = filled(contender)?;
        for cell in &cells {
            let cost = cost(contest, &server, cell.row, cell.depth, cell.requests)?;
            depths[cell.depth].add(cell.row, contender, &cost);
            sleeps.add(&depths[cell.depth].label, contender, cost.sleeps * 1000.0);
        }
        Ok(())
    })?;
    Ok(chapter(contest, &depths, &sleeps))
}

fn filled(contender: &Contender) -> Result<Server> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    fill(&mut client, 0..KEYS, &[VALUE])?;
    for command in preparations() {
        client.call(&command.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(server)
}

/// Tries every cell on redlet, and finds out how many requests take as much CPU time as a figure needs.
fn cells(contest: &Contest) -> Result<Vec<Cell>> {
    eprintln!("throughput: how many requests make a figure");
    let server = filled(contest.redlet())?;
    let wanted_us = contest.effort.cell_cpu.as_secs_f64() * 1e6;
    let mut cells = Vec::new();
    for &row in &contest.rows {
        let mut enough = wanted_us / cost(contest, &server, row, 0, FIRST_TRIAL)?.cpu_us;
        for (depth, pipeline) in DEPTHS.into_iter().enumerate() {
            let trial = whole_pipelines(enough.min((TRIAL * pipeline.min(10)) as f64), pipeline);
            enough = wanted_us / cost(contest, &server, row, depth, trial)?.cpu_us;
            cells.push(Cell { row, depth, requests: whole_pipelines(enough, pipeline) });
        }
    }
    Ok(cells)
}

/// The generator sends whole pipelines, so that any other number of requests would not be what it has sent.
fn whole_pipelines(requests: f64, depth: u64) -> u64 {
    (requests as u64).max(1).next_multiple_of(depth)
}

fn cost(
    contest: &Contest,
    server: &Server,
    row: &Row,
    depth: usize,
    requests: u64,
) -> Result<Cost> {
    let command = row.command();
    let load = Load { command: &command, keys: KEYS, depth: DEPTHS[depth], requests };
    contest.benchmark.cost(server, &load)
}

fn chapter(contest: &Contest, depths: &[Depth], sleeps: &Comparison) -> Chapter {
    let contenders = &contest.contenders;
    let mut tables = Vec::new();
    for depth in depths {
        tables.extend([depth.cpu.table(contenders), depth.rate.table(contenders)]);
    }
    tables.push(sleeps.table(contenders));
    let panels =
        depths.iter().map(|depth| depth.cpu.panel(Shape::Bars, "command", contenders)).collect();
    Chapter {
        title: "Cost of a request",
        method: method(contest),
        tables,
        charts: vec![Chart { file: "cpu-per-request.svg", panels }],
    }
}

fn method(contest: &Contest) -> String {
    let commands: Vec<String> =
        contest.rows.iter().map(|row| format!("{}: `{}`", row.name, row.shown())).collect();
    format!(
        "{CLIENTS} clients of the load generator send one command at a time, in pipelines of 1, 16 and 64 requests. N \
         is drawn from {keys} numbers, and all keys of these numbers are there, as well as a list and a set of 100 elements \
         and two sets of 1,000. Elements have 16 bytes. Nobody is subscribed. CPU time is the server's own, user and \
         system, of all its threads; each figure spans about {span} ms of it. Fifty connections and their end are part \
         of that. A rate is marked ° where the server was at work for less than {busy:.0} % of the time: there it \
         waited for the generator, and the rate is not its own. A server that sleeps has to be woken, which costs more than \
         a short command.\n\n{commands}.",
        keys = grouped(KEYS),
        span = contest.effort.cell_cpu.as_millis(),
        busy = BUSY * 100.0,
        commands = commands.join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pipeline_is_sent_in_part() {
        assert_eq!(whole_pipelines(300.7, 64), 320);
        assert_eq!(whole_pipelines(320.0, 64), 320);
        assert_eq!(whole_pipelines(0.2, 16), 16);
    }
}
