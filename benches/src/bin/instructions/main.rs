//! How many instructions does a request cost, from bytes in to bytes out?
//!
//! `instructions [--update] [--if-possible] [ROW...]` counts with valgrind's callgrind and
//! compares with `benches/instructions.txt`. Sockets, tasks and the kernel are not counted. Each
//! count is made in a process of its own, so that rows do not depend on each other.
//!
//! Counts are the same wherever compiler, C library and valgrind are: valgrind shows every
//! program the same processor. Where one of them is another, the comparison is shown, but it
//! decides nothing.

mod baseline;
mod rows;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use baseline::{Baseline, Cell, tools};
use rows::{COUNTED, DEPTHS, ROWS, Row, is_there, perform};

/// How far a count may be from its baseline.
const BOUND_PERCENT: f64 = 5.0;
/// Has this program serve a row, in the process that is counted.
const PERFORM: &str = "--perform";
const UPDATE: &str = "--update";
const IF_POSSIBLE: &str = "--if-possible";
const USAGE: &str = "usage: instructions [--update] [--if-possible] [ROW...]

  --update        writes the counts to benches/instructions.txt
  --if-possible   succeeds where valgrind is not installed";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [PERFORM, row, depth] => perform_named(row, depth),
        _ => compare(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn perform_named(row: &str, depth: &str) -> Result<(), String> {
    let row = ROWS.iter().find(|known| known.name == row).ok_or("there is no such row")?;
    perform(row, depth.parse().map_err(|_| "the depth is no number")?);
    Ok(())
}

fn compare(arguments: &[&str]) -> Result<(), String> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    if flags.iter().any(|flag| ![UPDATE, IF_POSSIBLE].contains(flag)) {
        return Err(USAGE.to_owned());
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        let sentence = "instructions: nothing is counted, because valgrind is not installed";
        if !flags.contains(&IF_POSSIBLE) {
            return Err(sentence.to_owned());
        }
        println!("{sentence}");
        return Ok(());
    }
    let cells = chosen(&names)?;
    for row in ROWS.iter().filter(|row| !is_there(row)) {
        println!("'{}' is left out: redlet does not have its command.", row.name);
    }
    let now = Baseline { made_with: tools(), counts: count_all(&cells)? };
    let before = Baseline::load()?;
    print_table(&cells, &before, &now);
    if flags.contains(&UPDATE) { update(before, now) } else { judge(&cells, &before, &now) }
}

/// The cells of these rows, or all, as far as redlet has their commands.
fn chosen(names: &[&str]) -> Result<Vec<Cell>, String> {
    if let Some(unknown) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("there is no row '{unknown}'; there are '{}'", known.join("', '")));
    }
    let chosen = ROWS.iter().filter(|row| names.is_empty() || names.contains(&row.name));
    Ok(chosen.filter(|row| is_there(row)).flat_map(cells_of).collect())
}

fn cells_of(row: &Row) -> impl Iterator<Item = Cell> + use<> {
    let name = row.name;
    DEPTHS.iter().map(move |&depth| (name.to_owned(), depth))
}

/// Instructions per request of each cell, on as many processors as there are.
fn count_all(cells: &[Cell]) -> Result<BTreeMap<Cell, u64>, String> {
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(Ok(BTreeMap::new())));
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = count(cell);
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *counts, count) {
                (Ok(counts), Ok(count)) => drop(counts.insert(cell.clone(), count)),
                (Ok(_), Err(sentence)) => *counts = Err(sentence),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    counts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn count((row, depth): &Cell) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("no program: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.args(["--collect-atstart=no", "--toggle-collect=*serve_counted*"]);
    valgrind.arg(program).args([PERFORM, row, &depth.to_string()]);
    // What is in the environment would lie on the stack too, and move what comes after it.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = valgrind.env_clear().env("PATH", path).output();
    let output = output.map_err(|error| format!("valgrind does not start: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse::<u64>().ok()) {
        Some(total @ 1..) if output.status.success() => Ok(total / COUNTED as u64),
        _ => Err(format!("'{row}' at depth {depth} was not counted:\n{log}")),
    }
}

fn print_table(cells: &[Cell], before: &Baseline, now: &Baseline) {
    println!(
        "{:<16} {:>5} {:>9} {:>7} {:>8}",
        "instructions", "depth", "baseline", "now", "change"
    );
    for cell in cells {
        let (row, depth) = cell;
        let old = before.counts.get(cell).map_or("-".to_owned(), u64::to_string);
        let change = change_percent(cell, before, now);
        let change = change.map_or("new".to_owned(), |percent| format!("{percent:+.1} %"));
        println!("{row:<16} {depth:>5} {old:>9} {:>7} {change:>8}", now.counts[cell]);
    }
    println!();
}

/// Nothing for a count that is not in the baseline.
fn change_percent(cell: &Cell, before: &Baseline, now: &Baseline) -> Option<f64> {
    let (old, new) = (*before.counts.get(cell)?, now.counts[cell]);
    Some((new as f64 / old as f64 - 1.0) * 100.0)
}

/// Writes what was counted, and keeps what was not. All counts of a file are made with the same.
fn update(before: Baseline, mut now: Baseline) -> Result<(), String> {
    let all = chosen(&[])?;
    if before.made_with == now.made_with {
        for (cell, count) in before.counts {
            now.counts.entry(cell).or_insert(count);
        }
    }
    let counted: Vec<Cell> = all.into_iter().filter(|cell| now.counts.contains_key(cell)).collect();
    let path = Baseline::path();
    std::fs::write(&path, now.print(&counted)).map_err(|error| error.to_string())?;
    println!("{} has these counts now.", path.display());
    Ok(())
}

/// An error if a row costs more than it may.
fn judge(cells: &[Cell], before: &Baseline, now: &Baseline) -> Result<(), String> {
    if before.made_with != now.made_with && !before.counts.is_empty() {
        println!(
            "The baseline was made with {}, and this with {}. What differs may be their doing, so \
             it decides nothing.",
            before.made_with.join(", "),
            now.made_with.join(", ")
        );
        return Ok(());
    }
    let changes: Vec<_> = cells.iter().map(|cell| change_percent(cell, before, now)).collect();
    let count = |holds: fn(&Option<f64>) -> bool| changes.iter().filter(|c| holds(c)).count();
    let cheaper = count(|change| change.is_some_and(|percent| percent < -BOUND_PERCENT));
    let dearer = count(|change| change.is_some_and(|percent| percent > BOUND_PERCENT));
    let new = count(Option::is_none);
    if cheaper + new > 0 {
        println!(
            "More than {BOUND_PERCENT} % below the baseline: {cheaper}; not in it: {new}. `make \
             instructions ARGS=--update` writes it anew."
        );
    }
    if dearer > 0 {
        return Err(format!(
            "More than {BOUND_PERCENT} % above the baseline: {dearer}. If it has to be so, `make \
             instructions ARGS=--update` writes it anew."
        ));
    }
    println!("No count is more than {BOUND_PERCENT} % above the baseline.");
    Ok(())
}
