//! A consumer of a group that plays its script, and notes what reached it and what it acknowledged.

use std::{sync::Arc, time::Instant};

use client_tests::{
    reply::{Protocol, Reply},
    target::Running,
};
use tokio::time::sleep;

use super::{
    PILLS, STREAMS,
    ledger::{Event, Log, What},
    script::{self, Kind, Step, Then, Way},
};
use crate::{
    client::{Words, command, line},
    entries::{Entry, Id, Wait, entries, entries_by_stream},
    reconnecting::Reconnecting,
};

/// How many entries a wait may give that is not lived to see.
const MOST_UNSEEN: usize = 5;
/// How many entries are taken over at once when all of them are.
const MOST_AT_LAST: usize = 20;

pub(super) struct Consumer {
    connection: Reconnecting,
    name: String,
    group: &'static str,
    /// Where XAUTOCLAIM goes on in each stream.
    cursors: [Id; STREAMS.len()],
    log: Log,
    played: usize,
}

/// A command with its answer, and when that was.
struct Asked {
    words: Words,
    reply: Reply,
    start: Instant,
    end: Instant,
}

/// Entries by their streams and ids.
type Delivered = Vec<(&'static str, Id)>;

impl Consumer {
    pub(super) async fn connect(
        server: &Arc<Running>,
        name: &str,
        group: &'static str,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let title = format!("{name} of {group}");
        Ok(Self {
            connection: Reconnecting::connect(server, title, protocol).await?,
            name: name.to_owned(),
            group,
            cursors: [Id::ZERO; STREAMS.len()],
            log: Log { group, events: Vec::new(), waits: Vec::new() },
            played: 0,
        })
    }

    pub(super) async fn play(mut self, script: Vec<Step>) -> Result<Log, String> {
        self.play_all(script).await?;
        Ok(self.log)
    }

    /// Plays, then reads whatever comes until a pill says that there will be no more.
    pub(super) async fn play_and_drain(mut self, script: Vec<Step>) -> Result<Log, String> {
        self.play_all(script).await?;
        loop {
            self.played += 1;
            let [first, second] = STREAMS;
            let delivered = self.read(&[first, second, PILLS], 1, 0).await?;
            let is_over = delivered.iter().any(|(stream, _)| *stream == PILLS);
            self.settle(delivered, script::at_last(self.played)).await?;
            if is_over {
                return Ok(self.log);
            }
        }
    }

    /// Takes over and acknowledges all that is pending.
    pub(super) async fn finish(mut self) -> Result<Log, String> {
        for stream in 0..STREAMS.len() {
            loop {
                self.played += 1;
                let delivered = self.claim_automatically(stream, 0, MOST_AT_LAST).await?;
                self.acknowledge(&delivered).await?;
                if self.cursors[stream] == Id::ZERO {
                    break;
                }
            }
        }
        Ok(self.log)
    }

    async fn play_all(&mut self, script: Vec<Step>) -> Result<(), String> {
        for step in script {
            sleep(step.rest).await;
            self.played += 1;
            self.play_step(step.kind).await?;
        }
        Ok(())
    }

    async fn play_step(&mut self, kind: Kind) -> Result<(), String> {
        let (delivered, then) = match kind {
            Kind::Read { most, timeout_ms, then } => {
                (self.read(&STREAMS, most, timeout_ms).await?, then)
            }
            Kind::ReadAgain { stream, most, then } => (self.read_again(stream, most).await?, then),
            Kind::Claim { stream, least_idle_ms, most, way, then } => {
                let delivered = match way {
                    Way::Auto => self.claim_automatically(stream, least_idle_ms, most).await?,
                    Way::AutoIds => self.claim_ids(stream, least_idle_ms, most).await?,
                    Way::Chosen => self.claim_chosen(stream, least_idle_ms, most).await?,
                };
                (delivered, then)
            }
            Kind::HangUp { timeout_ms, after } => {
                let words = self.reading(&STREAMS, MOST_UNSEEN, timeout_ms);
                self.connection.client.send(&[words]).await?;
                sleep(after).await;
                (Delivered::new(), Then::Crash)
            }
        };
        self.settle(delivered, then).await
    }

    async fn settle(&mut self, delivered: Delivered, then: Then) -> Result<(), String> {
        match then {
            Then::Acknowledge => self.acknowledge(&delivered).await,
            Then::AcknowledgeEveryOther => {
                let every_other: Delivered = delivered.into_iter().step_by(2).collect();
                self.acknowledge(&every_other).await
            }
            Then::Leave => Ok(()),
            Then::Crash => self.connection.lose().await,
        }
    }
}

impl Consumer {
    fn reading(&self, streams: &[&str], most: usize, timeout_ms: usize) -> Words {
        let (most, timeout_ms) = (most.to_string(), timeout_ms.to_string());
        let head = ["XREADGROUP", "GROUP", self.group, &self.name];
        let options = ["COUNT", &most, "BLOCK", &timeout_ms, "STREAMS"];
        command(&[&head[..], &options, streams, &vec![">"; streams.len()]].concat())
    }

    /// Waits for what nobody in the group has got yet.
    async fn read(
        &mut self,
        streams: &[&'static str],
        most: usize,
        timeout_ms: usize,
    ) -> Result<Delivered, String> {
        let asked = self.ask(self.reading(streams, most, timeout_ms)).await?;
        let found = entries_by_stream(&asked.reply).filter(|found| {
            found.iter().all(|(_, entries)| !entries.is_empty() && entries.len() <= most)
        });
        if asked.reply.is_null() {
            let who = format!("{}, {}", self.connection.client.name, line(&asked.words));
            self.log.waits.push(Wait::new(who, asked.start, timeout_ms));
        }
        let mut delivered = Delivered::new();
        for (name, entries) in found.ok_or_else(|| self.complaint(&asked))? {
            let stream = streams.iter().find(|stream| **stream == name);
            let stream = stream.ok_or_else(|| self.complaint(&asked))?;
            delivered.extend(self.note_all(&asked, stream, entries, What::First));
        }
        Ok(delivered)
    }

    async fn read_again(&mut self, stream: usize, most: usize) -> Result<Delivered, String> {
        let (stream, most) = (STREAMS[stream], most.to_string());
        let head = ["XREADGROUP", "GROUP", self.group, &self.name];
        let words = command(&[&head[..], &["COUNT", &most, "STREAMS", stream, "0"]].concat());
        let asked = self.ask(words).await?;
        let found = entries_by_stream(&asked.reply).filter(|found| found.len() == 1);
        let (_, entries) =
            found.and_then(|mut found| found.pop()).ok_or_else(|| self.complaint(&asked))?;
        Ok(self.note_all(&asked, stream, entries, What::Again))
    }

    async fn claim_automatically(
        &mut self,
        stream: usize,
        least_idle_ms: usize,
        most: usize,
    ) -> Result<Delivered, String> {
        let asked = self.ask(self.claiming(stream, least_idle_ms, most)).await?;
        let claimed = self.follow_cursor(&asked, stream).and_then(entries);
        let claimed = claimed.ok_or_else(|| self.complaint(&asked))?;
        Ok(self.note_all(&asked, STREAMS[stream], claimed, What::Claimed))
    }

    /// Ids are enough for who remembers the entries. They do not count as delivered once more.
    async fn claim_ids(
        &mut self,
        stream: usize,
        least_idle_ms: usize,
        most: usize,
    ) -> Result<Delivered, String> {
        let mut words = self.claiming(stream, least_idle_ms, most);
        words.push("JUSTID".to_owned());
        let asked = self.ask(words).await?;
        let claimed = self.follow_cursor(&asked, stream).and_then(ids);
        let claimed = claimed.ok_or_else(|| self.complaint(&asked))?;
        for id in &claimed {
            self.note(&asked, STREAMS[stream], *id, What::ClaimedId);
        }
        Ok(claimed.into_iter().map(|id| (STREAMS[stream], id)).collect())
    }

    fn claiming(&self, stream: usize, least_idle_ms: usize, most: usize) -> Words {
        let (idle, cursor) = (least_idle_ms.to_string(), self.cursors[stream].to_string());
        let place = ["XAUTOCLAIM", STREAMS[stream], self.group, &self.name];
        command(&[&place[..], &[&idle, &cursor, "COUNT", &most.to_string()]].concat())
    }

    /// Notes where XAUTOCLAIM is to go on, and what it found deleted; gives what it claimed.
    fn follow_cursor<'asked>(
        &mut self,
        asked: &'asked Asked,
        stream: usize,
    ) -> Option<&'asked Reply> {
        let [cursor, claimed, deleted] = asked.reply.elements()?[..] else { return None };
        self.cursors[stream] = Id::of(cursor)?;
        for id in ids(deleted)? {
            self.note(asked, STREAMS[stream], id, What::Dropped);
        }
        Some(claimed)
    }

    /// Looks at what is pending, and claims it if nobody else does meanwhile.
    async fn claim_chosen(
        &mut self,
        stream: usize,
        least_idle_ms: usize,
        most: usize,
    ) -> Result<Delivered, String> {
        let (stream, idle, most) = (STREAMS[stream], least_idle_ms.to_string(), most.to_string());
        let looking = ["XPENDING", stream, self.group, "IDLE", &idle, "-", "+", &most];
        let mut claiming = command(&["XCLAIM", stream, self.group, &self.name, &idle]);
        let looked = self.ask(command(&looking)).await?;
        let pending = pending_ids(&looked.reply).ok_or_else(|| self.complaint(&looked))?;
        if pending.is_empty() {
            return Ok(Delivered::new());
        }
        claiming.extend(pending.iter().map(Id::to_string));
        let asked = self.ask(claiming).await?;
        let claimed = entries(&asked.reply).ok_or_else(|| self.complaint(&asked))?;
        Ok(self.note_all(&asked, stream, claimed, What::Claimed))
    }

    /// One by one, so that the replies tell which were still pending.
    async fn acknowledge(&mut self, delivered: &Delivered) -> Result<(), String> {
        let acknowledging =
            |(stream, id): &(&str, Id)| command(&["XACK", stream, self.group, &id.to_string()]);
        let commands: Vec<Words> = delivered.iter().map(acknowledging).collect();
        if commands.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let replies = self.connection.client.pipeline(&commands).await?;
        for ((words, reply), (stream, id)) in commands.into_iter().zip(replies).zip(delivered) {
            let asked = Asked { words, reply, start, end: Instant::now() };
            match asked.reply {
                Reply::Integer(1) => self.note(&asked, stream, *id, What::Acknowledged),
                Reply::Integer(0) => {}
                _ => return Err(self.complaint(&asked)),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, words: Words) -> Result<Asked, String> {
        let start = Instant::now();
        let reply = self.connection.client.call(&words).await?;
        Ok(Asked { words, reply, start, end: Instant::now() })
    }

    fn complaint(&self, asked: &Asked) -> String {
        self.connection.client.complaint(&asked.words, &asked.reply)
    }

    fn note_all(
        &mut self,
        asked: &Asked,
        stream: &'static str,
        entries: Vec<Entry>,
        what: fn(Option<String>) -> What,
    ) -> Delivered {
        let mut delivered = Delivered::new();
        for entry in entries {
            self.note(asked, stream, entry.id, what(entry.payload));
            delivered.push((stream, entry.id));
        }
        delivered
    }

    fn note(&mut self, asked: &Asked, stream: &'static str, id: Id, what: What) {
        if stream == PILLS {
            return;
        }
        self.log.events.push(Event {
            stream,
            id,
            what,
            group: self.group,
            consumer: self.name.clone(),
            command: format!("step {}: {}", self.played, line(&asked.words)),
            start: asked.start,
            end: asked.end,
        });
    }
}

fn ids(reply: &Reply) -> Option<Vec<Id>> {
    reply.elements()?.into_iter().map(Id::of).collect()
}

/// The ids in a reply to XPENDING with a range.
fn pending_ids(reply: &Reply) -> Option<Vec<Id>> {
    let first = |row: &Reply| row.elements().and_then(|items| Id::of(items.first()?));
    reply.elements()?.into_iter().map(first).collect()
}
