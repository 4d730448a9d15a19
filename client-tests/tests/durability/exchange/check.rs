//! Whether what is there can be: some prefix of what each connection did, and everything in one place.

use std::collections::{BTreeMap, BTreeSet};

use client_tests::{command, program::caller::Caller};

use super::{
    Deeds, GROUP, Takings, consumer,
    taker::{Holdings, Step},
};
use crate::{
    bounds::{End, Loss},
    entries::{Entry, Id, entries, last_delivered, pending, text},
};

/// All that is there.
struct Found {
    queue: Vec<String>,
    entries: Vec<Entry>,
    delivered: Id,
    holdings: Vec<Holdings>,
}

impl Deeds {
    pub(crate) async fn check(&self, caller: &mut Caller, end: &End) -> Result<Loss, String> {
        let found = self.find(caller).await?;
        let mut loss = self.check_gifts(&found, end)?;
        let mut acknowledged = BTreeSet::new();
        for (number, (takings, holdings)) in self.takers.iter().zip(&found.holdings).enumerate() {
            let last = takings
                .explain(holdings, found.delivered, end)
                .map_err(|why| format!("{} of {}: {why}", consumer(number), self.exchange.queue))?;
            loss.add(takings.log.loss(last, end));
            acknowledged.extend(takings.acknowledged(last));
        }
        check_deliveries(&found, &acknowledged)
            .map_err(|why| format!("{}: {why}", self.exchange.stream))?;
        Ok(loss)
    }

    async fn find(&self, caller: &mut Caller) -> Result<Found, String> {
        caller.demand_words(&["SELECT", "0"]).await?;
        let exchange = &self.exchange;
        let stream = caller.demand(&command!["XRANGE", exchange.stream, "-", "+"]).await?;
        // Without the stream, XINFO gives an error.
        let groups = caller.ask(&command!["XINFO", "GROUPS", exchange.stream]).await?;
        let mut found = Found {
            queue: list(caller, &exchange.queue).await?,
            entries: entries(&stream).ok_or("XRANGE gives no entries")?,
            delivered: last_delivered(&groups).unwrap_or_default(),
            holdings: Vec::new(),
        };
        for number in 0..self.takers.len() {
            let taken = list(caller, &exchange.taken(number)).await?;
            let held = self.held_by(caller, &consumer(number)).await?;
            found.holdings.push(Holdings { taken, held });
        }
        Ok(found)
    }

    async fn held_by(&self, caller: &mut Caller, consumer: &str) -> Result<Vec<Id>, String> {
        let question =
            command!["XPENDING", self.exchange.stream, GROUP, "-", "+", "1000000", consumer];
        let reply = caller.ask(&question).await?;
        // Without the group, nobody holds anything.
        let held = if reply.is_error() { Some(Vec::new()) } else { pending(&reply) };
        let held = held.ok_or_else(|| caller.complaint(&question, &reply))?;
        Ok(held.into_iter().map(|(id, _, _)| id).collect())
    }

    /// Everything that was given up to some number is in one place, and nothing that came after it.
    fn check_gifts(&self, found: &Found, end: &End) -> Result<Loss, String> {
        let mut numbers: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for gift in found.gifts() {
            let parts = gift.split_once(':');
            let parsed =
                parts.and_then(|(giver, number)| Some((giver.parse().ok()?, number.parse().ok()?)));
            let (giver, number) = parsed.ok_or_else(|| format!("nobody gave {gift}"))?;
            numbers.entry(giver).or_default().push(number);
        }
        let mut loss = Loss::default();
        for (giver, log) in self.givers.iter().enumerate() {
            let mut given = numbers.remove(&giver).unwrap_or_default();
            given.sort_unstable();
            let last = given.last().copied().unwrap_or(0);
            let certain = log.certain(end).unwrap_or(0);
            let whole = given.iter().copied().eq(1..=last);
            if !whole || last < certain || last > log.sent {
                return Err(format!(
                    "{}, giver {giver}: certain are {certain} gifts, sent were {}, and there are {}",
                    self.exchange.queue,
                    log.sent,
                    describe(&given)
                ));
            }
            loss.add(log.loss(last, end));
        }
        match numbers.keys().next() {
            None => Ok(loss),
            Some(stranger) => Err(format!("there is no giver {stranger}, and it has given")),
        }
    }
}

impl Found {
    fn gifts(&self) -> impl Iterator<Item = &String> {
        let taken = self.holdings.iter().flat_map(|holdings| &holdings.taken);
        let entries = self.entries.iter().map(|entry| &entry.number);
        self.queue.iter().chain(taken).chain(entries)
    }
}

/// Numbers in their order, with what is wrong about them.
fn describe(numbers: &[u64]) -> String {
    let missing = (1..=numbers.last().copied().unwrap_or(0))
        .filter(|number| numbers.binary_search(number).is_err());
    let twice = numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    format!(
        "{}, without {:?}, twice {:?}",
        numbers.len(),
        missing.take(10).collect::<Vec<_>>(),
        twice.take(10).collect::<Vec<_>>()
    )
}

impl Takings {
    /// The number of the last step that explains, together with those before it, what the taker has.
    ///
    /// Who reads an entry and acknowledges it has the same as before, but then it is among those that were delivered.
    fn explain(&self, found: &Holdings, delivered: Id, end: &End) -> Result<u64, String> {
        let certain = self.log.certain(end).unwrap_or(0);
        let mut holdings = Holdings::default();
        let mut latest = Id::default();
        let mut last = (holdings == *found).then_some(0);
        for (number, step) in (1..).zip(&self.steps) {
            let answered = self.log.known() >= Some(number);
            let step = if answered { step.clone() } else { step.guess(&holdings, found) };
            holdings.apply(&step);
            latest = latest.max(step.entry().unwrap_or_default());
            if holdings == *found && latest <= delivered {
                last = Some(number);
            }
        }
        match last {
            Some(last) if last >= certain => Ok(last),
            Some(last) => Err(format!("{} steps that had to be there are gone", certain - last)),
            None => Err(format!(
                "no prefix of {} steps, of which {certain} are certain, explains what it has: {} elements, the last {:?}, and {} entries; after all of them it would have {}, the last {:?}, and {}",
                self.log.sent,
                found.taken.len(),
                found.taken.last(),
                found.held.len(),
                holdings.taken.len(),
                holdings.taken.last(),
                holdings.held.len()
            )),
        }
    }

    fn acknowledged(&self, last: u64) -> impl Iterator<Item = Id> {
        self.steps[..last as usize].iter().filter_map(|step| match step {
            Step::Acknowledge(id) => Some(*id),
            _ => None,
        })
    }
}

impl Step {
    /// The entry that was read.
    fn entry(&self) -> Option<Id> {
        match self {
            Self::Read { entry } => *entry,
            _ => None,
        }
    }

    /// The step with what may have come of it, judging by what is there, for nobody was told.
    fn guess(&self, before: &Holdings, found: &Holdings) -> Self {
        match self {
            Self::Take { waits, .. } => {
                Self::Take { waits: *waits, element: found.taken.get(before.taken.len()).cloned() }
            }
            Self::Read { .. } => {
                let new = found.held.iter().find(|id| !before.held.contains(id));
                Self::Read { entry: new.copied() }
            }
            Self::Acknowledge(id) => Self::Acknowledge(*id),
        }
    }
}

/// What the group has got is held by somebody or acknowledged, and nothing else is held.
fn check_deliveries(found: &Found, acknowledged: &BTreeSet<Id>) -> Result<(), String> {
    let held: BTreeSet<Id> =
        found.holdings.iter().flat_map(|holdings| holdings.held.iter().copied()).collect();
    let count: usize = found.holdings.iter().map(|holdings| holdings.held.len()).sum();
    if held.len() != count {
        return Err("two takers hold the same entry".to_owned());
    }
    for Entry { id, number } in &found.entries {
        let delivered = *id <= found.delivered;
        let known = held.contains(id) || acknowledged.contains(id);
        if delivered != known {
            let last = found.delivered;
            return Err(format!(
                "the entry {id} ({number}) is held or acknowledged: {known}; the group has got all up to {last}"
            ));
        }
    }
    Ok(())
}

async fn list(caller: &mut Caller, key: &str) -> Result<Vec<String>, String> {
    let list = caller.demand(&command!["LRANGE", key, "0", "-1"]).await?;
    Ok(list.elements().unwrap_or_default().into_iter().map(text).collect())
}
