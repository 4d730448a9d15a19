//! Connections that move money between the same accounts, each with a ledger: the balances are what the ledgers say, and none has
//! a movement too few.

use client_tests::{
    command,
    program::caller::{Caller, Command},
    random::Random,
    reply::Reply,
    wire::NoReply,
};

use crate::{
    bounds::{End, Log, Loss},
    entries::text,
};

const ACCOUNTS: usize = 6;
const MOST_MOVED: usize = 100;

const SCRIPT: &str = "
    redis.call('DECRBY', KEYS[1], ARGV[1])
    redis.call('INCRBY', KEYS[2], ARGV[1])
    return redis.call('SET', KEYS[3], ARGV[2])";

/// One who moves money. What its movement of a number is, follows from the number.
#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) name: String,
    seed: u64,
}

struct Movement {
    from: usize,
    to: usize,
    amount: i64,
    by_script: bool,
}

/// All who move money, and what is certain about it.
pub(crate) struct Bank {
    pub(crate) tellers: Vec<Teller>,
    balances: [i64; ACCOUNTS],
    /// The last number in each teller's ledger.
    ledgers: Vec<u64>,
}

impl Teller {
    fn movement(&self, number: u64) -> Movement {
        let mut random = Random::new(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let from = random.below(ACCOUNTS);
        Movement {
            from,
            to: (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS,
            amount: 1 + random.below(MOST_MOVED) as i64,
            by_script: random.once_in(2),
        }
    }

    fn commands(&self, number: u64) -> Vec<Command> {
        let Movement { from, to, amount, by_script } = self.movement(number);
        let (from, to) = (account(from), account(to));
        let (amount, number) = (amount.to_string(), number.to_string());
        if by_script {
            return vec![command!["EVAL", SCRIPT, "3", from, to, self.name, amount, number]];
        }
        vec![
            command!["MULTI"],
            command!["DECRBY", from, amount],
            command!["INCRBY", to, amount],
            command!["SET", self.name, number],
            command!["EXEC"],
        ]
    }

    /// Moves money until the server is gone.
    pub(crate) async fn play(self, mut caller: Caller, last: u64) -> Result<Log, String> {
        let mut log = Log::after(last);
        loop {
            log.sent += 1;
            let commands = self.commands(log.sent);
            if caller.send(&commands).await.is_err() {
                return Ok(log);
            }
            for command in &commands {
                match caller.reply().await {
                    Ok(reply) if reply.is_error() || reply.is_null() => {
                        return Err(caller.complaint(command, reply));
                    }
                    Ok(_) => {}
                    Err(NoReply::Closed) => return Ok(log),
                    Err(other) => return Err(caller.complaint(command, other)),
                }
            }
            log.know(log.sent);
        }
    }
}

impl Bank {
    pub(crate) fn new(tellers: usize, random: &mut Random) -> Self {
        let teller = |number| Teller { name: format!("teller-{number}"), seed: random.number() };
        Self {
            tellers: (0..tellers).map(teller).collect(),
            balances: [0; ACCOUNTS],
            ledgers: vec![0; tellers],
        }
    }

    /// Where a teller's next movement follows.
    pub(crate) fn last(&self, teller: usize) -> u64 {
        self.ledgers[teller]
    }

    /// What the tellers would know of a life in which they did nothing.
    pub(crate) fn idle(&self) -> Vec<Log> {
        self.ledgers.iter().map(|last| Log::after(*last)).collect()
    }

    pub(crate) async fn check(
        &mut self,
        caller: &mut Caller,
        logs: &[Log],
        end: &End,
    ) -> Result<Loss, String> {
        caller.demand_words(&["SELECT", "0"]).await?;
        let mut total = Loss::default();
        let mut ledgers = Vec::new();
        for (teller, (log, before)) in self.tellers.iter().zip(logs.iter().zip(&self.ledgers)) {
            let found = number(caller, &teller.name).await? as u64;
            let certain = log.certain(end).unwrap_or(*before);
            if found < certain || found > log.sent {
                return Err(format!(
                    "{}: its ledger says {found}, certain is {certain}, sent were {}",
                    teller.name, log.sent
                ));
            }
            total.add(log.loss(found, end));
            ledgers.push(found);
        }
        self.check_balances(caller, &ledgers).await?;
        self.ledgers = ledgers;
        Ok(total)
    }

    async fn check_balances(&mut self, caller: &mut Caller, ledgers: &[u64]) -> Result<(), String> {
        let mut expected = self.balances;
        for ((teller, before), found) in self.tellers.iter().zip(&self.ledgers).zip(ledgers) {
            for Movement { from, to, amount, .. } in
                (before + 1..=*found).map(|number| teller.movement(number))
            {
                expected[from] -= amount;
                expected[to] += amount;
            }
        }
        let mut balances = [0; ACCOUNTS];
        for (at, balance) in balances.iter_mut().enumerate() {
            *balance = number(caller, &account(at)).await?;
        }
        if balances != expected {
            return Err(format!(
                "the accounts have {balances:?}, and the ledgers ({ledgers:?} after {:?}) say {expected:?}",
                self.ledgers
            ));
        }
        self.balances = balances;
        Ok(())
    }
}

fn account(number: usize) -> String {
    format!("account-{number}")
}

/// The number under a key, or 0.
async fn number(caller: &mut Caller, key: &str) -> Result<i64, String> {
    let command = command!["GET", key];
    match caller.demand(&command).await? {
        null if null.is_null() => Ok(0),
        Reply::Bulk(digits) => {
            text(&Reply::Bulk(digits)).parse().map_err(|_| format!("{key} holds no number"))
        }
        other => Err(caller.complaint(&command, other)),
    }
}
