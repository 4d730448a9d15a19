//! Who takes part, and in which order they have their turns.

use crate::Result;
use crate::benchmark::Benchmark;
use crate::effort::Effort;
use crate::options::Options;
use crate::rows::Row;
use crate::servers::{Contender, contenders};

/// Everything that a section needs to measure.
pub(crate) struct Contest {
    pub(crate) contenders: Vec<Contender>,
    pub(crate) benchmark: Benchmark,
    pub(crate) effort: Effort,
    /// The rows that are asked for, of all tables.
    rows: Vec<&'static Row>,
}

impl Contest {
    pub(crate) fn prepare(options: &Options) -> Result<Self> {
        Ok(Contest {
            contenders: contenders()?,
            benchmark: Benchmark::find()?,
            effort: options.effort,
            rows: options.rows.clone(),
        })
    }

    pub(crate) fn redlet(&self) -> &Contender {
        &self.contenders[0]
    }

    /// The rows of a table that are asked for.
    pub(crate) fn chosen(&self, table: &'static [Row]) -> Vec<&'static Row> {
        let asked_for = |row: &&Row| self.rows.iter().any(|chosen| chosen.name == row.name);
        table.iter().filter(asked_for).collect()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Contender> {
        self.contenders.iter().filter(|contender| !contender.is_redlet())
    }

    /// Gives every contender a turn in every round, in reverse order every other round: what the machine does to those
    /// who come late in one round, it does to the others in the next.
    pub(crate) fn rounds(
        &self,
        section: &str,
        count: usize,
        mut measure: impl FnMut(&Contender) -> Result<()>,
    ) -> Result<()> {
        for round in 0..count {
            for place in order(self.contenders.len(), round) {
                let contender = &self.contenders[place];
                eprintln!("{section}: round {} of {count}, {}", round + 1, contender.name);
                measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
            }
        }
        Ok(())
    }
}

fn order(contenders: usize, round: usize) -> Vec<usize> {
    let forward = 0..contenders;
    if round.is_multiple_of(2) { forward.collect() } else { forward.rev().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_is_reversed() {
        assert_eq!(order(3, 0), [0, 1, 2]);
        assert_eq!(order(3, 1), [2, 1, 0]);
        assert_eq!(order(3, 2), [0, 1, 2]);
    }
}
