//! `LATENCY`: the spikes that the latency monitor saw, and how long each command takes.

use std::fmt::Write as _;

use super::introspection::help;
use super::metadata::{Group, flags};
use super::{Command, Registered, Table};
use crate::config::Param;
use crate::error::Error;
use crate::execute::Call;
use crate::latency::{History, Spike};
use crate::stats::Histogram;

pub(super) const COMMANDS: &[&Command] = &[&LATENCY];

const LATENCY: Command = Command {
    name: "latency",
    arity: -2,
    group: Group::Server,
    since: "2.8.13",
    complexity: "Depends on subcommand.",
    summary: "Commands about latency spikes and command durations.",
    subcommands: &[
        &LATENCY_RESET,
        &LATENCY_LATEST,
        &LATENCY_DOCTOR,
        &LATENCY_HELP,
        &LATENCY_HISTOGRAM,
        &LATENCY_HISTORY,
        &LATENCY_GRAPH,
    ],
    ..Command::BASE
};

const LATENCY_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Server,
    since: "2.8.13",
    summary: "Lists the subcommands.",
    run: help,
    ..Command::BASE
};

const LATENCY_RESET: Command = Command {
    name: "reset",
    arity: -2,
    flags: flags("admin noscript loading stale"),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    group: Group::Server,
    since: "2.8.13",
    usage: "[event [event ...]]",
    summary: "Forgets the spikes of some events, or of all.",
    run: latency_reset,
    ..Command::BASE
};

fn latency_reset(call: &mut Call<'_>) -> Result<(), Error> {
    let monitor = &call.engine.latency;
    let forgotten = if call.args.len() == 2 {
        monitor.clear()
    } else {
        call.args.from(2).filter(|event| monitor.forget(event)).count()
    };
    call.reply.count(forgotten);
    Ok(())
}

const LATENCY_LATEST: Command = Command {
    name: "latest",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    group: Group::Server,
    since: "2.8.13",
    summary: "Returns the latest and the worst spike of every event.",
    run: latency_latest,
    ..Command::BASE
};

fn latency_latest(call: &mut Call<'_>) -> Result<(), Error> {
    let events = call.engine.latency.all();
    call.reply.array(events.len());
    for (event, history) in events {
        let latest = history.spikes.back().copied().unwrap_or(Spike { time_s: 0, spent_ms: 0 });
        call.reply.array(4);
        call.reply.bulk(event.as_bytes());
        call.reply.integer(latest.time_s);
        call.reply.integer(latest.spent_ms as i64);
        call.reply.integer(history.worst_ms as i64);
    }
    Ok(())
}

const LATENCY_HISTORY: Command = Command {
    name: "history",
    arity: 3,
    flags: flags("admin noscript loading stale"),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    group: Group::Server,
    since: "2.8.13",
    usage: "event",
    summary: "Returns when an event had spikes, and how long they were.",
    run: latency_history,
    ..Command::BASE
};

fn latency_history(call: &mut Call<'_>) -> Result<(), Error> {
    let history = call.engine.latency.history(call.args.at(2)).unwrap_or_default();
    call.reply.array(history.spikes.len());
    for spike in history.spikes {
        call.reply.array(2);
        call.reply.integer(spike.time_s);
        call.reply.integer(spike.spent_ms as i64);
    }
    Ok(())
}

const LATENCY_GRAPH: Command = Command {
    name: "graph",
    arity: 3,
    flags: flags("admin noscript loading stale"),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    group: Group::Server,
    since: "2.8.13",
    usage: "event",
    summary: "Draws the spikes of an event.",
    run: latency_graph,
    ..Command::BASE
};

fn latency_graph(call: &mut Call<'_>) -> Result<(), Error> {
    let event = call.args.at(2);
    let name = String::from_utf8_lossy(event);
    let Some(history) = call.engine.latency.history(event) else {
        return Err(Error::format(format_args!("No samples available for event '{name}'")));
    };
    let graph = draw(&name, &history, call.now_ms() / 1000);
    call.reply.verbatim(graph.as_bytes());
    Ok(())
}

/// One column for each spike, the oldest on the left.
fn draw(event: &str, history: &History, now_s: i64) -> String {
    const ROWS: u64 = 5;
    let spikes = &history.spikes;
    let durations = spikes.iter().map(|spike| spike.spent_ms);
    let high = durations.clone().max().unwrap_or(0);
    let low = durations.clone().min().unwrap_or(0);
    let worst = history.worst_ms;
    let mut graph = format!("{event} - high {high} ms, low {low} ms (all time high {worst} ms)\n");
    let span = (high - low).max(1);
    for row in (0..ROWS).rev() {
        let is_reached = |spent_ms: u64| (spent_ms - low) * (ROWS - 1) >= row * span;
        let line: String =
            durations.clone().map(|spent| if is_reached(spent) { '#' } else { ' ' }).collect();
        graph.push_str(line.trim_end());
        graph.push('\n');
    }
    graph.extend(std::iter::repeat_n('-', spikes.len()));
    let age = |spike: Option<&Spike>| spike.map_or(0, |spike| now_s - spike.time_s);
    let (oldest, newest) = (age(spikes.front()), age(spikes.back()));
    let _ = writeln!(graph, "\nfrom {oldest} to {newest} seconds ago");
    graph
}

const LATENCY_DOCTOR: Command = Command {
    name: "doctor",
    arity: 2,
    flags: flags("admin noscript loading stale"),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    group: Group::Server,
    since: "2.8.13",
    summary: "Reports on latency spikes in words.",
    run: latency_doctor,
    ..Command::BASE
};

fn latency_doctor(call: &mut Call<'_>) -> Result<(), Error> {
    let config = &call.engine.config;
    let threshold_ms = config.number(Param::LatencyMonitorThreshold);
    let events = call.engine.latency.all();
    let mut report = String::new();
    if threshold_ms == 0 && events.is_empty() {
        report.push_str(
            "Spikes are not being recorded. Give the number of milliseconds from which on they \
             matter: CONFIG SET latency-monitor-threshold <milliseconds>\n",
        );
    } else if events.is_empty() {
        let _ = writeln!(report, "Nothing has taken {threshold_ms} ms or more so far.");
    } else {
        for (event, history) in &events {
            describe(&mut report, event, history);
        }
        let slower_than_us = config.number(Param::SlowlogLogSlowerThan);
        if slower_than_us < 0 || slower_than_us > threshold_ms * 1000 {
            let wanted = threshold_ms * 1000;
            let _ = writeln!(
                report,
                "The slow log would show which requests these were, but its threshold is higher: \
                 CONFIG SET slowlog-log-slower-than {wanted}"
            );
        } else {
            report.push_str("SLOWLOG GET shows which requests took long.\n");
        }
    }
    call.reply.verbatim(report.as_bytes());
    Ok(())
}

fn describe(report: &mut String, event: &str, history: &History) {
    let count = history.spikes.len().max(1);
    let total_ms: u64 = history.spikes.iter().map(|spike| spike.spent_ms).sum();
    let (average, worst) = (total_ms / count as u64, history.worst_ms);
    let _ =
        writeln!(report, "{event}: {count} spikes, {average} ms on average, {worst} ms at worst");
}

const LATENCY_HISTOGRAM: Command = Command {
    name: "histogram",
    arity: -2,
    flags: flags("admin noscript loading stale"),
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    group: Group::Server,
    since: "7.0.0",
    complexity: "O(N)",
    usage: "[command [command ...]]",
    summary: "Returns how the durations of some commands, or of all, are distributed.",
    run: latency_histogram,
    ..Command::BASE
};

fn latency_histogram(call: &mut Call<'_>) -> Result<(), Error> {
    let table = Table::get();
    let wanted: Vec<&Registered> = if call.args.len() == 2 {
        table.rows().iter().collect()
    } else {
        let named = call.args.from(2).filter_map(|name| table.named(name));
        named.flat_map(|row| std::iter::once(row).chain(table.subcommands(row))).collect()
    };
    call.settle_statistics();
    let histogram = |row| call.engine.stats.command(row).histogram;
    let found: Vec<_> = wanted.iter().filter_map(|row| Some((*row, histogram(row)?))).collect();
    call.reply.map(found.len());
    for (row, histogram) in found {
        call.reply.bulk(row.name.as_bytes());
        write_histogram(call, &histogram);
    }
    Ok(())
}

fn write_histogram(call: &mut Call<'_>, histogram: &Histogram) {
    call.reply.map(2);
    call.reply.bulk(b"calls");
    call.reply.integer(histogram.count() as i64);
    call.reply.bulk(b"histogram_usec");
    let distribution = histogram.by_microseconds();
    call.reply.map(distribution.len());
    for (limit_us, count) in distribution {
        call.reply.integer(limit_us as i64);
        call.reply.integer(count as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(durations: &[u64]) -> History {
        let spikes = durations.iter().enumerate();
        let spike = |(at, &spent_ms)| Spike { time_s: 100 + at as i64, spent_ms };
        History { worst_ms: 90, spikes: spikes.map(spike).collect() }
    }

    #[test]
    fn a_graph_has_a_column_for_each_spike() {
        let graph = draw("command", &history(&[10, 50, 30]), 110);
        let expected = "command - high 50 ms, low 10 ms (all time high 90 ms)\n \
                        #\n #\n ##\n ##\n###\n---\nfrom 10 to 8 seconds ago\n";
        assert_eq!(graph, expected);
    }

    #[test]
    fn spikes_of_the_same_length_draw_a_line() {
        let graph = draw("fork", &history(&[7, 7]), 101);
        assert!(graph.contains("\n\n\n\n\n##\n--\n"), "{graph}");
    }
}
