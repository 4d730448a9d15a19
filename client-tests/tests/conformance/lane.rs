//! A lane plays sessions on one server of its own, one after the other; each target has a few lanes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use client_tests::{
    case::Case,
    reply::Protocol,
    session::{self, Failure},
    target::{Running, Target, identity::Identity},
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    jobs::{Job, Jobs, Session},
    redis_crate::{Clients, TypedTest},
};

/// How one session went on one target.
pub(crate) struct Finished {
    pub(crate) target: usize,
    pub(crate) job: Job,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Passed {
        declared: usize,
    },
    /// It does not run here, for the reason the case gives.
    Excluded,
    /// It cannot run here, as nothing may be configured.
    Skipped,
    Failed(Failure),
}

/// Starts a target's lanes; a server that only a URL names has one, as its keys are shared.
pub(crate) fn spawn_all(
    index: usize,
    target: &Target,
    jobs: &Arc<Jobs>,
    lanes: usize,
    sender: &UnboundedSender<Finished>,
) {
    let next = Arc::new(AtomicUsize::new(0));
    let lanes = if target.is_url() { 1 } else { lanes };
    for _ in 0..lanes {
        let lane = Lane { target: target.clone(), server: None };
        tokio::spawn(run(lane, index, Arc::clone(jobs), Arc::clone(&next), sender.clone()));
    }
}

async fn run(
    mut lane: Lane,
    target: usize,
    jobs: Arc<Jobs>,
    next: Arc<AtomicUsize>,
    sender: UnboundedSender<Finished>,
) {
    while let Some(job) = jobs.list.get(next.fetch_add(1, Ordering::Relaxed)) {
        let outcome =
            lane.play(&jobs, *job).await.unwrap_or_else(|why| Outcome::Failed(server_failure(why)));
        // After a failure nobody knows what state the server is in.
        if matches!(outcome, Outcome::Failed(_)) {
            lane.server = None;
        }
        if sender.send(Finished { target, job: *job, outcome }).is_err() {
            return;
        }
    }
}

fn server_failure(why: String) -> Failure {
    let (command, expected) =
        ("(before the first step)".to_owned(), "a server that works".to_owned());
    Failure { line: 0, command, expected, got: why }
}

struct Lane {
    target: Target,
    server: Option<(Arc<Running>, Identity)>,
}

impl Lane {
    async fn play(&mut self, jobs: &Jobs, job: Job) -> Result<Outcome, String> {
        let (running, identity) = self.server().await?;
        match job.session {
            Session::Case(index) => {
                self.play_case(&jobs.cases[index], &running, &identity, job.protocol).await
            }
            Session::Typed(test) => self.play_typed(test, running, job.protocol).await,
        }
    }

    async fn play_case(
        &self,
        case: &Case,
        running: &Arc<Running>,
        identity: &Identity,
        protocol: Protocol,
    ) -> Result<Outcome, String> {
        if case.excluded_from(&self.target, identity).is_some() {
            return Ok(Outcome::Excluded);
        }
        let outcome = match &case.server {
            Some(_) if self.target.is_url() => return Ok(Outcome::Skipped),
            Some(parameters) => {
                let own = self.target.start(parameters).await?;
                session::play(case, &own, identity, protocol).await
            }
            None => {
                running.reset().await?;
                session::play(case, running, identity, protocol).await
            }
        };
        Ok(match outcome {
            Ok(passed) => Outcome::Passed { declared: passed.declared },
            Err(failure) => Outcome::Failed(failure),
        })
    }

    async fn play_typed(
        &self,
        test: &TypedTest,
        running: Arc<Running>,
        protocol: Protocol,
    ) -> Result<Outcome, String> {
        let running = match test.parameters {
            Some(_) if self.target.is_url() => return Ok(Outcome::Skipped),
            Some(parameters) => {
                let parameters: Vec<_> = parameters
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                Arc::new(self.target.start(&parameters).await?)
            }
            None => {
                running.reset().await?;
                running
            }
        };
        Ok(match test.play(Clients::new(running, protocol)).await {
            Ok(()) => Outcome::Passed { declared: 0 },
            Err(got) => {
                let (command, expected) = (test.name.to_owned(), "success".to_owned());
                Outcome::Failed(Failure { line: 0, command, expected, got })
            }
        })
    }

    async fn server(&mut self) -> Result<(Arc<Running>, Identity), String> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let running = self.target.start(&[]).await?;
        let identity = running.identify().await?;
        Ok(self.server.insert((Arc::new(running), identity)).clone())
    }
}
