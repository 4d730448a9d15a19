//! Finds the prefix of a connection's operations that explains what is there, and whether it is long enough.

use client_tests::{program::caller::Caller, text::shorten};

use super::{
    History, Solo,
    keyspace::{Item, Keyspace},
};
use crate::bounds::{End, Loss};

/// So much of a value, and of an operation, is told with a failure.
const MOST_TOLD: usize = 200;
/// So many operations around the last that had to be there.
const NEIGHBOURS: u64 = 4;

impl Solo {
    /// Compares what is there with what was done, and goes on with it.
    pub(crate) async fn check(
        &mut self,
        caller: &mut Caller,
        history: History,
        end: &End,
    ) -> Result<Loss, String> {
        let found = self.find(caller).await?;
        let certain = history.log.certain(end).unwrap_or(self.last);
        let mut last = None;
        self.walk(&history, &found, |number, keyspace| {
            if *keyspace == found {
                last = Some(number);
            }
        });
        match last {
            Some(last) if last >= certain => {
                self.keyspace = found;
                self.last = history.log.sent;
                Ok(history.log.loss(last, end))
            }
            _ => Err(self.complain(&history, &found, certain, last)),
        }
    }

    /// Shows what each prefix of the operations makes, with the number of its last one.
    fn walk(&self, history: &History, found: &Keyspace, mut show: impl FnMut(u64, &Keyspace)) {
        let mut keyspace = self.keyspace.clone();
        show(self.last, &keyspace);
        for operation in &history.operations {
            let mut operation = operation.clone();
            operation.guess(&keyspace, found);
            operation.apply(&mut keyspace);
            show(operation.number, &keyspace);
        }
    }

    fn complain(
        &self,
        history: &History,
        found: &Keyspace,
        certain: u64,
        last: Option<u64>,
    ) -> String {
        let what = match last {
            Some(last) => format!("{} operations that had to be there are gone", certain - last),
            None => "no prefix of the operations explains what is there".to_owned(),
        };
        let (name, sent) = (&self.name, history.log.sent);
        let mut lines = vec![format!("{name}: {what}")];
        lines.push(format!(
            "before this life there were {}, certain is {certain}, known was {:?}, sent were {sent}",
            self.last,
            history.log.known()
        ));
        let shown = |number: u64| number.abs_diff(certain) <= NEIGHBOURS || number == sent;
        self.walk(history, found, |number, keyspace| {
            if shown(number) {
                lines.push(describe(number, keyspace, found));
            }
        });
        let near = history.operations.iter().filter(|operation| shown(operation.number));
        lines.extend(near.map(|operation| shorten(&format!("operation {operation}"), MOST_TOLD)));
        lines.join("\n    ")
    }
}

fn describe(number: u64, keyspace: &Keyspace, found: &Keyspace) -> String {
    match keyspace.difference(found) {
        None => format!("after {number}: as it is there"),
        Some((name, expected, found)) => {
            format!("after {number}: {name} would be {}, and is {}", show(expected), show(found))
        }
    }
}

fn show(item: Option<&Item>) -> String {
    item.map_or_else(|| "nothing".to_owned(), |item| shorten(&format!("{item:?}"), MOST_TOLD))
}
