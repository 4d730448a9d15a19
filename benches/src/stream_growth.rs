//! Do requests cost more as the entries of a stream become many?
//!
//! The goal: the most entries cost less than 1.6 times as much as the fewest.

use crate::Result;
use crate::benchmark::Load;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::entries::{self, FIELDS};
use crate::figures::grouped;
use crate::report::Chapter;
use crate::servers::{Contender, Server};

/// How many entries a stream has.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// The pipeline depth of all requests.
const DEPTH: u64 = 16;

const STREAM: &str = "stream";

/// Finds one entry.
const RANGE: &[&str] = &["xrange", STREAM, "1__rand_1st__", "1__rand_1st__"];

/// What a server has to have.
const COMMANDS: &[&str] = &["xadd", "xrange"];

struct Tables {
    add: Comparison,
    range: Comparison,
    increase: Comparison,
}

/// What a request costs.
struct Costs {
    add_us: f64,
    range_us: f64,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut tables = Tables {
        add: Comparison::lower_is_better("CPU time per XADD, µs"),
        range: Comparison::lower_is_better("CPU time per XRANGE of one entry, µs"),
        increase: Comparison::lower_is_better("Most entries, times the cost of the fewest"),
    };
    contest.rounds("stream-growth", contest.effort.few_rounds(), |contender| {
        if !Server::start(contender)?.knows(COMMANDS)? {
            tables.leave_out(contender);
            return Ok(());
        }
        let mut costs = Vec::new();
        for size in SIZES {
            costs.push(measure_size(contest, contender, size)?);
        }
        tables.add(contender, &costs);
        Ok(())
    })?;
    Ok(tables.chapter(contest))
}

/// Entries are found before any are added: later ones have other ids.
fn measure_size(contest: &Contest, contender: &Contender, size: u64) -> Result<Costs> {
    let server = Server::start(contender)?;
    entries::fill(&mut server.connect()?, STREAM, 0..size)?;
    let range_us = cost_us(contest, &server, RANGE, size)?;
    let length = size.to_string();
    let add = [&["xadd", STREAM, "MAXLEN", "~", &length, "*"], FIELDS].concat();
    Ok(Costs { add_us: cost_us(contest, &server, &add, size)?, range_us })
}

fn cost_us(contest: &Contest, server: &Server, command: &[&str], entries: u64) -> Result<f64> {
    let requests = contest.effort.load_requests;
    let load = Load { request: command, keys: entries, depth: DEPTH, requests };
    Ok(contest.benchmark.cost(server, &load)?.cpu_us)
}

impl Tables {
    fn add(&mut self, contender: &Contender, costs: &[Costs]) {
        for (size, costs) in SIZES.map(grouped).iter().zip(costs) {
            self.add.add(size, contender, costs.add_us);
            self.range.add(size, contender, costs.range_us);
        }
        let (first, last) = (&costs[0], &costs[costs.len() - 1]);
        self.increase.add("XADD", contender, last.add_us / first.add_us);
        self.increase.add("XRANGE", contender, last.range_us / first.range_us);
    }

    fn leave_out(&mut self, contender: &Contender) {
        for size in SIZES.map(grouped) {
            self.add.leave_out(&size, contender);
            self.range.leave_out(&size, contender);
        }
        for command in ["XADD", "XRANGE"] {
            self.increase.leave_out(command, contender);
        }
    }

    fn chapter(&self, contest: &Contest) -> Chapter {
        let contenders = &contest.contenders;
        let panels = [&self.add, &self.range];
        let panels = panels.map(|table| table.panel(Shape::Lines, "number of entries", contenders));
        let tables = [&self.add, &self.range, &self.increase];
        Chapter {
            title: "Growth of a stream",
            method: method(contest),
            tables: tables.map(|table| table.table(contenders)).into(),
            charts: vec![Chart { file: "stream-growth.svg", panels: panels.into() }],
        }
    }
}

fn method(contest: &Contest) -> String {
    let sizes = SIZES.map(grouped);
    format!(
        "One stream in a fresh server, of {}, {} or {} entries with three fields of 16 bytes. XRANGE from an id to \
         the same one finds an entry at random. Then XADD adds entries, with MAXLEN ~ at that number, so that the \
         stream stays as long as it was. {requests} of each, at depth {DEPTH}.",
        sizes[0],
        sizes[1],
        sizes[2],
        requests = grouped(contest.effort.load_requests),
    )
}
