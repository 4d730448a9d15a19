//! The page of measurements, in Markdown.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::chart::Chart;
use crate::contest::Contest;
use crate::machine::{LOAD_CORE, Machine, SERVER_CORE};

/// Where charts lie, seen from the page.
const CHARTS: &str = "benchmarks";

/// With more of it, in per cent, figures tell of the machine's other programs as well.
const MOST_PRESSURE: f64 = 10.0;

/// What a section has to say.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    /// How the figures were made, and what their marks mean.
    pub(crate) method: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) charts: Vec<Chart>,
}

pub(crate) struct Table {
    pub(crate) columns: Columns,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// What stands behind the first column.
pub(crate) enum Columns {
    Figures,
    Words,
}

/// Everything that was measured, and on what.
pub(crate) struct Page<'a> {
    pub(crate) machine: Machine,
    pub(crate) contest: &'a Contest,
    pub(crate) chapters: Vec<Chapter>,
}

impl Chapter {
    /// The chapter without its charts, which a terminal cannot show.
    pub(crate) fn text(&self) -> String {
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        format!("## {}\n\n{}\n\n{}", self.title, self.method, tables.join("\n"))
    }

    fn markdown(&self) -> String {
        let charts = self
            .charts
            .iter()
            .map(|chart| format!("\n![{}]({CHARTS}/{})\n", self.title, chart.file));
        self.text() + &charts.collect::<String>()
    }
}

impl Table {
    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = match self.columns {
            Columns::Figures => "---:|",
            Columns::Words => "---|",
        };
        let rule = format!("|---|{}\n", rule.repeat(self.header.len() - 1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        line(&self.header) + &rule + &rows
    }
}

impl Page<'_> {
    /// Writes the page and its charts into a directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let charts = directory.join(CHARTS);
        fs::create_dir_all(&charts)?;
        for chart in self.chapters.iter().flat_map(|chapter| &chapter.charts) {
            fs::write(charts.join(chart.file), chart.svg())?;
        }
        let page = directory.join("BENCHMARKS.md");
        fs::write(&page, self.markdown()?)?;
        eprintln!("compare: wrote {}", page.display());
        Ok(())
    }

    fn markdown(&self) -> Result<String> {
        let chapters: Vec<String> = self.chapters.iter().map(Chapter::markdown).collect();
        let parts =
            [self.preface(), self.machine().markdown(), self.servers()?.markdown(), READING.into()];
        Ok(format!("{}\n{}", parts.join("\n"), chapters.join("\n")))
    }

    fn preface(&self) -> String {
        let effort = self.contest.effort;
        let warning = match effort.name {
            "quick" => {
                "\n**This page was made by a quick run: its figures are rough, and no claim rests on them.**\n"
            }
            _ => "",
        };
        format!(
            "# Measurements\n\nThis page is written by `make bench`; what is changed by hand is lost. It compares \
             redlet with real servers, all measured in one run on one machine: {} mode, {} round(s).\n{warning}",
            effort.name, effort.rounds,
        )
    }

    fn machine(&self) -> Table {
        let machine = &self.machine;
        let cores = if machine.shared_core {
            " (two threads of one core: each slows the other down)"
        } else {
            ""
        };
        let rows = [
            ("processor", format!("{}, {} logical cores", machine.processor, machine.cores)),
            ("server, load", format!("each on its own: {SERVER_CORE} and {LOAD_CORE}{cores}")),
            ("memory", machine.memory.clone()),
            ("kernel", machine.kernel.clone()),
            ("file system of the servers' files", machine.files.clone()),
            ("some program waited for a core", waited(machine.pressure.percent())),
        ];
        two_columns("machine", rows.map(|(name, value)| (name.to_owned(), value)))
    }

    fn servers(&self) -> Result<Table> {
        let contest = self.contest;
        let flags: Vec<&str> =
            crate::servers::FLAGS.map(|flag| if flag.is_empty() { "\"\"" } else { flag }).into();
        let redlet = contest.redlet();
        let identity = format!("{}; {}", redlet.version, redlet.fingerprint()?);
        let mut rows = vec![(redlet.name.clone(), identity)];
        rows.extend(contest.peers().map(|peer| (peer.name.clone(), peer.version.clone())));
        rows.push(("flags, unless others are named".into(), format!("`{}`", flags.join(" "))));
        rows.push(("load generator".into(), contest.benchmark.version()?));
        Ok(two_columns("server", rows))
    }
}

/// How all tables are read; what differs is told in the chapters.
const READING: &str = "\
Servers run one at a time, each in a fresh process with its own defaults. In every round each of them has its turn, \
and in every other round in reverse order. redlet has two turns a round: *A/A* is the difference between its two \
figures, which nothing but the machine makes. Unless something else is said, a figure is the median over the rounds. \
*Ratio* is redlet, in the middle of its two figures, to the best of its peers in that line. Where a ratio is no \
further from 1 than the largest A/A of its table, it is marked ~ and means nothing. Where a server does not have what \
is measured, a dash stands. Other marks are explained where they are used; a ratio has those of the figures that it \
compares.
";

/// How quiet the machine was.
pub(crate) fn waited(percent: Option<f64>) -> String {
    match percent {
        Some(percent) if percent > MOST_PRESSURE => {
            format!("{percent:.1} % of the run: **the machine was busy with other things**")
        }
        Some(percent) => format!("{percent:.1} % of the run"),
        None => "unknown".to_owned(),
    }
}

fn two_columns(title: &str, rows: impl IntoIterator<Item = (String, String)>) -> Table {
    let rows = rows.into_iter().map(|(name, value)| vec![name, value]).collect();
    let header = vec![title.to_owned(), String::new()];
    Table { columns: Columns::Words, header, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_on_the_right() {
        let table = Table {
            columns: Columns::Figures,
            header: vec!["µs".into(), "redlet".into(), "ratio".into()],
            rows: vec![vec!["GET".into(), "1.00".into(), "0.50".into()]],
        };
        assert_eq!(
            table.markdown(),
            "| µs | redlet | ratio |\n|---|---:|---:|\n| GET | 1.00 | 0.50 |\n"
        );
    }

    #[test]
    fn charts_follow_the_tables() {
        let chapter = Chapter {
            title: "Memory",
            method: "How.".into(),
            tables: vec![two_columns("server", [("redlet".to_owned(), "1".to_owned())])],
            charts: vec![Chart { file: "memory.svg", panels: Vec::new() }],
        };
        let text = chapter.markdown();
        assert!(text.starts_with("## Memory\n\nHow.\n\n| server |  |\n"), "{text}");
        assert!(text.ends_with("\n![Memory](benchmarks/memory.svg)\n"), "{text}");
    }
}
