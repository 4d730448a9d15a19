//! A case: a short session of commands, and what each must be answered with.

use std::{path::PathBuf, time::Duration};

use crate::{
    reply::Protocol,
    target::{
        Parameter, Target,
        identity::{Identity, Product, REAL_SERVERS, Selector},
    },
};

/// One session, as a case file describes it.
#[derive(Clone, Debug)]
pub struct Case {
    pub family: String,
    pub name: String,
    pub file: PathBuf,
    pub line: usize,
    pub protocols: Protocols,
    /// The parameters of the server it needs for itself; `None` where any empty server will do.
    pub server: Option<Vec<Parameter>>,
    pub exclusions: Vec<Exclusion>,
    /// Why clients have to come over a socket.
    pub needs_addresses: Option<String>,
    pub steps: Vec<Step>,
}

/// In which protocols a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    Both,
    Only(Protocol),
    /// Nothing is sent ahead of the case's own commands.
    Plain,
}

impl Protocols {
    pub fn list(self) -> &'static [Protocol] {
        match self {
            Self::Both => &[Protocol::Resp2, Protocol::Resp3],
            Self::Only(Protocol::Resp3) => &[Protocol::Resp3],
            Self::Only(Protocol::Resp2) | Self::Plain => &[Protocol::Resp2],
        }
    }
}

/// Real servers on which a case makes no sense.
#[derive(Clone, Debug)]
pub struct Exclusion {
    pub servers: Vec<Selector>,
    pub reason: String,
}

/// One line of a session.
#[derive(Clone, Debug)]
pub struct Step {
    pub line: usize,
    pub connection: String,
    pub action: Action,
    pub answers: Answers,
}

/// What a step does before it looks for its reply. Texts may hold `${...}`, so they are read when the step runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Command(String),
    /// The same, sent byte by byte.
    Fragmented(String),
    /// The same, repeated until the reply is the one expected.
    Until(String),
    Raw(String),
    /// Nothing is sent: the reply belongs to an earlier step.
    Receive,
    Wait(Duration),
    /// Nothing is sent: a text gets a name.
    Keep {
        name: String,
        text: String,
    },
    Open,
    Close,
}

/// The expected reply, and where it differs.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub expected: Option<Answer>,
    pub differences: Vec<Difference>,
}

/// An expectation's notation, and the name under which the reply is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub notation: String,
    pub kept_as: Option<String>,
}

/// Another answer in one protocol, on some real servers, or (listed at the end of each report) on redlet.
#[derive(Clone, Debug)]
pub struct Difference {
    pub protocol: Option<Protocol>,
    pub whose: Whose,
    pub answer: Answer,
}

#[derive(Clone, Debug)]
pub enum Whose {
    Everyone,
    Servers(Vec<Selector>),
    Redlet { reason: String },
}

impl Case {
    /// Why the case does not run on a target, if it does not.
    pub fn excluded_from(&self, target: &Target, identity: &Identity) -> Option<String> {
        if let Some(exclusion) = self.exclusions.iter().find(|exclusion| exclusion.covers(identity))
        {
            return Some(exclusion.reason.clone());
        }
        if !target.has_addresses() {
            return self.needs_addresses.clone();
        }
        None
    }

    /// A claim that no real server bears out would be an invention.
    pub fn check(&self) -> Result<(), String> {
        let runs_on = |identity: &&Identity| {
            !self.exclusions.iter().any(|exclusion| exclusion.covers(identity))
        };
        let servers: Vec<_> = REAL_SERVERS.iter().filter(runs_on).collect();
        if servers.is_empty() {
            return Err(format!("line {}: `{}` runs on no real server", self.line, self.name));
        }
        for step in &self.steps {
            let borne_out = servers.iter().any(|identity| !step.answers.differs_on(identity));
            if !borne_out {
                return Err(format!("line {}: no real server answers as expected", step.line));
            }
        }
        Ok(())
    }
}

impl Exclusion {
    fn covers(&self, identity: &Identity) -> bool {
        self.servers.iter().any(|selector| selector.selects(identity))
    }
}

impl Answers {
    /// The difference that holds for a server and protocol.
    pub fn difference(&self, identity: &Identity, protocol: Protocol) -> Option<&Difference> {
        let applies = |difference: &&Difference| {
            difference.protocol.is_none_or(|only| only == protocol)
                && difference.whose.includes(identity)
        };
        let named = |difference: &&Difference| !matches!(difference.whose, Whose::Everyone);
        let mut all = self.differences.iter().filter(applies);
        self.differences.iter().filter(applies).find(named).or_else(|| all.next())
    }

    /// What a server that declares nothing of its own answers.
    pub fn base(&self, protocol: Protocol) -> Option<&Answer> {
        let everyone = self.differences.iter().find(|difference| {
            matches!(difference.whose, Whose::Everyone) && difference.protocol == Some(protocol)
        });
        everyone.map(|difference| &difference.answer).or(self.expected.as_ref())
    }

    fn differs_on(&self, identity: &Identity) -> bool {
        self.differences.iter().any(|difference| {
            matches!(difference.whose, Whose::Servers(_))
                && difference.protocol.is_none()
                && difference.whose.includes(identity)
        })
    }
}

impl Whose {
    fn includes(&self, identity: &Identity) -> bool {
        match self {
            Self::Everyone => true,
            Self::Servers(selectors) => selectors.iter().any(|selector| selector.selects(identity)),
            Self::Redlet { .. } => identity.product == Product::Redlet,
        }
    }
}
