//! Entries of streams, as replies have them.

use client_tests::reply::Reply;
pub(crate) use client_tests::stream_id::Id;

/// An entry whose one field has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) number: String,
}

/// The entries in a reply to XRANGE.
pub(crate) fn entries(reply: &Reply) -> Option<Vec<Entry>> {
    let entry = |reply: &Reply| {
        let [id, fields] = reply.elements()?[..] else { return None };
        let [_, number] = fields.elements()?[..] else { return None };
        Some(Entry { id: Id::of(id)?, number: text(number) })
    };
    reply.elements()?.into_iter().map(entry).collect()
}

/// Entries that consumers hold, in a reply to XPENDING: each with its consumer and how often it was delivered.
pub(crate) fn pending(reply: &Reply) -> Option<Vec<(Id, String, u64)>> {
    let row = |reply: &Reply| {
        let [id, consumer, _, deliveries] = reply.elements()?[..] else { return None };
        Some((Id::of(id)?, text(consumer), text(deliveries).parse().ok()?))
    };
    reply.elements()?.into_iter().map(row).collect()
}

/// The first of a stream's groups in a reply to XINFO GROUPS: the last entry that it has got.
pub(crate) fn last_delivered(reply: &Reply) -> Option<Id> {
    let groups = reply.elements()?;
    let fields = groups.first()?.elements()?;
    let field = fields.chunks(2).find(|field| text(field[0]) == "last-delivered-id")?;
    Id::of(field.get(1)?)
}

/// A reply's text, or nothing.
pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.text().unwrap_or_default()).into_owned()
}
