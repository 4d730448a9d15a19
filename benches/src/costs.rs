//! What the rows of a table cost a server, in pipelines of several depths, and how many of them it answers.
//!
//! What the rows ask for is not known here. A server that does not have a row's commands is left out of its lines.

use crate::Result;
use crate::benchmark::{Cost, Load};
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::filling::{KEYS, fill};
use crate::report::Table;
use crate::rows::{Row, VALUE};
use crate::servers::{Contender, Server};

/// The lengths of pipelines.
pub(crate) const DEPTHS: [u64; 3] = [1, 16, 64];

/// The requests at depth 1 by which a cell's cost is estimated; deeper pipelines get more of them, as they cost less.
const TRIAL: u64 = 10_000;

/// The requests that tell whether a row is too dear for a trial of that size.
const FIRST_TRIAL: u64 = 500;

/// A server that works for a smaller part of the time waits for the generator, and its rate is not its own.
pub(crate) const BUSY: f64 = 0.9;

/// What is measured, and what a server gets first, besides its keys.
pub(crate) struct Subject {
    pub(crate) section: &'static str,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) prepare: fn(&Server) -> Result<()>,
}

/// What was measured.
pub(crate) struct Costs {
    depths: [Depth; 3],
    sleeps: Comparison,
}

/// The tables of one depth.
struct Depth {
    cpu: Comparison,
    rate: Comparison,
    label: String,
}

/// A row at a depth, with a number of requests that is the same for every server.
struct Cell {
    row: &'static Row,
    depth: usize,
    requests: u64,
}

impl Costs {
    pub(crate) fn measure(contest: &Contest, subject: &Subject) -> Result<Self> {
        let cells = cells(contest, subject)?;
        let mut costs = Self::new();
        contest.rounds(subject.section, contest.effort.rounds, |contender| {
            let server = subject.start(contender)?;
            for cell in &cells {
                if cell.row.is_known_to(&server)? {
                    let cost = cost(contest, &server, cell.row, cell.depth, cell.requests)?;
                    costs.add(cell, contender, &cost);
                } else {
                    costs.leave_out(cell, contender);
                }
            }
            Ok(())
        })?;
        Ok(costs)
    }

    fn new() -> Self {
        let sleeps = "Sleeps per thousand requests, median of all rows";
        Costs { depths: DEPTHS.map(Depth::new), sleeps: Comparison::lower_is_better(sleeps) }
    }

    fn add(&mut self, cell: &Cell, contender: &Contender, cost: &Cost) {
        let Depth { cpu, rate, label } = &mut self.depths[cell.depth];
        let waits = cost.busy < BUSY;
        cpu.add(cell.row.name, contender, cost.cpu_us);
        rate.add_unless(waits, cell.row.name, contender, cost.requests_per_second);
        self.sleeps.add(label, contender, cost.sleeps * 1000.0);
    }

    fn leave_out(&mut self, cell: &Cell, contender: &Contender) {
        let Depth { cpu, rate, label } = &mut self.depths[cell.depth];
        cpu.leave_out(cell.row.name, contender);
        rate.leave_out(cell.row.name, contender);
        self.sleeps.leave_out(label, contender);
    }

    pub(crate) fn tables(&self, contenders: &[Contender]) -> Vec<Table> {
        let of_depths = self.depths.iter().flat_map(|depth| [&depth.cpu, &depth.rate]);
        of_depths.chain([&self.sleeps]).map(|table| table.table(contenders)).collect()
    }

    /// CPU time at every depth.
    pub(crate) fn chart(&self, file: &'static str, contenders: &[Contender]) -> Chart {
        let panels = self.depths.iter();
        let panels = panels.map(|depth| depth.cpu.panel(Shape::Bars, "command", contenders));
        Chart { file, panels: panels.collect() }
    }
}

impl Depth {
    fn new(depth: u64) -> Self {
        Depth {
            cpu: Comparison::lower_is_better(format!("CPU time per request, µs, depth {depth}")),
            rate: Comparison::higher_is_better(format!("Requests per second, depth {depth}")),
            label: format!("depth {depth}"),
        }
    }
}

impl Subject {
    /// A server with everything that the rows need.
    fn start(&self, contender: &Contender) -> Result<Server> {
        let server = Server::start(contender)?;
        fill(&mut server.connect()?, 0..KEYS, &[VALUE])?;
        (self.prepare)(&server)?;
        Ok(server)
    }
}

/// Finds out of every cell how many requests take as much CPU time as a figure needs: on redlet, or on the first of its
/// peers that has the row's commands.
fn cells(contest: &Contest, subject: &Subject) -> Result<Vec<Cell>> {
    eprintln!("{}: how many requests make a figure", subject.section);
    let (mut cells, mut rows) = (Vec::new(), subject.rows.clone());
    for contender in &contest.contenders {
        if rows.is_empty() {
            break;
        }
        let server = subject.start(contender)?;
        for row in std::mem::take(&mut rows) {
            if row.is_known_to(&server)? {
                cells.extend(cells_of(contest, &server, row)?);
            } else {
                rows.push(row);
            }
        }
    }
    if let Some(row) = rows.first() {
        return Err(format!("no server has the commands of '{}'", row.name).into());
    }
    cells.sort_by_key(|cell| subject.rows.iter().position(|row| row.name == cell.row.name));
    Ok(cells)
}

fn cells_of(contest: &Contest, server: &Server, row: &'static Row) -> Result<Vec<Cell>> {
    let wanted_us = contest.effort.cell_cpu.as_secs_f64() * 1e6;
    let mut enough = wanted_us / cost(contest, server, row, 0, FIRST_TRIAL)?.cpu_us;
    let mut cells = Vec::new();
    for (depth, pipeline) in DEPTHS.into_iter().enumerate() {
        let trial = whole_pipelines(enough.min((TRIAL * pipeline.min(10)) as f64), pipeline);
        enough = wanted_us / cost(contest, server, row, depth, trial)?.cpu_us;
        cells.push(Cell { row, depth, requests: whole_pipelines(enough, pipeline) });
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
    let request = row.request();
    let load = Load { request: &request, keys: row.numbers, depth: DEPTHS[depth], requests };
    contest.benchmark.cost(server, &load)
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
