//! What is told at the end: failures, the table of families and targets, and what was not tested.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Arc};

use client_tests::{case::Whose, session::Failure, target::Targets, text::shorten};

use crate::{
    jobs::{Jobs, Session},
    lane::{Finished, Outcome},
};

/// More failures than this help nobody.
const MOST_FAILURES: usize = 100;

pub(crate) struct Report {
    jobs: Arc<Jobs>,
    targets: Vec<String>,
    missing: Vec<(String, String)>,
    tallies: BTreeMap<(String, usize), Tally>,
    /// By what went wrong, so that one cause on several targets is told once.
    failures: BTreeMap<String, Vec<String>>,
    panics: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Sessions in which the server differs as declared, or which are declared not to run on it.
    declared: usize,
    skipped: usize,
}

impl Report {
    pub(crate) fn new(jobs: &Arc<Jobs>, targets: &Targets) -> Self {
        Self {
            jobs: Arc::clone(jobs),
            targets: targets.found.iter().map(|target| target.name.clone()).collect(),
            missing: targets.missing.clone(),
            tallies: BTreeMap::new(),
            failures: BTreeMap::new(),
            panics: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, finished: &Finished) {
        let family = self.jobs.family(&finished.job).to_owned();
        let tally = self.tallies.entry((family, finished.target)).or_default();
        match &finished.outcome {
            Outcome::Passed { declared: 0 } => tally.passed += 1,
            Outcome::Passed { .. } | Outcome::Excluded => tally.declared += 1,
            Outcome::Skipped => tally.skipped += 1,
            Outcome::Failed(_) => tally.failed += 1,
        }
        if let Outcome::Failed(failure) = &finished.outcome {
            let place = format!("{} {}", self.targets[finished.target], finished.job.protocol);
            self.failures.entry(self.describe(finished, failure)).or_default().push(place);
        }
    }

    pub(crate) fn add_panics(&mut self, panics: Vec<String>) {
        self.panics = panics;
    }

    fn describe(&self, finished: &Finished, failure: &Failure) -> String {
        let family = self.jobs.family(&finished.job);
        let place = match finished.job.session {
            Session::Case(index) => {
                let case = &self.jobs.cases[index];
                let line = if failure.line == 0 { case.line } else { failure.line };
                format!("{}:{line}", case.file.display())
            }
            Session::Typed(_) => String::new(),
        };
        format!(
            "FAILED {family}: {}\n  {place}\n  step      {}\n  expected  {}\n  got       {}",
            self.jobs.name(&finished.job),
            shorten(&failure.command, 300),
            shorten(&failure.expected, 600),
            shorten(&failure.got, 600),
        )
    }

    pub(crate) fn print(&self) {
        for (failure, places) in self.failures.iter().take(MOST_FAILURES) {
            println!("{failure}\n  on        {}\n", places.join(", "));
        }
        if self.failures.len() > MOST_FAILURES {
            println!("... and {} more failures\n", self.failures.len() - MOST_FAILURES);
        }
        for panic in &self.panics {
            println!("PANIC {panic}\n");
        }
        println!("{}", self.table());
        println!("{}", self.remarks());
    }

    pub(crate) fn write_markdown(&self, path: &Path) -> Result<(), String> {
        let mut text = format!("# Conformance\n\n{}\n{}", self.table(), self.remarks());
        for (failure, places) in &self.failures {
            writeln!(text, "\n```\n{failure}\n  on        {}\n```", places.join(", "))
                .expect("a String takes it");
        }
        let folder = path.parent().expect("the report is in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The last word; whether all is well.
    pub(crate) fn conclude(&self, require_all: bool) -> bool {
        for (name, why) in &self.missing {
            println!("!! SKIPPED TARGET {name}: {why}");
        }
        let total = self.sum(|_, _| true);
        let failed = total.failed + self.panics.len();
        let passed = total.passed + total.declared;
        println!("{passed} passed, {failed} failed");
        failed == 0 && passed > 0 && (self.missing.is_empty() || !require_all)
    }

    /// Families down, targets across; aligned, and Markdown at the same time.
    fn table(&self) -> String {
        let mut rows = vec![header(&self.targets)];
        let mut families: Vec<&str> =
            self.tallies.keys().map(|(family, _)| family.as_str()).collect();
        families.dedup();
        for family in families {
            rows.push(self.row(family, |name| name == family));
        }
        rows.push(self.row("all", |_| true));
        let mut text = align(&rows);
        text.push_str("\npassed / failed / declared differences (skipped)\n");
        text
    }

    fn row(&self, title: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut row = vec![title.to_owned()];
        for target in 0..self.targets.len() {
            row.push(self.sum(|family, index| index == target && wanted(family)).to_string());
        }
        row
    }

    fn sum(&self, wanted: impl Fn(&str, usize) -> bool) -> Tally {
        let mut sum = Tally::default();
        for (_, tally) in
            self.tallies.iter().filter(|((family, target), _)| wanted(family, *target))
        {
            sum.passed += tally.passed;
            sum.failed += tally.failed;
            sum.declared += tally.declared;
            sum.skipped += tally.skipped;
        }
        sum
    }

    /// Where redlet differs, by its own admission, and which targets could not be had.
    fn remarks(&self) -> String {
        let mut text = String::new();
        for case in &self.jobs.cases {
            let differences = case.steps.iter().flat_map(|step| &step.answers.differences);
            for difference in differences {
                if let Whose::Redlet { reason } = &difference.whose {
                    writeln!(text, "redlet differs in {}: {}: {reason}", case.family, case.name)
                        .expect("a String takes it");
                }
            }
        }
        for (name, why) in &self.missing {
            writeln!(text, "Skipped target {name}: {why}").expect("a String takes it");
        }
        text
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} / {} / {}", self.passed, self.failed, self.declared)?;
        if self.skipped > 0 {
            write!(formatter, " ({})", self.skipped)?;
        }
        Ok(())
    }
}

fn header(targets: &[String]) -> Vec<String> {
    std::iter::once("family".to_owned()).chain(targets.iter().cloned()).collect()
}

fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} ")).collect();
        writeln!(text, "|{}|", cells.join("|")).expect("a String takes it");
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            writeln!(text, "|{}|", rules.join("|")).expect("a String takes it");
        }
    }
    text
}
