//! The latency monitor: events that took longer than the threshold, second by second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// How many seconds with a spike are kept of each event.
const KEPT: usize = 160;

#[derive(Debug, Default)]
pub(crate) struct LatencyMonitor(Mutex<BTreeMap<&'static str, History>>);

/// The spikes of one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) worst_ms: u64,
    /// The worst spike of each second that had one, the oldest first.
    pub(crate) spikes: VecDeque<Spike>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spike {
    pub(crate) time_s: i64,
    pub(crate) spent_ms: u64,
}

impl LatencyMonitor {
    pub(crate) fn add(&self, event: &'static str, spike: Spike) {
        let mut events = self.lock();
        let history = events.entry(event).or_default();
        history.worst_ms = history.worst_ms.max(spike.spent_ms);
        match history.spikes.back_mut() {
            Some(last) if last.time_s == spike.time_s => {
                last.spent_ms = last.spent_ms.max(spike.spent_ms);
            }
            _ => history.spikes.push_back(spike),
        }
        if history.spikes.len() > KEPT {
            history.spikes.pop_front();
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, History> {
        self.lock().clone()
    }

    pub(crate) fn history(&self, event: &[u8]) -> Option<History> {
        let events = self.lock();
        let mut all = events.iter();
        all.find(|(name, _)| name.as_bytes() == event).map(|(_, history)| history.clone())
    }

    /// Forgets an event's spikes; whether there were any.
    pub(crate) fn forget(&self, event: &[u8]) -> bool {
        let mut events = self.lock();
        let before = events.len();
        events.retain(|name, _| name.as_bytes() != event);
        events.len() < before
    }

    /// Forgets everything; how many events there were.
    pub(crate) fn clear(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, History>> {
        self.0.lock().expect("nothing panics while it holds the latency monitor")
    }
}
