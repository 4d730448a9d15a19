//! The ways in which all accounts are looked at as they are in one moment.

use client_tests::{random::Random, reply::Reply};

use super::{ACCOUNTS, NAMES, TOTAL, balance, balances, keys};
use crate::client::{Client, Pace, Words, command};

const DECLARED: &str = "
    local sum = 0
    for _, key in ipairs(KEYS) do sum = sum + (redis.call('GET', key) or 0) end
    return sum";
const UNDECLARED: &str = "
    local sum = 0
    for account = 0, ARGV[1] - 1 do sum = sum + (redis.call('GET', 'account:' .. account) or 0) end
    return sum";
const FOUND: &str = "
    local sum = 0
    for _, key in ipairs(redis.call('KEYS', 'account:*')) do sum = sum + redis.call('GET', key) end
    return sum";
const SORTED: &str = "return redis.call('SORT', KEYS[1], 'BY', 'nosort', 'GET', 'account:*')";

pub(super) struct Step {
    way: Way,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Mget,
    Sort,
    Declared,
    Undeclared,
    ReadOnly,
    Found,
    SortedByScript,
    Transaction,
    Twice,
    Watched,
}

const WAYS: [Way; 10] = [
    Way::Mget,
    Way::Sort,
    Way::Declared,
    Way::Undeclared,
    Way::ReadOnly,
    Way::Found,
    Way::SortedByScript,
    Way::Transaction,
    Way::Twice,
    Way::Watched,
];

pub(super) fn script(random: &mut Random, steps: usize) -> Vec<Step> {
    let paces = [Pace::AtOnce, Pace::OneByOne];
    (0..steps).map(|_| Step { way: *random.pick(&WAYS), pace: *random.pick(&paces) }).collect()
}

/// Says how often all the money was seen.
pub(super) async fn play(mut client: Client, script: Vec<Step>) -> Result<usize, String> {
    let mut looks = 0;
    for (number, step) in script.iter().enumerate() {
        let sums = look(&mut client, step).await?;
        if let Some(wrong) = sums.iter().find(|sum| **sum != TOTAL) {
            let (name, way) = (&client.name, step.way);
            return Err(format!(
                "  {name}, step {number}: {way:?} finds {wrong}, and there are {TOTAL}"
            ));
        }
        looks += sums.len();
    }
    Ok(looks)
}

/// The sums that a way of looking finds; none if it has to be tried again.
async fn look(client: &mut Client, step: &Step) -> Result<Vec<i64>, String> {
    match step.way {
        Way::Transaction => {
            let commands: Vec<Words> = keys().map(|key| command(&["GET", &key])).collect();
            sum_of_transaction(client, &commands, step.pace).await.map(|sum| vec![sum])
        }
        Way::Twice => twice(client, step.pace).await,
        Way::Watched => watched(client, step.pace).await,
        way => {
            let words = words(way);
            let reply = client.call(&words).await?;
            sum(&reply).map(|sum| vec![sum]).ok_or_else(|| client.complaint(&words, reply))
        }
    }
}

fn words(way: Way) -> Words {
    let number = ACCOUNTS.to_string();
    let with_keys = |words: &[&str]| command(words).into_iter().chain(keys()).collect();
    match way {
        Way::Declared => with_keys(&["EVAL", DECLARED, &number]),
        Way::ReadOnly => with_keys(&["EVAL_RO", DECLARED, &number]),
        Way::Undeclared => command(&["EVAL", UNDECLARED, "0", &number]),
        Way::Found => command(&["EVAL", FOUND, "0"]),
        Way::Sort => command(&["SORT", NAMES, "BY", "nosort", "GET", "account:*"]),
        Way::SortedByScript => command(&["EVAL", SORTED, "1", NAMES]),
        _ => with_keys(&["MGET"]),
    }
}

fn sum(reply: &Reply) -> Option<i64> {
    match reply {
        Reply::Integer(sum) => Some(*sum),
        reply => balances(reply).map(|balances| balances.iter().sum()),
    }
}

async fn sum_of_transaction(
    client: &mut Client,
    commands: &[Words],
    pace: Pace,
) -> Result<i64, String> {
    let replies = client.execute(commands, pace).await?;
    let sum = replies.iter().map(balance).sum::<Option<i64>>();
    sum.ok_or_else(|| client.complaint(&commands[0], &replies[0]))
}

/// Within a transaction nothing changes between two looks.
async fn twice(client: &mut Client, pace: Pace) -> Result<Vec<i64>, String> {
    let commands = [words(Way::Mget), words(Way::Undeclared), words(Way::Sort)];
    let replies = client.execute(&commands, pace).await?;
    let sums = replies.iter().map(sum).collect::<Option<Vec<i64>>>();
    sums.ok_or_else(|| client.complaint(&commands[0], &replies[0]))
}

/// What was read one by one was there at once if the transaction that follows is executed.
async fn watched(client: &mut Client, pace: Pace) -> Result<Vec<i64>, String> {
    client.call(&command(&["WATCH"]).into_iter().chain(keys()).collect()).await?;
    let mut sum = 0;
    for key in keys() {
        let words = command(&["GET", &key]);
        let reply = client.call(&words).await?;
        sum += balance(&reply).ok_or_else(|| client.complaint(&words, &reply))?;
    }
    let executed = client.execute_if_unchanged(&[command(&["PING"])], pace).await?;
    Ok(executed.map(|_| sum).into_iter().collect())
}
