//! What does it cost to add an entry to a stream, or to read entries of one?
//!
//! The goals, in times of the best peer: 0.85, 0.50 and 0.45 at depths 1, 16 and 64 for XADD; 0.85 at depth 1 and 0.55
//! in pipelines for a hundred entries that are read.

use crate::Result;
use crate::contest::Contest;
use crate::costs::{Costs, Subject};
use crate::entries::{self, FIELDS};
use crate::figures::grouped;
use crate::report::Chapter;
use crate::rows::{Row, listed, row};
use crate::servers::Server;

pub(crate) const ROWS: &[Row] = &[
    row("XADD", &["xadd", "stream", "MAXLEN", "~", "10000", "*"]).followed_by(FIELDS),
    row("XADD 1000 keys", &["xadd", "stream:__rand_int__", "MAXLEN", "~", "100", "*"])
        .followed_by(FIELDS)
        .drawn_from(STREAMS),
    row("XRANGE 100", &["xrange", LONG_STREAM, "1__rand_int__", "+", "COUNT", "100"])
        .drawn_from(STARTS),
    row("XREAD 10", &["xread", "COUNT", "10", "STREAMS", LONG_STREAM, "1__rand_int__"])
        .drawn_from(STARTS),
];

/// The streams of the row with many.
const STREAMS: u64 = 1_000;

/// How many entries each of them has at first: as many as are left to it.
const ENTRIES: u64 = 100;

const LONG_STREAM: &str = "long";

const LONG_STREAM_ENTRIES: u64 = 100_000;

/// The most entries that are read at once.
const MOST_READ: u64 = 100;

/// The numbers of those entries from which on there are enough to be read.
const STARTS: u64 = LONG_STREAM_ENTRIES - MOST_READ;

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let subject = Subject { section: "streams", rows: contest.chosen(ROWS), prepare };
    let costs = Costs::measure(contest, &subject)?;
    Ok(Chapter {
        title: "Cost of a stream",
        method: method(&subject),
        tables: costs.tables(&contest.contenders),
        charts: vec![costs.chart("cpu-per-stream-request.svg", &contest.contenders)],
    })
}

/// A server without streams is measured as far as it goes.
fn prepare(server: &Server) -> Result<()> {
    if !server.knows(&["xadd"])? {
        return Ok(());
    }
    let mut client = server.connect()?;
    for number in 0..STREAMS {
        entries::fill(&mut client, &format!("stream:{number:012}"), 0..ENTRIES)?;
    }
    entries::fill(&mut client, LONG_STREAM, 0..LONG_STREAM_ENTRIES)
}

fn method(subject: &Subject) -> String {
    format!(
        "Measured like the cost of a request above. An entry has three fields with values of 16 bytes. *XADD* adds to \
         one stream, which is kept at about 10,000 entries. *XADD 1000 keys* adds to {streams} streams, each of which \
         has {ENTRIES} entries at first and is kept at about as many. *XRANGE 100* and *XREAD 10* read from a stream \
         of {entries} entries, whose ids lie one apart, from any place at which enough of them follow.\n\n{rows}.",
        streams = grouped(STREAMS),
        entries = grouped(LONG_STREAM_ENTRIES),
        rows = listed(&subject.rows),
    )
}
