//! Runs every case on every server, and says how each family went on each.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite observes servers from outside, in real time"
)]

mod arguments;
mod jobs;
mod lane;
mod panics;
mod progress;
mod redis_crate;
mod report;

use std::{path::Path, process::ExitCode, sync::Arc};

use client_tests::{case_file, target::Targets};
use tokio::sync::mpsc;

use crate::{arguments::Arguments, jobs::Jobs, lane::Finished, progress::Progress, report::Report};

fn main() -> ExitCode {
    client_tests::conclude(run())
}

fn run() -> Result<bool, String> {
    let arguments = Arguments::read()?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = case_file::read_all(&directory.join("cases"))?;
    let jobs = Arc::new(Jobs::select(cases, &arguments.filters));
    if arguments.list {
        jobs.list();
        return Ok(true);
    }
    let targets = Targets::find(arguments.targets.as_deref());
    panics::collect();
    let runtime = client_tests::runtime()?;
    let report = runtime.block_on(run_targets(&jobs, targets, arguments.lanes));
    report.print();
    report.write_markdown(&directory.join("report/conformance.md"))?;
    Ok(report.conclude(arguments.require_all))
}

/// Runs all targets at once: most of a case's time is spent waiting.
async fn run_targets(jobs: &Arc<Jobs>, mut targets: Targets, lanes: usize) -> Report {
    targets.check().await;
    let mut report = Report::new(jobs, &targets);
    let mut progress = Progress::new(&targets, jobs.list_len());
    let (sender, mut receiver) = mpsc::unbounded_channel::<Finished>();
    for (index, target) in targets.found.iter().enumerate() {
        lane::spawn_all(index, target, jobs, lanes, &sender);
    }
    drop(sender);
    while let Some(finished) = receiver.recv().await {
        progress.advance(&finished);
        report.add(&finished);
    }
    progress.finish();
    report.add_panics(panics::of_servers());
    report
}
