//! The table of sections: a question each.

use crate::Result;
use crate::contest::Contest;
use crate::report::Chapter;
use crate::{elements, expiry, growth, handoff, latency, memory, publishing, startup, throughput};

/// A question, and the function that answers it.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(&Contest) -> Result<Chapter>,
    /// Whether it measures the rows of the table of commands.
    pub(crate) has_rows: bool,
}

/// All of them, in the order of the page.
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "throughput", measure: throughput::measure, has_rows: true },
    Section { name: "latency", measure: latency::measure, has_rows: false },
    Section { name: "publishing", measure: publishing::measure, has_rows: false },
    Section { name: "handoff", measure: handoff::measure, has_rows: false },
    Section { name: "memory", measure: memory::measure, has_rows: false },
    Section { name: "elements", measure: elements::measure, has_rows: false },
    Section { name: "startup", measure: startup::measure, has_rows: false },
    Section { name: "growth", measure: growth::measure, has_rows: false },
    Section { name: "expiry", measure: expiry::measure, has_rows: false },
];
