//! The list of what has to run on each target: every case in every protocol, and the typed tests.

use client_tests::{case::Case, reply::Protocol};

use crate::redis_crate::{self, TypedTest};

/// One session to play.
#[derive(Clone, Copy)]
pub(crate) enum Session {
    Case(usize),
    Typed(&'static TypedTest),
}

#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) session: Session,
    pub(crate) protocol: Protocol,
}

pub(crate) struct Jobs {
    pub(crate) cases: Vec<Case>,
    pub(crate) list: Vec<Job>,
}

impl Jobs {
    pub(crate) fn select(cases: Vec<Case>, filters: &[String]) -> Self {
        let wanted = |family: &str, name: &str| {
            let title = format!("{family}: {name}");
            filters.is_empty() || filters.iter().any(|filter| title.contains(filter.as_str()))
        };
        let mut list = Vec::new();
        for (index, case) in
            cases.iter().enumerate().filter(|(_, case)| wanted(&case.family, &case.name))
        {
            let protocols = case.protocols.list().iter();
            list.extend(
                protocols
                    .map(|protocol| Job { session: Session::Case(index), protocol: *protocol }),
            );
        }
        for test in redis_crate::tests().filter(|test| wanted(redis_crate::FAMILY, test.name)) {
            let protocols = [Protocol::Resp2, Protocol::Resp3];
            list.extend(protocols.map(|protocol| Job { session: Session::Typed(test), protocol }));
        }
        Self { cases, list }
    }

    pub(crate) fn list_len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn family(&self, job: &Job) -> &str {
        match job.session {
            Session::Case(index) => &self.cases[index].family,
            Session::Typed(_) => redis_crate::FAMILY,
        }
    }

    pub(crate) fn name(&self, job: &Job) -> &str {
        match job.session {
            Session::Case(index) => &self.cases[index].name,
            Session::Typed(test) => test.name,
        }
    }

    pub(crate) fn list(&self) {
        for job in &self.list {
            println!("{} {}: {}", job.protocol, self.family(job), self.name(job));
        }
    }
}
