//! A connection that plays its script step by step, and notes what became of the elements.

use client_tests::{random::Random, reply::Reply};
use tokio::time::sleep;

use super::{
    Events,
    ledger::{Event, Fate},
    script::{self, Kind, Shape, Step},
};
use crate::client::{Client, command, line, text, texts};

pub(super) struct Player {
    client: Client,
    random: Random,
    events: Vec<Event>,
    played: usize,
}

impl Player {
    pub(super) fn new(client: Client, random: Random) -> Self {
        Self { client, random, events: Vec::new(), played: 0 }
    }

    pub(super) async fn play(mut self, script: Vec<Step>) -> Events {
        self.play_all(script).await?;
        Ok(self.events)
    }

    /// Plays, then takes whatever there is until a pill says that no more will come.
    pub(super) async fn play_and_drain(mut self, script: Vec<Step>, pills: &str) -> Events {
        self.play_all(script).await?;
        let drain = script::drain(pills);
        loop {
            self.play_step(&drain).await?;
            let pill =
                |event: &Event| matches!(&event.fate, Fate::PoppedFrom(list) if list == pills);
            if self.events.pop_if(|event| pill(event)).is_some() {
                return Ok(self.events);
            }
        }
    }

    async fn play_all(&mut self, script: Vec<Step>) -> Result<(), String> {
        for step in script {
            sleep(step.rest).await;
            self.play_step(&step).await?;
        }
        Ok(())
    }

    /// Now and then an ECHO is sent along: it has to wait for its turn, however long the command before it is blocked.
    async fn play_step(&mut self, step: &Step) -> Result<(), String> {
        self.played += 1;
        let mut commands = vec![step.words.clone()];
        if self.random.once_in(4) {
            commands.push(command(&["ECHO", &format!("after step {}", self.played)]));
        }
        self.client.send(&commands).await?;
        let reply = self.client.reply(&step.words).await?;
        self.events.extend(settle(&self.client, self.played, step, &reply)?);
        if let Some(echo) = commands.get(1) {
            let reply = self.client.reply(echo).await?;
            if text(&reply) != echo[1] {
                return Err(self.client.complaint(echo, reply));
            }
        }
        Ok(())
    }
}

/// What a reply says about elements, or why no server may answer so.
pub(super) fn settle(
    client: &Client,
    number: usize,
    step: &Step,
    reply: &Reply,
) -> Result<Vec<Event>, String> {
    let fates = fates(&step.kind, reply).ok_or_else(|| client.complaint(&step.words, reply))?;
    Ok(fates
        .into_iter()
        .map(|(element, fate)| Event {
            element,
            fate,
            who: client.name.clone(),
            command: format!("step {number}: {}", line(&step.words)),
        })
        .collect())
}

fn fates(kind: &Kind, reply: &Reply) -> Option<Vec<(String, Fate)>> {
    match kind {
        Kind::Push { list, elements } | Kind::PushIfThere { list, elements } => {
            let there = matches!(kind, Kind::Push { .. });
            pushed(there, list, elements, reply)
        }
        Kind::Pop { shape, lists, most } => popped(*shape, lists, *most, reply),
        Kind::Move { from, to } => moved(from, to, reply),
        Kind::Rename => match reply {
            Reply::Integer(0 | 1) => Some(Vec::new()),
            Reply::Error(text) if text.starts_with(b"ERR no such key") => Some(Vec::new()),
            _ => None,
        },
    }
}

/// A push answers with the length before anybody takes something: all its elements count.
fn pushed(
    makes_list: bool,
    list: &str,
    elements: &[String],
    reply: &Reply,
) -> Option<Vec<(String, Fate)>> {
    let Reply::Integer(length) = *reply else { return None };
    let least = elements.len() + usize::from(!makes_list);
    if length == 0 && !makes_list {
        return Some(Vec::new());
    }
    let fate = |element: &String| (element.clone(), Fate::PushedTo(list.to_owned()));
    (length as usize >= least).then(|| elements.iter().map(fate).collect())
}

fn popped(
    shape: Shape,
    lists: &[String],
    most: usize,
    reply: &Reply,
) -> Option<Vec<(String, Fate)>> {
    if reply.is_null() {
        return Some(Vec::new());
    }
    let (list, elements) = match shape {
        Shape::Element => (lists[0].clone(), vec![bulk(reply)?]),
        Shape::Elements => (lists[0].clone(), texts(reply)?),
        Shape::ListAndElement => match reply.elements()?[..] {
            [list, element] => (bulk(list)?, vec![bulk(element)?]),
            _ => return None,
        },
        Shape::ListAndElements => match reply.elements()?[..] {
            [list, elements] => (bulk(list)?, texts(elements)?),
            _ => return None,
        },
    };
    if !lists.contains(&list) || elements.is_empty() || elements.len() > most {
        return None;
    }
    let fate = |element| (element, Fate::PoppedFrom(list.clone()));
    Some(elements.into_iter().map(fate).collect())
}

fn moved(from: &str, to: &str, reply: &Reply) -> Option<Vec<(String, Fate)>> {
    if reply.is_null() {
        return Some(Vec::new());
    }
    let fate = Fate::Moved { from: from.to_owned(), to: to.to_owned() };
    Some(vec![(bulk(reply)?, fate)])
}

fn bulk(reply: &Reply) -> Option<String> {
    matches!(reply, Reply::Bulk(_)).then(|| text(reply))
}
