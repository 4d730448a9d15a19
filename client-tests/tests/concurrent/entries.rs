//! Entries of streams, as replies have them.

use std::time::{Duration, Instant};

use client_tests::reply::Reply;
pub(crate) use client_tests::stream_id::Id;

use crate::client::text;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    /// Who reads again what was deleted meanwhile finds an id alone.
    pub(crate) payload: Option<String>,
}

impl Entry {
    fn of(reply: &Reply) -> Option<Self> {
        let [id, fields] = reply.elements()?[..] else { return None };
        let payload = match fields.elements().as_deref() {
            Some([_, payload]) => Some(text(payload)),
            None if fields.is_null() => None,
            _ => return None,
        };
        Some(Self { id: Id::of(id)?, payload })
    }
}

/// A wait that gave nothing.
#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) who: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    timeout: Duration,
}

/// Servers look at their clocks now and then only, so a wait may be over sooner than it should.
const EARLY: Duration = Duration::from_millis(10);

impl Wait {
    pub(crate) fn new(who: String, start: Instant, timeout_ms: usize) -> Self {
        Self { who, start, end: Instant::now(), timeout: Duration::from_millis(timeout_ms as u64) }
    }

    /// Whether it should have given what was there at this moment.
    pub(crate) fn missed(&self, confirmed: Instant) -> bool {
        confirmed + EARLY < self.start + self.timeout
    }
}

/// The entries of a reply to XRANGE or XCLAIM.
pub(crate) fn entries(reply: &Reply) -> Option<Vec<Entry>> {
    reply.elements()?.into_iter().map(Entry::of).collect()
}

/// The entries of each stream in a reply to XREAD or XREADGROUP.
pub(crate) fn entries_by_stream(reply: &Reply) -> Option<Vec<(String, Vec<Entry>)>> {
    let streams = match reply {
        reply if reply.is_null() => Vec::new(),
        Reply::Map(pairs) => pairs.iter().map(|(stream, list)| (stream, list)).collect(),
        reply => reply.elements()?.into_iter().map(pair).collect::<Option<_>>()?,
    };
    streams.into_iter().map(|(stream, list)| Some((text(stream), entries(list)?))).collect()
}

fn pair(reply: &Reply) -> Option<(&Reply, &Reply)> {
    match reply.elements()?[..] {
        [first, second] => Some((first, second)),
        _ => None,
    }
}

/// A field of a map, or of the list that a map is in RESP2.
pub(crate) fn field<'reply>(reply: &'reply Reply, name: &str) -> Option<&'reply Reply> {
    let elements = reply.elements()?;
    let pair = elements.chunks(2).find(|pair| text(pair[0]) == name)?;
    pair.get(1).copied()
}
