//! Telling those who want to know what happened to keys.

use crate::blocking;
use crate::config::{ClientClass, EventClass, Param};
use crate::engine::Engine;
use crate::keyspace::{Note, Sweep, Wanted};
use crate::pubsub::Kind;
use crate::tracking::Post;

impl Engine {
    /// What somebody wants to know of the keys that a command changes.
    pub(crate) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::empty();
        wanted.set(Wanted::EVENTS, !self.config.events().is_empty());
        wanted.set(Wanted::CHANGES, self.tracking.is_needed());
        wanted
    }

    /// Tells what happened, in the order in which it did; `by` is the client that did it. The shards of the keys are still held, so
    /// that what is told of a key is in order, whoever changes it.
    pub(crate) fn announce(&self, notes: Vec<Note>, by: Option<u64>, now_ms: i64) {
        for note in notes {
            match note {
                Note::Event { class, name, database, key } => {
                    self.publish_event(class, name, database, &key, now_ms);
                }
                Note::Changed { key } => self.tracking.invalidate(&key, by, self.post(now_ms)),
                Note::Flushed => self.tracking.invalidate_all(self.post(now_ms)),
            }
        }
    }

    /// One round of removing what has expired; false if time was over before its end.
    pub(crate) fn sweep(&self, out_of_time: &dyn Fn() -> bool) -> bool {
        let now_ms = self.clock.now_ms();
        let is_done = self.keyspace.sweep(&Sweep {
            now_ms,
            out_of_time,
            is_alone: &|| !self.scripts.running.is_away(),
            wanted: &|| self.wanted(),
            announce: &|notes| self.announce(notes, None, now_ms),
            serve: &|run, database, key| blocking::serve_loss(self, run, (database, key)),
        });
        self.end_cycle();
        is_done
    }

    /// Tells what is told once for everything that was done together.
    pub(crate) fn end_cycle(&self) {
        self.tracking.broadcast(|| self.post(self.clock.now_ms()));
    }

    /// Keeps the table of tracked keys within its limit.
    pub(crate) fn limit_tracking(&self) {
        if self.tracking.is_needed() {
            let most = self.config.number(Param::TrackingTableMaxKeys) as usize;
            self.tracking.limit(most, self.post(self.clock.now_ms()));
        }
    }

    /// Who is told of keys may leave as much unread as who is subscribed to channels.
    fn post(&self, now_ms: i64) -> Post<'_> {
        let limit = self.config.output_limit(ClientClass::Pubsub);
        Post { registry: &self.clients, limit, now_ms }
    }

    fn publish_event(
        &self,
        class: EventClass,
        name: &str,
        database: usize,
        key: &[u8],
        now_ms: i64,
    ) {
        let chosen = self.config.events();
        if !chosen.contains(class) || !self.pubsub.are_any() {
            return;
        }
        let limit = self.config.output_limit(ClientClass::Pubsub);
        if chosen.contains(EventClass::KEYSPACE) {
            let channel = [format!("__keyspace@{database}__:").as_bytes(), key].concat();
            self.pubsub.publish(Kind::Channel, &channel, name.as_bytes(), limit, now_ms);
        }
        if chosen.contains(EventClass::KEYEVENT) {
            let channel = format!("__keyevent@{database}__:{name}");
            self.pubsub.publish(Kind::Channel, channel.as_bytes(), key, limit, now_ms);
        }
    }
}
