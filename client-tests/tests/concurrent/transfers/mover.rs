//! The ways in which money is moved.

use client_tests::{random::Random, reply::Reply};

use super::{ACCOUNTS, Ledger, balance, key};
use crate::client::{Client, Pace, Words, command};

const MOST_MOVED: usize = 100;

const DECLARED: &str = "
    for index, key in ipairs(KEYS) do redis.call('INCRBY', key, ARGV[index]) end
    return #KEYS";
const UNDECLARED: &str = "
    for index = 1, #ARGV, 2 do redis.call('INCRBY', ARGV[index], ARGV[index + 1]) end
    return #ARGV / 2";
const PARTLY_DECLARED: &str = "
    redis.call('INCRBY', KEYS[1], ARGV[1])
    for index = 2, #ARGV, 2 do redis.call('INCRBY', ARGV[index], ARGV[index + 1]) end
    return (#ARGV + 1) / 2";
const MADE_UP: &str = "
    for number, amount in string.gmatch(ARGV[1], '(%d+):(%S+)') do
        redis.call('INCRBY', 'account:' .. number, amount)
    end
    return redis.call('EXISTS', 'account:0') >= 0";
const SLOW: &str = "
    for index, key in ipairs(KEYS) do
        redis.call('INCRBY', key, ARGV[index])
        for look = 1, 50 do redis.call('GET', 'account:' .. look % 10) end
    end
    return #KEYS";
/// What a script has done before it fails stays done.
const FAILING: &str = "
    for index, key in ipairs(KEYS) do redis.call('INCRBY', key, ARGV[index]) end
    return redis.call('LPUSH', KEYS[1], 'fails')";
const EVERYTHING: &str = "
    local amount = redis.call('GETDEL', ARGV[1]) or '0'
    redis.call('INCRBY', ARGV[2], amount)
    return amount";
const EXCHANGE: &str = "
    local before = redis.call('MGET', ARGV[1], ARGV[2])
    redis.pcall('RENAME', ARGV[1], ARGV[3])
    redis.pcall('RENAME', ARGV[2], ARGV[1])
    redis.pcall('RENAME', ARGV[3], ARGV[2])
    return before";
const ADD_ONE: &str = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

/// Money that goes from some accounts to others: in sum nothing.
type Entries = Vec<(usize, i64)>;

pub(super) struct Step {
    way: Way,
    entries: Entries,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Declared,
    Undeclared,
    PartlyDeclared,
    MadeUp,
    Slow,
    Failing,
    Everything,
    Exchange,
    Transaction,
    TransactionOfScripts,
    TransactionExchange,
    Watched,
    Discarded,
}

const WAYS: [Way; 13] = [
    Way::Declared,
    Way::Undeclared,
    Way::PartlyDeclared,
    Way::MadeUp,
    Way::Slow,
    Way::Failing,
    Way::Everything,
    Way::Exchange,
    Way::Transaction,
    Way::TransactionOfScripts,
    Way::TransactionExchange,
    Way::Watched,
    Way::Discarded,
];

pub(super) fn script(random: &mut Random, steps: usize) -> Vec<Step> {
    (0..steps)
        .map(|_| Step {
            way: *random.pick(&WAYS),
            entries: entries(random),
            pace: *random.pick(&[Pace::AtOnce, Pace::OneByOne]),
        })
        .collect()
}

fn entries(random: &mut Random) -> Entries {
    let mut accounts: Vec<usize> = (0..ACCOUNTS).collect();
    random.shuffle(&mut accounts);
    accounts.truncate(2 + random.below(4));
    let mut left = 0;
    let mut entries: Entries = Vec::new();
    for account in &accounts[1..] {
        let amount = random.below(MOST_MOVED) as i64;
        left += amount;
        entries.push((*account, amount));
    }
    entries.push((accounts[0], -left));
    random.shuffle(&mut entries);
    entries
}

pub(super) async fn play(mut client: Client, script: Vec<Step>) -> Result<Ledger, String> {
    let mut ledger = Ledger::default();
    for step in script {
        if let Some(entries) = make(&mut client, &step).await? {
            ledger.enter(&entries);
        }
    }
    Ok(ledger)
}

/// Does what a step says, and tells what was moved, if anything was.
async fn make(client: &mut Client, step: &Step) -> Result<Option<Entries>, String> {
    match step.way {
        Way::Everything => everything(client, &step.entries).await.map(Some),
        Way::Exchange => exchange(client, &step.entries).await.map(Some),
        Way::Transaction => add_in_transaction(client, step, add).await,
        Way::TransactionOfScripts => add_in_transaction(client, step, add_by_script).await,
        Way::TransactionExchange => exchange_in_transaction(client, step).await,
        Way::Watched => watched(client, step).await,
        Way::Discarded => discarded(client, &step.entries).await.map(|()| None),
        _ => by_script(client, step).await.map(Some),
    }
}

async fn by_script(client: &mut Client, step: &Step) -> Result<Entries, String> {
    let words = script_words(step.way, &step.entries);
    let reply = client.call(&words).await?;
    let fits = match step.way {
        Way::Failing => reply.is_error(),
        Way::MadeUp => !reply.is_error(),
        _ => reply == Reply::Integer(step.entries.len() as i64),
    };
    if fits { Ok(step.entries.clone()) } else { Err(client.complaint(&words, reply)) }
}

fn script_words(way: Way, entries: &Entries) -> Words {
    let keys: Words = entries.iter().map(|(account, _)| key(*account)).collect();
    let amounts: Words = entries.iter().map(|(_, amount)| amount.to_string()).collect();
    let in_turn: Words =
        keys.iter().zip(&amounts).flat_map(|(key, amount)| [key.clone(), amount.clone()]).collect();
    let all_declared = |source| eval(source, &keys, &amounts);
    match way {
        Way::Slow => all_declared(SLOW),
        Way::Failing => all_declared(FAILING),
        Way::Undeclared => eval(UNDECLARED, &[], &in_turn),
        Way::PartlyDeclared => eval(PARTLY_DECLARED, &in_turn[..1], &in_turn[1..]),
        Way::MadeUp => {
            let parts = entries.iter().map(|(account, amount)| format!("{account}:{amount}"));
            eval(MADE_UP, &[], &[parts.collect::<Vec<_>>().join(" ")])
        }
        _ => all_declared(DECLARED),
    }
}

fn eval(source: &str, keys: &[String], arguments: &[String]) -> Words {
    let number = keys.len().to_string();
    [&command(&["EVAL", source, &number]), keys, arguments].concat()
}

async fn everything(client: &mut Client, entries: &Entries) -> Result<Entries, String> {
    let (from, to) = (entries[0].0, entries[1].0);
    let words = eval(EVERYTHING, &[], &[key(from), key(to)]);
    let reply = client.call(&words).await?;
    let amount = balance(&reply).ok_or_else(|| client.complaint(&words, &reply))?;
    Ok(vec![(from, -amount), (to, amount)])
}

async fn exchange(client: &mut Client, entries: &Entries) -> Result<Entries, String> {
    let (one, other) = (entries[0].0, entries[1].0);
    let words = eval(EXCHANGE, &[], &[key(one), key(other), aside(client)]);
    let reply = client.call(&words).await?;
    let before = reply.elements().unwrap_or_default();
    exchanged(one, other, &before).ok_or_else(|| client.complaint(&words, &reply))
}

async fn exchange_in_transaction(
    client: &mut Client,
    step: &Step,
) -> Result<Option<Entries>, String> {
    let (one, other) = (step.entries[0].0, step.entries[1].0);
    let (first, second, aside) = (key(one), key(other), aside(client));
    let commands = [
        command(&["GET", &first]),
        command(&["GET", &second]),
        command(&["RENAME", &first, &aside]),
        command(&["RENAME", &second, &first]),
        command(&["RENAME", &aside, &second]),
    ];
    let replies = client.execute(&commands, step.pace).await?;
    let before = [&replies[0], &replies[1]];
    exchanged(one, other, &before)
        .map(Some)
        .ok_or_else(|| client.complaint(&commands[0], before[0]))
}

/// Where an account is missing, RENAME fails, and the other's name is changed nevertheless.
fn exchanged(one: usize, other: usize, before: &[&Reply]) -> Option<Entries> {
    let [first, second] = before else { return None };
    let difference = balance(second)? - balance(first)?;
    Some(vec![(one, difference), (other, -difference)])
}

/// A key that this connection alone uses.
fn aside(client: &Client) -> String {
    format!("aside {}", client.name)
}

async fn add_in_transaction(
    client: &mut Client,
    step: &Step,
    add: fn(&(usize, i64)) -> Words,
) -> Result<Option<Entries>, String> {
    let commands: Vec<Words> = step.entries.iter().map(add).collect();
    let replies = client.execute(&commands, step.pace).await?;
    match commands.iter().zip(&replies).find(|(_, reply)| !matches!(reply, Reply::Integer(_))) {
        Some((words, reply)) => Err(client.complaint(words, reply)),
        None => Ok(Some(step.entries.clone())),
    }
}

fn add(entry: &(usize, i64)) -> Words {
    command(&["INCRBY", &key(entry.0), &entry.1.to_string()])
}

fn add_by_script(entry: &(usize, i64)) -> Words {
    if entry.0.is_multiple_of(2) {
        add(entry)
    } else {
        eval(ADD_ONE, &[key(entry.0)], &[entry.1.to_string()])
    }
}

/// Reads the balances, and writes those that follow if nobody else has written meanwhile.
async fn watched(client: &mut Client, step: &Step) -> Result<Option<Entries>, String> {
    let keys: Words = step.entries.iter().map(|(account, _)| key(*account)).collect();
    client.call(&[command(&["WATCH"]), keys.clone()].concat()).await?;
    let mut commands = Vec::new();
    for ((_, amount), key) in step.entries.iter().zip(&keys) {
        let words = command(&["GET", key]);
        let reply = client.call(&words).await?;
        let balance = balance(&reply).ok_or_else(|| client.complaint(&words, &reply))?;
        commands.push(command(&["SET", key, &(balance + amount).to_string()]));
    }
    let replies = client.execute_if_unchanged(&commands, step.pace).await?;
    Ok(replies.map(|_| step.entries.clone()))
}

async fn discarded(client: &mut Client, entries: &Entries) -> Result<(), String> {
    let block = [command(&["MULTI"]), add(&entries[0]), command(&["DISCARD"])];
    client.pipeline(&block).await.map(|_| ())
}
