//! Do requests cost more, or wait longer, as the keys become many?

use hdrhistogram::Histogram;

use crate::Result;
use crate::benchmark::Load;
use crate::chart::{Chart, Shape};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::fill_timed;
use crate::report::Chapter;
use crate::rows::VALUE;
use crate::servers::{Contender, Server};

const FEWEST_KEYS: u64 = 1_000;

/// The pipeline depth of all requests.
const DEPTH: u64 = 16;

const KEY: &str = "key:__rand_int__";
const GET: &[&str] = &["get", KEY];
const SET: &[&str] = &["set", KEY, VALUE];

struct Tables {
    get: Comparison,
    set: Comparison,
    increase: Comparison,
    longest: Comparison,
    tail: Comparison,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let rounds = contest.effort.few_rounds();
    let mut tables = Tables::new();
    contest.rounds("growth", rounds, |contender| grow(contest, contender, &mut tables))?;
    Ok(tables.chapter(contest))
}

/// Makes the keys ten times as many, again and again.
fn grow(contest: &Contest, contender: &Contender, tables: &mut Tables) -> Result<()> {
    let server = Server::start(contender)?;
    let mut present = 0;
    let mut costs = Vec::new();
    for keys in sizes(contest.effort.most_keys) {
        let batches = insert(&server, present, keys)?;
        present = keys;
        let get_us = cost_us(contest, &server, GET, keys)?;
        let set_us = cost_us(contest, &server, SET, keys)?;
        tables.add(keys, contender, &batches, (get_us, set_us));
        costs.push((get_us, set_us));
    }
    let (first, last) = (costs[0], costs[costs.len() - 1]);
    tables.increase.add("GET", contender, last.0 / first.0);
    tables.increase.add("SET", contender, last.1 / first.1);
    Ok(())
}

fn sizes(most: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(FEWEST_KEYS), |size| Some(size * 10))
        .take_while(move |size| *size <= most)
}

/// Inserts keys at full speed, and gives the time that each pipeline took.
fn insert(server: &Server, from: u64, to: u64) -> Result<Histogram<u64>> {
    let mut batches = Histogram::new(3)?;
    let mut client = server.connect()?;
    client.call(&["PING"])?;
    fill_timed(&mut client, from..to, &[VALUE], DEPTH as usize, |time| {
        Ok(batches.record(time.as_nanos() as u64)?)
    })?;
    Ok(batches)
}

fn cost_us(contest: &Contest, server: &Server, command: &[&str], keys: u64) -> Result<f64> {
    let load =
        Load { request: command, keys, depth: DEPTH, requests: contest.effort.load_requests };
    Ok(contest.benchmark.cost(server, &load)?.cpu_us)
}

impl Tables {
    fn new() -> Self {
        Tables {
            get: Comparison::lower_is_better("CPU time per GET, µs"),
            set: Comparison::lower_is_better("CPU time per SET, µs"),
            increase: Comparison::lower_is_better("Most keys, times the cost of the fewest"),
            longest: Comparison::lower_is_better("Longest pipeline of inserts, ms").of_lowest(),
            tail: Comparison::lower_is_better("p99.99 of the pipelines of inserts, ms"),
        }
    }

    fn add(&mut self, keys: u64, contender: &Contender, batches: &Histogram<u64>, us: (f64, f64)) {
        let label = grouped(keys);
        self.get.add(&label, contender, us.0);
        self.set.add(&label, contender, us.1);
        self.longest.add(&label, contender, batches.max() as f64 / 1e6);
        self.tail.add(&label, contender, batches.value_at_quantile(0.9999) as f64 / 1e6);
    }

    fn chapter(&self, contest: &Contest) -> Chapter {
        let contenders = &contest.contenders;
        let tables = [&self.get, &self.set, &self.increase, &self.longest, &self.tail];
        let panels = vec![
            self.get.panel(Shape::Lines, "number of keys", contenders),
            self.set.panel(Shape::Lines, "number of keys", contenders),
            self.longest.panel(Shape::LogarithmicLines, "number of keys", contenders),
        ];
        Chapter {
            title: "Growth",
            method: method(contest),
            tables: tables.map(|table| table.table(contenders)).into(),
            charts: vec![Chart { file: "growth.svg", panels }],
        }
    }
}

fn method(contest: &Contest) -> String {
    format!(
        "One server, whose keys become ten times as many again and again. At each size GETs and SETs of 32 bytes \
         choose among all keys at random, at depth {DEPTH}; {requests} of each. On the way from one size to the next, \
         one client inserts keys at full speed in pipelines of {DEPTH}. It times each of them from its sending to its \
         last reply: this is what whoever waits for one of its requests waits for. The longest one is the shortest of \
         {rounds} round(s), because the machine adds pauses of its own; all other figures are medians.",
        requests = grouped(contest.effort.load_requests),
        rounds = contest.effort.few_rounds(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_end_with_the_largest() {
        assert_eq!(sizes(100_000).collect::<Vec<_>>(), [1_000, 10_000, 100_000]);
    }
}
