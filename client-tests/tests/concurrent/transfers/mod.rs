//! Money that is moved between accounts in many ways: whoever looks at all accounts at once finds all the money.
//!
//! Movements are by scripts, which declare their keys or do not, and by transactions. In the end each account has what the
//! replies to those who moved money said.

mod mover;
mod reader;

use std::sync::Arc;

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
};
use tokio::task::JoinSet;

use crate::client::{Client, Words, command, join_all, random_protocol, text};

const MOVERS: usize = 5;
const READERS: usize = 4;
const ACCOUNTS: usize = 10;
const BALANCE: i64 = 1000;
const TOTAL: i64 = BALANCE * ACCOUNTS as i64;
/// The numbers of all accounts, for SORT.
const NAMES: &str = "names";

pub(crate) async fn play(
    server: &Arc<Running>,
    random: &mut Random,
    steps: usize,
) -> Result<usize, String> {
    let mut control = Client::connect(server, "control", Protocol::Resp2).await?;
    open_accounts(&mut control).await?;
    let mut movers = JoinSet::new();
    for number in 0..MOVERS {
        let script = mover::script(random, steps);
        let client =
            Client::connect(server, format!("mover-{number}"), random_protocol(random)).await?;
        movers.spawn(mover::play(client, script));
    }
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let script = reader::script(random, steps);
        let client =
            Client::connect(server, format!("reader-{number}"), random_protocol(random)).await?;
        readers.spawn(reader::play(client, script));
    }
    let ledgers = join_all(movers).await?;
    let looks: usize = join_all(readers).await?.into_iter().sum();
    let moved: usize = ledgers.iter().map(|ledger| ledger.moves).sum();
    check_balances(&mut control, &ledgers).await?;
    Ok(moved + looks)
}

/// What one connection knows to have been added to each account.
#[derive(Default)]
struct Ledger {
    added: [i64; ACCOUNTS],
    moves: usize,
}

impl Ledger {
    fn enter(&mut self, entries: &[(usize, i64)]) {
        self.moves += 1;
        for (account, amount) in entries {
            self.added[*account] += amount;
        }
    }
}

async fn open_accounts(control: &mut Client) -> Result<(), String> {
    let mut words = command(&["MSET"]);
    for key in keys() {
        words.extend([key, BALANCE.to_string()]);
    }
    control.call(&words).await?;
    let numbers = (0..ACCOUNTS).map(|account| account.to_string());
    let words: Words = command(&["SADD", NAMES]).into_iter().chain(numbers).collect();
    control.call(&words).await.map(|_| ())
}

async fn check_balances(control: &mut Client, ledgers: &[Ledger]) -> Result<(), String> {
    let words: Words = command(&["MGET"]).into_iter().chain(keys()).collect();
    let reply = control.call(&words).await?;
    let Some(balances) = balances(&reply) else { return Err(control.complaint(&words, reply)) };
    for (account, balance) in balances.into_iter().enumerate() {
        let added: i64 = ledgers.iter().map(|ledger| ledger.added[account]).sum();
        if balance != BALANCE + added {
            let key = key(account);
            let expected = BALANCE + added;
            return Err(format!("  {key} has {balance}, and by all replies it has {expected}"));
        }
    }
    Ok(())
}

fn key(account: usize) -> String {
    format!("account:{account}")
}

fn keys() -> impl Iterator<Item = String> {
    (0..ACCOUNTS).map(key)
}

/// The balances of an array of them.
fn balances(reply: &Reply) -> Option<Vec<i64>> {
    reply.elements()?.into_iter().map(balance).collect()
}

/// An account that is not there has nothing.
fn balance(reply: &Reply) -> Option<i64> {
    if reply.is_null() { Some(0) } else { text(reply).parse().ok() }
}
