//! A connection that subscribes and unsubscribes, and keeps a log of what reached it and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use client_tests::{
    reply::{Protocol, Reply},
    wire::NoReply,
};
use tokio::sync::watch;

use super::script::{Kind, Publication, Step};
use crate::client::{Client, Words, command, line, text};

/// Something that reached a subscriber.
pub(super) enum Event {
    Began { kind: Kind, name: String },
    Ended { kind: Kind, name: String },
    Message { kind: Kind, name: String, publication: Publication },
}

/// What a subscriber saw, in its order, and what its own publications were answered with.
pub(super) struct Log {
    pub(super) who: String,
    pub(super) events: Vec<Event>,
    pub(super) published: Vec<(Publication, usize)>,
}

pub(super) struct Subscriber {
    client: Client,
    log: Log,
    /// What it is subscribed to, as far as it was told.
    names: BTreeMap<Kind, BTreeSet<String>>,
}

impl Subscriber {
    pub(super) fn new(client: Client) -> Self {
        let log = Log { who: client.name.clone(), events: Vec::new(), published: Vec::new() };
        Self { client, log, names: BTreeMap::new() }
    }

    /// Plays, then listens until nothing more is published; what `resets` leaves by RESET, not by unsubscribing.
    pub(super) async fn play(
        mut self,
        script: Vec<Step>,
        mut over: watch::Receiver<bool>,
        resets: bool,
    ) -> Result<Log, String> {
        for step in script {
            self.play_step(step).await?;
        }
        while !*over.borrow_and_update() {
            self.listen(Duration::from_millis(5)).await?;
        }
        self.leave(resets).await?;
        Ok(self.log)
    }

    pub(super) async fn subscribe(&mut self, kind: Kind, names: &[&str]) -> Result<(), String> {
        self.play_step(Step::Subscribe { kind, names: command(names) }).await
    }

    async fn play_step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Listen(duration) => self.listen(duration).await,
            Step::Publish(publication) => self.publish(publication).await,
            Step::Subscribe { kind, names } => {
                let words = [command(&[format!("{}SUBSCRIBE", kind.letter())]), names.clone()];
                self.change(kind, "subscribe", &words.concat(), names.into_iter().map(Some)).await
            }
            Step::Unsubscribe { kind, names } => {
                let words = [command(&[format!("{}UNSUBSCRIBE", kind.letter())]), names.clone()];
                let mut expected: Vec<_> = names.into_iter().map(Some).collect();
                if expected.is_empty() {
                    let held = self.names.get(&kind).into_iter().flatten();
                    expected = held.cloned().map(Some).collect();
                }
                if expected.is_empty() {
                    expected.push(None);
                }
                self.change(kind, "unsubscribe", &words.concat(), expected).await
            }
        }
    }

    /// Sends a command that has several confirmations, and reads on until all of them are there.
    async fn change(
        &mut self,
        kind: Kind,
        verb: &str,
        words: &Words,
        expected: impl IntoIterator<Item = Option<String>>,
    ) -> Result<(), String> {
        let verb = format!("{}{verb}", kind.letter().to_lowercase());
        let mut expected: Vec<_> = expected.into_iter().collect();
        self.client.send(std::slice::from_ref(words)).await?;
        while !expected.is_empty() {
            let reply = self.client.reply(words).await?;
            if self.message(&reply)? {
                continue;
            }
            let confirmed =
                expected.iter().position(|name| confirms(&reply, &verb, name.as_deref()));
            let Some(place) = confirmed else {
                let what = self.client.complaint(words, &reply);
                return Err(format!("{what}\n    while it lacks confirmations for {expected:?}"));
            };
            let name = expected.remove(place);
            self.note(kind, verb.ends_with("unsubscribe"), name);
            self.check_count(kind, words, &reply)?;
        }
        Ok(())
    }

    fn note(&mut self, kind: Kind, ends: bool, name: Option<String>) {
        let Some(name) = name else { return };
        let names = self.names.entry(kind).or_default();
        if ends {
            names.remove(&name);
            self.log.events.push(Event::Ended { kind, name });
        } else {
            names.insert(name.clone());
            self.log.events.push(Event::Began { kind, name });
        }
    }

    /// A confirmation tells how many subscriptions there are: channels and patterns together, shard channels alone.
    fn check_count(&self, kind: Kind, words: &Words, reply: &Reply) -> Result<(), String> {
        let count = |kind| self.names.get(&kind).map_or(0, BTreeSet::len) as i64;
        let expected = match kind {
            Kind::Channel | Kind::Pattern => count(Kind::Channel) + count(Kind::Pattern),
            Kind::Shard => count(Kind::Shard),
        };
        if reply.elements().is_some_and(|items| *items[2] == Reply::Integer(expected)) {
            return Ok(());
        }
        let what = self.client.complaint(words, reply);
        Err(format!("{what}\n    and it has {expected} subscriptions"))
    }

    async fn listen(&mut self, duration: Duration) -> Result<(), String> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.client.next(left.max(Duration::from_millis(1))).await {
                Err(NoReply::Silence) => return Ok(()),
                Err(none) => return Err(format!("  {}, listening: {none}", self.client.name)),
                Ok(reply) if !self.message(&reply)? => {
                    return Err(format!("  {}, listening, got {reply}", self.client.name));
                }
                Ok(_) if left.is_zero() => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    async fn publish(&mut self, publication: Publication) -> Result<(), String> {
        let words = publication.words();
        self.client.send(std::slice::from_ref(&words)).await?;
        loop {
            let reply = self.client.reply(&words).await?;
            if let Reply::Integer(count) = reply {
                self.log.published.push((publication, count as usize));
                return Ok(());
            }
            if !self.message(&reply)? {
                return Err(self.client.complaint(&words, reply));
            }
        }
    }

    /// Puts a message into the log; says whether it was one.
    fn message(&mut self, reply: &Reply) -> Result<bool, String> {
        let Some(items) = reply.elements().filter(|items| !items.is_empty()) else {
            return Ok(false);
        };
        let (kind, name, channel, payload) = match (text(items[0]).as_str(), &items[1..]) {
            ("message", [channel, payload]) => (Kind::Channel, channel, channel, payload),
            ("smessage", [channel, payload]) => (Kind::Shard, channel, channel, payload),
            ("pmessage", [pattern, channel, payload]) => (Kind::Pattern, pattern, channel, payload),
            _ => return Ok(false),
        };
        let is_push = matches!(reply, Reply::Push(_));
        if is_push != (self.client.protocol == Protocol::Resp3) {
            return Err(format!("  {} got a message of the wrong type: {reply}", self.client.name));
        }
        let publication = Publication { channel: text(channel), payload: text(payload) };
        self.log.events.push(Event::Message { kind, name: text(name), publication });
        Ok(true)
    }

    /// Ends all subscriptions. What was published before has to be there by then, and nothing may come later.
    async fn leave(&mut self, resets: bool) -> Result<(), String> {
        if resets {
            self.reset().await?;
        } else {
            for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
                self.play_step(Step::Unsubscribe { kind, names: Vec::new() }).await?;
            }
        }
        let words = command(&["PING"]);
        match self.client.call(&words).await? {
            Reply::Simple(text) if text == b"PONG" => Ok(()),
            reply => {
                let what = self.client.complaint(&words, reply);
                Err(format!("{what}\n    after the end of all its subscriptions"))
            }
        }
    }

    async fn reset(&mut self) -> Result<(), String> {
        let words = command(&["RESET"]);
        self.client.send(std::slice::from_ref(&words)).await?;
        loop {
            match self.client.reply(&words).await? {
                Reply::Simple(text) if text == b"RESET" => break,
                reply if !self.message(&reply)? => {
                    return Err(self.client.complaint(&words, reply));
                }
                _ => {}
            }
        }
        self.client.falls_back();
        for (kind, names) in std::mem::take(&mut self.names) {
            let ended = names.into_iter().map(|name| Event::Ended { kind, name });
            self.log.events.extend(ended);
        }
        Ok(())
    }
}

/// Whether this is the confirmation for a name, or for none.
fn confirms(reply: &Reply, verb: &str, name: Option<&str>) -> bool {
    match reply.elements().as_deref() {
        Some([kind, named, Reply::Integer(_)]) => {
            text(kind) == verb && (!named.is_null()).then(|| text(named)).as_deref() == name
        }
        _ => false,
    }
}

impl Event {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Began { name, .. } => format!("subscribed to {name}"),
            Self::Ended { name, .. } => format!("unsubscribed from {name}"),
            Self::Message { name, publication, .. } => {
                let payload = line(&vec![publication.payload.clone()]);
                format!("{payload} by its subscription to {name}")
            }
        }
    }
}
