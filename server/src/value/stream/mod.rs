//! Streams: entries in the order of their ids, and the groups of consumers that read them.
//!
//! The log knows nothing of its readers, and a group nothing of what the entries hold. Times are given
//! by the caller, and so are ids.

mod block;
mod group;
mod id;
mod log;
#[cfg(test)]
mod tests;

pub(crate) use block::{Block, Entry, NodeLimits};
pub(crate) use group::{Consumer, ConsumerNumber, Group, Groups, Pending};
pub(crate) use id::{Id, IdRange, LONGEST_ID, NewId, until_zero};
pub(crate) use log::{History, Log, Trim, TrimUntil};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) log: Log,
    pub(crate) groups: Groups,
}

impl Stream {
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.log.heap_bytes() + self.groups.heap_bytes()
    }

    /// How many entries are there that a group has not read yet, if that can be told.
    pub(crate) fn lag(&self, group: &Group) -> Option<i64> {
        let (log, added) = (&self.log, self.log.history.added);
        if added == 0 || log.is_empty() {
            return Some(0);
        }
        let is_certain = !log.has_gap_from(group.last_id);
        if group.last_id < log.first_id() && is_certain {
            return Some(log.len() as i64);
        }
        let read = match group.read {
            Some(read) if is_certain => read,
            _ => log.added_until(group.last_id)? as i64,
        };
        Some((added as i64).wrapping_sub(read))
    }
}
