//! When two replies about streams agree: clocks differ, and how a stream lies in memory is a server's own business.

use client_tests::reply::Reply;

/// The servers are asked one after the other, and were told to deliver one after the other.
const TOLERANCE_MS: u64 = 3000;
/// What is earlier no clock has said: a command gave this time, and it must be the same.
const EARLIEST_CLOCK_MS: i64 = 1_500_000_000_000;

/// XPENDING's idle times run on.
pub(crate) fn pending_agrees(left: &Reply, right: &Reply) -> bool {
    Comparison { delivery_agrees: idle_agrees, ignored: &[] }.agrees(left, right)
}

/// XINFO has both moments and idle times.
pub(crate) fn information_agrees(left: &Reply, right: &Reply) -> bool {
    information_agrees_without(&[], left, right)
}

/// Whether replies to XINFO agree but for what has one of these names, which one of them may not have at all.
pub(crate) fn information_agrees_without(ignored: &[&str], left: &Reply, right: &Reply) -> bool {
    Comparison { delivery_agrees: moment_agrees, ignored }.agrees(left, right)
}

struct Comparison<'names> {
    /// Whether two times of a delivery are the same.
    delivery_agrees: fn(&Reply, &Reply) -> bool,
    ignored: &'names [&'names str],
}

impl Comparison<'_> {
    fn agrees(&self, left: &Reply, right: &Reply) -> bool {
        if std::mem::discriminant(left) != std::mem::discriminant(right) {
            return false;
        }
        match (left.elements(), right.elements()) {
            (Some(left), Some(right)) => self.all_agree(&self.reduce(left), &self.reduce(right)),
            _ => left == right,
        }
    }

    /// What is left without the names that are ignored and what follows them.
    fn reduce<'reply>(&self, items: Vec<&'reply Reply>) -> Vec<&'reply Reply> {
        let mut items = items.into_iter();
        let mut reduced = Vec::new();
        while let Some(item) = items.next() {
            let is_ignored =
                |text: Vec<u8>| self.ignored.iter().any(|name| name.as_bytes() == text);
            if item.text().is_some_and(is_ignored) {
                items.next();
            } else {
                reduced.push(item);
            }
        }
        reduced
    }

    fn all_agree(&self, left: &[&Reply], right: &[&Reply]) -> bool {
        let delivery = is_delivery(left).then(|| left.len() - 2);
        let item_agrees = |at: usize| {
            let before = at.checked_sub(1).and_then(|before| left[before].text());
            match before.as_deref() {
                _ if delivery == Some(at) => (self.delivery_agrees)(left[at], right[at]),
                Some(b"idle" | b"inactive") => idle_agrees(left[at], right[at]),
                Some(b"seen-time" | b"active-time") => moment_agrees(left[at], right[at]),
                Some(b"radix-tree-keys" | b"radix-tree-nodes") => are_integers(left[at], right[at]),
                _ => self.agrees(left[at], right[at]),
            }
        };
        left.len() == right.len() && (0..left.len()).all(item_agrees)
    }
}

/// An id, perhaps a consumer, when it was delivered or for how long it has been idle, and how often.
fn is_delivery(items: &[&Reply]) -> bool {
    matches!(
        items,
        [Reply::Bulk(_), Reply::Integer(_), Reply::Integer(_)]
            | [Reply::Bulk(_), Reply::Bulk(_), Reply::Integer(_), Reply::Integer(_)]
    )
}

fn idle_agrees(left: &Reply, right: &Reply) -> bool {
    left == right || are_near_from(0, left, right)
}

fn moment_agrees(left: &Reply, right: &Reply) -> bool {
    left == right || are_near_from(EARLIEST_CLOCK_MS, left, right)
}

/// Whether both are numbers from `least` on, and near each other.
fn are_near_from(least: i64, left: &Reply, right: &Reply) -> bool {
    match (left, right) {
        (Reply::Integer(left), Reply::Integer(right)) => {
            *left.min(right) >= least && left.abs_diff(*right) <= TOLERANCE_MS
        }
        _ => false,
    }
}

fn are_integers(left: &Reply, right: &Reply) -> bool {
    matches!((left, right), (Reply::Integer(_), Reply::Integer(_)))
}
