//! What was measured of every server, and what follows from it: figures, redlet's ratio to its best peer, and whether
//! that ratio means anything.
//!
//! Columns are the contenders: redlet first, redlet again last, its peers between them. Nothing here knows what is
//! measured.

use crate::chart::{Panel, Series, Shape};
use crate::figures::shown;
use crate::report::{Columns, Table};
use crate::servers::Contender;
use crate::statistics::{difference, lowest, median, within_noise};

/// A table in the making: one line per question, one figure per server.
pub(crate) struct Comparison {
    title: String,
    higher_is_better: bool,
    /// How the rounds' readings become one figure.
    summary: fn(&[f64]) -> f64,
    lines: Vec<Line>,
}

struct Line {
    label: String,
    /// Every round's reading, by column.
    readings: Vec<Vec<Reading>>,
}

#[derive(Clone, Copy)]
struct Reading {
    figure: f64,
    doubtful: bool,
}

impl Comparison {
    /// The title names the unit.
    pub(crate) fn lower_is_better(title: impl Into<String>) -> Self {
        let title = title.into();
        Comparison { title, higher_is_better: false, summary: median, lines: Vec::new() }
    }

    pub(crate) fn higher_is_better(title: impl Into<String>) -> Self {
        Comparison { higher_is_better: true, ..Self::lower_is_better(title) }
    }

    /// Takes the lowest reading of all rounds instead of their median: right for the longest pause, to which a shared
    /// machine adds pauses of its own.
    pub(crate) fn of_lowest(self) -> Self {
        Comparison { summary: lowest, ..self }
    }

    pub(crate) fn add(&mut self, label: &str, contender: &Contender, figure: f64) {
        self.add_reading(label, contender.column, Reading { figure, doubtful: false });
    }

    /// Adds a reading that says less than it seems to, if `doubtful`. The section's text tells what the mark means.
    pub(crate) fn add_unless(
        &mut self,
        doubtful: bool,
        label: &str,
        contender: &Contender,
        figure: f64,
    ) {
        self.add_reading(label, contender.column, Reading { figure, doubtful });
    }

    /// Adds a figure, or none where the server does not have what is measured.
    pub(crate) fn add_if_any(&mut self, label: &str, contender: &Contender, figure: Option<f64>) {
        match figure {
            Some(figure) => self.add(label, contender, figure),
            None => self.leave_out(label, contender),
        }
    }

    /// Gives a server no figure in this line, because it does not have what is measured there.
    pub(crate) fn leave_out(&mut self, label: &str, contender: &Contender) {
        self.readings(label, contender.column);
    }

    fn add_reading(&mut self, label: &str, column: usize, reading: Reading) {
        self.readings(label, column).push(reading);
    }

    /// The readings of a column so far; lines and columns are made as they are needed.
    fn readings(&mut self, label: &str, column: usize) -> &mut Vec<Reading> {
        let known = self.lines.iter().position(|line| line.label == label);
        let place = known.unwrap_or_else(|| {
            self.lines.push(Line { label: label.to_owned(), readings: Vec::new() });
            self.lines.len() - 1
        });
        let readings = &mut self.lines[place].readings;
        readings.resize_with(readings.len().max(column + 1), Vec::new);
        &mut readings[column]
    }

    /// Every server's figures, then the difference of redlet's two runs, and its ratio to the best peer.
    pub(crate) fn table(&self, contenders: &[Contender]) -> Table {
        let mut header = vec![self.title.clone()];
        header.extend(contenders.iter().map(|contender| contender.name.clone()));
        header.extend(["A/A".to_owned(), "ratio".to_owned()]);
        let rows = self.lines.iter().map(|line| self.row(line)).collect();
        Table { columns: Columns::Figures, header, rows }
    }

    /// Every server's figures alone, where a ratio would say nothing.
    pub(crate) fn plain_table(&self, contenders: &[Contender]) -> Table {
        let mut table = self.table(contenders);
        let columns = contenders.len() + 1;
        table.header.truncate(columns);
        table.rows.iter_mut().for_each(|row| row.truncate(columns));
        table
    }

    /// redlet, with the middle of its two runs, and its peers.
    pub(crate) fn panel(
        &self,
        shape: Shape,
        across: &'static str,
        contenders: &[Contender],
    ) -> Panel {
        let without_second_run = &contenders[..contenders.len() - 1];
        let series = without_second_run.iter().map(|contender| Series {
            name: contender.name.clone(),
            figures: self.lines.iter().map(|line| self.in_chart(line, contender)).collect(),
        });
        Panel {
            title: self.title.clone(),
            across,
            categories: self.lines.iter().map(|line| line.label.clone()).collect(),
            series: series.collect(),
            shape,
        }
    }

    fn row(&self, line: &Line) -> Vec<String> {
        let figures = line.readings.iter().map(|readings| {
            let mark = if is_doubtful(readings) { "°" } else { "" };
            format!("{}{mark}", shown(self.figure(readings)))
        });
        let mut row = vec![line.label.clone()];
        row.extend(figures);
        row.extend(self.shown_comparison(line));
        row
    }

    /// A/A and ratio, which there are of redlet's figures only.
    fn shown_comparison(&self, line: &Line) -> [String; 2] {
        if self.redlet(line).is_nan() {
            return [shown(f64::NAN), shown(f64::NAN)];
        }
        [format!("{} %", shown(self.noise(line) * 100.0)), self.shown_ratio(line)]
    }

    /// The ratio of doubtful figures is doubtful, and one within the noise is none.
    fn shown_ratio(&self, line: &Line) -> String {
        let Some(best) = self.best_peer(line) else { return shown(f64::NAN) };
        let ratio = self.redlet(line) / self.figure(best);
        let compared = [&line.readings[0], &line.readings[line.readings.len() - 1], best];
        let doubt = if compared.iter().any(|readings| is_doubtful(readings)) { "°" } else { "" };
        let noise = if within_noise(ratio, self.most_noise()) { " ~" } else { "" };
        format!("{ratio:.2}{doubt}{noise}")
    }

    fn in_chart(&self, line: &Line, contender: &Contender) -> f64 {
        if contender.is_redlet() {
            self.redlet(line)
        } else {
            self.figure(&line.readings[contender.column])
        }
    }

    fn figure(&self, readings: &[Reading]) -> f64 {
        let figures: Vec<f64> = readings.iter().map(|reading| reading.figure).collect();
        (self.summary)(&figures)
    }

    /// The figures of redlet's two runs.
    fn both_runs(&self, line: &Line) -> (f64, f64) {
        let last = line.readings.len() - 1;
        (self.figure(&line.readings[0]), self.figure(&line.readings[last]))
    }

    /// The middle of redlet's two runs.
    fn redlet(&self, line: &Line) -> f64 {
        let (one, other) = self.both_runs(line);
        f64::midpoint(one, other)
    }

    /// Nothing where no peer has what is measured.
    fn best_peer<'line>(&self, line: &'line Line) -> Option<&'line Vec<Reading>> {
        let peers = &line.readings[1..line.readings.len() - 1];
        let peers = peers.iter().filter(|readings| !readings.is_empty());
        let by_figure = |one: &&Vec<Reading>, other: &&Vec<Reading>| {
            self.figure(one).total_cmp(&self.figure(other))
        };
        if self.higher_is_better { peers.max_by(by_figure) } else { peers.min_by(by_figure) }
    }

    fn noise(&self, line: &Line) -> f64 {
        let (one, other) = self.both_runs(line);
        difference(one, other)
    }

    /// The table's largest difference between redlet's two runs: in a single line they may be equal by chance.
    fn most_noise(&self) -> f64 {
        self.lines.iter().map(|line| self.noise(line)).fold(0.0, f64::max)
    }
}

/// A figure is as doubtful as most of its readings.
fn is_doubtful(readings: &[Reading]) -> bool {
    let doubtful = readings.iter().filter(|reading| reading.doubtful).count();
    doubtful * 2 > readings.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of a table whose columns are redlet, two peers, and redlet again.
    fn row(comparison: &mut Comparison, figures: [&[f64]; 4]) -> Vec<String> {
        for (column, figures) in figures.iter().enumerate() {
            let readings = figures.iter().map(|&figure| Reading { figure, doubtful: false });
            comparison.readings("PING", column).extend(readings);
        }
        comparison.row(&comparison.lines[0])
    }

    #[test]
    fn the_ratio_is_that_of_both_runs_to_the_best_peer() {
        let mut lower = Comparison::lower_is_better("us");
        let cells = row(&mut lower, [&[1.0], &[2.0], &[4.0], &[1.1]]);
        assert_eq!(cells, ["PING", "1.00", "2.00", "4.00", "1.10", "10.0 %", "0.53"]);

        let mut higher = Comparison::higher_is_better("requests/s");
        let cells = row(&mut higher, [&[8000.0], &[2000.0], &[4000.0], &[8000.0]]);
        assert_eq!(cells, ["PING", "8,000", "2,000", "4,000", "8,000", "0.00 %", "2.00"]);
    }

    #[test]
    fn rounds_become_one_figure() {
        let mut median = Comparison::lower_is_better("us");
        let cells = row(&mut median, [&[1.0, 9.0, 2.0], &[4.0], &[4.0], &[2.0]]);
        assert_eq!(cells[1], "2.00");

        let mut lowest = Comparison::lower_is_better("us").of_lowest();
        let cells = row(&mut lowest, [&[3.0, 9.0, 2.0], &[4.0], &[4.0], &[2.0]]);
        assert_eq!(cells[1], "2.00");
    }

    #[test]
    fn a_ratio_within_the_noise_is_marked() {
        let mut comparison = Comparison::lower_is_better("us");
        let cells = row(&mut comparison, [&[1.0], &[1.04], &[2.0], &[1.1]]);
        assert_eq!(cells[6], "1.01 ~");
    }

    #[test]
    fn a_line_without_redlet_is_no_comparison() {
        let mut comparison = Comparison::lower_is_better("us");
        let cells = row(&mut comparison, [&[], &[2.0], &[4.0], &[]]);
        assert_eq!(cells, ["PING", "–", "2.00", "4.00", "–", "–", "–"]);
    }

    #[test]
    fn a_peer_that_is_left_out_is_not_the_best_one() {
        for mut comparison in
            [Comparison::lower_is_better("us"), Comparison::higher_is_better("requests/s")]
        {
            let cells = row(&mut comparison, [&[1.0], &[], &[2.0], &[1.0]]);
            assert_eq!(cells[6], "0.50");
        }
        let mut without_peers = Comparison::lower_is_better("us");
        assert_eq!(row(&mut without_peers, [&[1.0], &[], &[], &[1.0]])[6], "–");
    }

    #[test]
    fn a_line_without_noise_has_that_of_the_others() {
        let mut comparison = Comparison::lower_is_better("us");
        for (label, again) in [("GET", 1.1), ("PING", 1.0)] {
            for (column, figure) in [1.0, 1.05, 2.0, again].into_iter().enumerate() {
                comparison.add_reading(label, column, Reading { figure, doubtful: false });
            }
        }
        let cells = comparison.row(&comparison.lines[1]);
        assert_eq!(cells[5..], ["0.00 %", "0.95 ~"]);
    }

    #[test]
    fn doubts_of_most_rounds_are_marked() {
        let reading = |doubtful| Reading { figure: 1.0, doubtful };
        assert!(is_doubtful(&[reading(true), reading(false), reading(true)]));
        assert!(!is_doubtful(&[reading(true), reading(false)]));
    }
}
