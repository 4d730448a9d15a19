//! The table of sections: a question each.

use crate::Result;
use crate::contest::Contest;
use crate::report::Chapter;
use crate::rows::{ROWS, Row};
use crate::{
    computing, delivery, elements, eviction, expiry, fsync, growth, handoff, latency, loading,
    memory, publishing, script_memory, scripting, snapshot, startup, stream_growth, stream_memory,
    streams, throughput,
};

/// A question, and the function that answers it.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Contest) -> Result<Chapter>,
    /// What it measures one by one, if it does.
    pub(crate) rows: &'static [Row],
}

/// All of them, in the order of the page.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "throughput", measure: throughput::measure, rows: ROWS },
    Section { name: "scripts", measure: scripting::measure, rows: scripting::ROWS },
    Section { name: "streams", measure: streams::measure, rows: streams::ROWS },
    Section { name: "delivery", measure: delivery::measure, rows: &[] },
    Section { name: "computing", measure: computing::measure, rows: &[] },
    Section { name: "latency", measure: latency::measure, rows: &[] },
    Section { name: "publishing", measure: publishing::measure, rows: &[] },
    Section { name: "handoff", measure: handoff::measure, rows: &[] },
    Section { name: "memory", measure: memory::measure, rows: &[] },
    Section { name: "elements", measure: elements::measure, rows: &[] },
    Section { name: "stream-memory", measure: stream_memory::measure, rows: &[] },
    Section { name: "script-memory", measure: script_memory::measure, rows: &[] },
    Section { name: "startup", measure: startup::measure, rows: &[] },
    Section { name: "growth", measure: growth::measure, rows: &[] },
    Section { name: "stream-growth", measure: stream_growth::measure, rows: &[] },
    Section { name: "eviction", measure: eviction::measure, rows: &[] },
    Section { name: "expiry", measure: expiry::measure, rows: &[] },
    Section { name: "fsync", measure: fsync::measure, rows: &[] },
    Section { name: "snapshot", measure: snapshot::measure, rows: &[] },
    Section { name: "loading", measure: loading::measure, rows: &[] },
];

/// The rows of all sections.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_tells_which_row_is_meant() {
        let names: HashSet<&str> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
    }
}
