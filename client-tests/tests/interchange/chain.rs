//! One chain: a server makes data and writes it, another loads it and goes on, and the first loads what that has written.

use std::time::Duration;

use client_tests::{
    program::{Home, Process, Program, caller::Caller},
    random::Random,
    reply::Reply,
    target::{Parameter, identity::Identity},
};
use tokio::time::sleep;

use crate::{
    compare,
    dataset::{self, Limits},
    form::{self, Form},
    rules::{self, Passage},
    state::State,
};

/// What has a few milliseconds to live is over by then.
const BRIEF: Duration = Duration::from_millis(50);
/// Fewer commands than one of so many may be answered with an error, or the data is not what it is meant to be.
const MOST_REFUSED: usize = 3;

/// How a chain ended.
pub(crate) enum Outcome {
    /// So many keys arrived, all in all.
    Passed(usize),
    /// A declared exception: so many keys arrived before it, and why the chain ends there.
    Declared(usize, String),
    Failed(Vec<String>),
}

/// A program, and what it says it is.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) program: Program,
    identity: Identity,
}

impl Server {
    pub(crate) async fn find(name: &str) -> Result<Self, String> {
        let program = Program::find(name)?;
        let home = Home::create("interchange")?;
        let process = program.start(&home, &Form::Snapshot.parameters()).await?;
        let identity = Identity::ask(&mut process.connect().await?).await?;
        Ok(Self { program, identity })
    }
}

pub(crate) struct Chain<'chain> {
    pub(crate) first: &'chain Server,
    pub(crate) second: &'chain Server,
    pub(crate) form: Form,
    pub(crate) keys: usize,
    pub(crate) packing: Vec<Parameter>,
}

/// A server at work, with what it was started on.
struct Station {
    home: Home,
    process: Process,
    caller: Caller,
}

/// What a server has left behind.
struct Left {
    home: Home,
    state: State,
}

impl Chain<'_> {
    pub(crate) async fn play(&self, mut random: Random) -> Result<Outcome, String> {
        let mut station = self.enter(self.first, Home::create("interchange")?).await?;
        let commands = dataset::dataset(random.fork(), self.limits());
        refuse_errors(&station.caller.ask_all(&commands).await?, commands.len())?;
        // Otherwise the base is empty, and all stands in the increment.
        if self.form.is_journal() && !random.once_in(3) {
            form::rewrite(&mut station.caller).await?;
        }
        let mut arrived = 0;
        let passages = [("there", self.first, self.second), ("back", self.second, self.first)];
        for (time, from, to) in passages {
            let mut left = self.leave(station, &mut random, time).await?;
            if let Some(why) = self.exception(&left, from, to)? {
                return Ok(Outcome::Declared(arrived, why));
            }
            let differences;
            (station, differences) = self
                .carry(&left, from, to)
                .await
                .map_err(|why| format!("{why}\n  {}", left.home.kept()))?;
            if !differences.is_empty() {
                return Ok(Outcome::Failed([differences, vec![left.home.kept()]].concat()));
            }
            arrived += left.state.keys.len();
        }
        Ok(Outcome::Passed(arrived))
    }

    /// Lets a server load what another one has left, and finds what is not the same.
    async fn carry(
        &self,
        left: &Left,
        from: &Server,
        to: &Server,
    ) -> Result<(Station, Vec<String>), String> {
        let mut station = self.enter(to, left.home.copy("interchange")?).await?;
        let differences = self.compare(left, [from, to], &mut station).await?;
        Ok((station, differences))
    }

    /// Commands cannot say that a consumer holds what is deleted.
    fn limits(&self) -> Limits {
        Limits { keys: self.keys, tombstones: self.form != Form::PlainJournal }
    }

    fn parameters(&self, server: &Server) -> Vec<Parameter> {
        let known = rules::known_to(&server.identity, &self.packing);
        [self.form.parameters(), known, rules::parameters(&server.identity)].concat()
    }

    async fn enter(&self, server: &Server, home: Home) -> Result<Station, String> {
        let process = server.program.start(&home, &self.parameters(server)).await?;
        let caller = process.connect().await?;
        Ok(Station { home, process, caller })
    }

    /// Lets clients write, has it all written, and ends the server.
    async fn leave(
        &self,
        mut station: Station,
        random: &mut Random,
        time: &str,
    ) -> Result<Left, String> {
        let caller = &mut station.caller;
        let existing = State::read(caller).await?.existing();
        if self.form.is_journal() && random.once_in(2) {
            form::rewrite(caller).await?;
        }
        let commands = dataset::traffic(random.fork(), &existing, self.limits(), time);
        refuse_errors(&caller.ask_all(&commands).await?, commands.len())?;
        sleep(BRIEF).await;
        let state = State::read(caller).await?;
        if self.form == Form::Snapshot {
            caller.demand_words(&["SAVE"]).await?;
        }
        station.process.stop().await?;
        Ok(Left { home: station.home, state })
    }

    /// Why a server cannot be expected to load what another one has left.
    fn exception(&self, left: &Left, from: &Server, to: &Server) -> Result<Option<String>, String> {
        let version = self.form.snapshot_version(&left.home)?;
        Ok(version.and_then(|version| rules::cannot_load(&from.identity, &to.identity, version)))
    }

    async fn compare(
        &self,
        left: &Left,
        [from, to]: [&Server; 2],
        station: &mut Station,
    ) -> Result<Vec<String>, String> {
        let loaded = State::read(&mut station.caller).await?;
        let passage = Passage {
            from: &from.identity,
            to: &to.identity,
            form: self.form,
            snapshot_version: self.form.snapshot_version(&left.home)?,
        };
        let differences = compare::differences(&left.state, &loaded, &passage);
        if !differences.is_empty() || !rules::encode_alike(passage.from, passage.to) {
            return Ok(differences);
        }
        let mut again = self.enter(from, left.home.copy("interchange")?).await?;
        Ok(compare::other_encodings(&State::read(&mut again.caller).await?, &loaded))
    }
}

/// Commands may come too late for a key, but most must do what they are for.
fn refuse_errors(replies: &[Reply], commands: usize) -> Result<(), String> {
    let errors: Vec<_> = replies.iter().filter(|reply| reply.is_error()).collect();
    if errors.len() * MOST_REFUSED < commands {
        return Ok(());
    }
    Err(format!(
        "{} of {commands} commands were refused, the last with {}",
        errors.len(),
        errors[errors.len() - 1]
    ))
}
