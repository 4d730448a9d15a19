//! `compare`: redlet beside the real servers, all measured on this machine in one run.
//!
//! Every section answers one question with tables and charts. A run of all of them writes the page of measurements.
//! The program measures servers from outside alone: it knows no more of redlet than of its peers.
#![allow(
    clippy::disallowed_methods,
    reason = "an instrument measures in the time of the machine, and sleeps in it"
)]

mod benchmark;
mod cache;
mod chart;
mod client;
mod comparison;
mod computing;
mod consumers;
mod contest;
mod costs;
mod dataset;
mod delivery;
mod disk;
mod effort;
mod elements;
mod entries;
mod eviction;
mod expiry;
mod figures;
mod filling;
mod fsync;
mod growth;
mod handoff;
mod keeping;
mod latency;
mod listeners;
mod loading;
mod machine;
mod memory;
mod open_loop;
mod options;
mod process;
mod publishing;
mod recency;
mod reply;
mod report;
mod rows;
mod saving;
mod script_memory;
mod scripting;
mod scripts;
mod sections;
mod servers;
mod snapshot;
mod startup;
mod statistics;
mod stream_growth;
mod stream_memory;
mod streams;
mod svg;
mod template;
mod throughput;
mod zipf;

use std::error::Error;
use std::process::ExitCode;

use contest::Contest;
use machine::Machine;
use options::Options;
use report::{Page, waited};

/// What can go wrong is a sentence for the person at the terminal.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match compare(&options::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<()> {
    machine::pin_this_process()?;
    let machine = Machine::describe()?;
    let contest = Contest::prepare(options)?;
    let mut chapters = Vec::new();
    for section in &options.sections {
        let chapter = (section.measure)(&contest)?;
        println!("{}", chapter.text());
        chapters.push(chapter);
    }
    eprintln!("compare: some program waited for a core: {}", waited(machine.pressure.percent()));
    if options.publish {
        Page { machine, contest: &contest, chapters }.write(&options.directory)?;
    }
    Ok(())
}
