//! Waits that are ended from outside: unblocked, killed, or given up by their client.
//!
//! An element that is popped for a client who is gone is lost on any server, as its reply is. So that the ledger needs no
//! allowance, what is killed on common lists only moves elements. A wait on a private list is ended before anything is
//! pushed there, and must leave alone what is pushed afterwards.

use std::sync::Arc;

use client_tests::{
    reply::{Protocol, Reply},
    target::Running,
    wire::NoReply,
};
use tokio::time::sleep;

use super::{
    Events,
    ledger::Event,
    player::settle,
    script::{Ending, Meddling},
};
use crate::client::{Client, PATIENCE, text, until_blocked, until_gone};

pub(super) async fn play(
    server: Arc<Running>,
    name: String,
    protocol: Protocol,
    script: Vec<Meddling>,
) -> Events {
    let control = Client::connect(&server, &name, Protocol::Resp2).await?;
    let mut meddler = Meddler { server, name, protocol, control, events: Vec::new(), played: 0 };
    let mut waiter = None;
    for meddling in script {
        waiter = meddler.meddle(meddling, waiter).await?;
    }
    Ok(meddler.events)
}

struct Meddler {
    server: Arc<Running>,
    name: String,
    protocol: Protocol,
    control: Client,
    events: Vec<Event>,
    played: usize,
}

impl Meddler {
    /// Begins a wait and ends it; gives the client back if it is still connected.
    async fn meddle(
        &mut self,
        meddling: Meddling,
        waiter: Option<Client>,
    ) -> Result<Option<Client>, String> {
        self.played += 1;
        let mut waiter = match waiter {
            Some(waiter) => waiter,
            None => self.waiter().await?,
        };
        let id = waiter.id().await?;
        waiter.send(std::slice::from_ref(&meddling.wait.words)).await?;
        if meddling.private.is_some() {
            until_blocked(&mut self.control, &id).await?;
        } else {
            sleep(meddling.after).await;
        }
        let waiter = match meddling.ending {
            Ending::Unblock => self.unblock(&meddling, waiter, &id, "TIMEOUT").await.map(Some),
            Ending::UnblockWithError => {
                self.unblock(&meddling, waiter, &id, "ERROR").await.map(Some)
            }
            Ending::Kill => self.kill(&meddling, waiter, &id).await.map(|()| None),
            Ending::HangUp => {
                drop(waiter);
                until_gone(&mut self.control, &id).await.map(|()| None)
            }
        }?;
        if let Some(list) = &meddling.private {
            self.check_left_alone(list, &meddling).await?;
        }
        Ok(waiter)
    }

    async fn waiter(&mut self) -> Result<Client, String> {
        let name = format!("{}'s waiter at meddling {}", self.name, self.played);
        Client::connect(&self.server, name, self.protocol).await
    }

    /// The reply to UNBLOCK decides: if the wait was ended by it, nothing was popped, and otherwise it was not ended by it.
    async fn unblock(
        &mut self,
        meddling: &Meddling,
        mut waiter: Client,
        id: &str,
        how: &str,
    ) -> Result<Client, String> {
        let ended = self.control.ask(&["CLIENT", "UNBLOCK", id, how]).await?;
        let reply = waiter.reply(&meddling.wait.words).await?;
        let is_unblocked_error =
            matches!(&reply, Reply::Error(text) if text.starts_with(b"UNBLOCKED"));
        let right = match ended {
            Reply::Integer(1) if how == "ERROR" => is_unblocked_error,
            Reply::Integer(1) => reply.is_null(),
            Reply::Integer(0) => meddling.private.is_none() && !reply.is_error(),
            _ => false,
        };
        if !right {
            let what = waiter.complaint(&meddling.wait.words, reply);
            return Err(format!("{what}\n    while CLIENT UNBLOCK {how} answered {ended}"));
        }
        if !is_unblocked_error {
            self.events.extend(settle(&waiter, self.played, &meddling.wait, &reply)?);
        }
        Ok(waiter)
    }

    async fn kill(
        &mut self,
        meddling: &Meddling,
        mut waiter: Client,
        id: &str,
    ) -> Result<(), String> {
        let killed = self.control.ask(&["CLIENT", "KILL", "ID", id]).await?;
        if killed != Reply::Integer(1) {
            return Err(format!("  {}: CLIENT KILL answered {killed}", waiter.name));
        }
        loop {
            match waiter.next(PATIENCE).await {
                Ok(reply) if meddling.private.is_none() => {
                    self.events.extend(settle(&waiter, self.played, &meddling.wait, &reply)?);
                }
                Err(NoReply::Closed) => break,
                Ok(reply) => return Err(waiter.complaint(&meddling.wait.words, reply)),
                Err(none) => return Err(waiter.complaint(&meddling.wait.words, none)),
            }
        }
        until_gone(&mut self.control, id).await
    }

    async fn check_left_alone(&mut self, list: &str, meddling: &Meddling) -> Result<(), String> {
        let pushed = self.control.ask(&["RPUSH", list, "left alone"]).await?;
        let popped = self.control.ask(&["LPOP", list]).await?;
        if pushed == Reply::Integer(1) && text(&popped) == "left alone" {
            return Ok(());
        }
        Err(format!(
            "  {}: `{}` was ended by {:?}, and took what was pushed to {list} later: LPOP answered {popped}",
            self.name,
            meddling.wait.words.join(" "),
            meddling.ending
        ))
    }
}
