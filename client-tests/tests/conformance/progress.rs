//! A bar for each target on a terminal, a line for each target elsewhere.

use std::{
    io::{IsTerminal as _, stderr},
    time::Instant,
};

use client_tests::target::Targets;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::lane::{Finished, Outcome};

pub(crate) struct Progress {
    rows: Vec<Row>,
    started: Instant,
    total: u64,
}

struct Row {
    name: String,
    done: u64,
    failed: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(targets: &Targets, sessions: usize) -> Self {
        let total = sessions as u64;
        let bars = stderr().is_terminal().then(MultiProgress::new);
        let rows = targets.found.iter().map(|target| Row {
            name: target.name.clone(),
            done: 0,
            failed: 0,
            bar: bars.as_ref().map(|bars| bars.add(new_bar(&target.name, total))),
        });
        Self { rows: rows.collect(), started: Instant::now(), total }
    }

    pub(crate) fn advance(&mut self, finished: &Finished) {
        let row = &mut self.rows[finished.target];
        row.done += 1;
        row.failed += u64::from(matches!(finished.outcome, Outcome::Failed(_)));
        if let Some(bar) = &row.bar {
            bar.set_position(row.done);
            bar.set_message(format!("{} failed", row.failed));
        } else if row.done == self.total {
            let seconds = self.started.elapsed().as_secs_f64();
            eprintln!(
                "{}: {} sessions in {seconds:.1} s, {} failed",
                row.name, row.done, row.failed
            );
        }
    }

    pub(crate) fn finish(&self) {
        for bar in self.rows.iter().filter_map(|row| row.bar.as_ref()) {
            bar.finish();
        }
    }
}

fn new_bar(name: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:16} {bar:40} {pos}/{len} {msg}");
    ProgressBar::new(total)
        .with_style(style.expect("the template is well formed"))
        .with_prefix(name.to_owned())
}
