//! Transactions while others do the same: all of one or nothing, and never anything in between.

use redlet::{MemoryStream, Server};
use tokio::io::AsyncWriteExt;

use crate::support::{Dice, Wire, encode, eventually, within};

const ACCOUNTS: usize = 20;
const TOTAL: i64 = 1000 * ACCOUNTS as i64;

async fn server(shards: usize) -> Server {
    Server::builder().no_socket().shards(shards).start().await.expect("a server starts")
}

fn account(number: usize) -> String {
    format!("account:{number}")
}

async fn open_accounts(client: &mut Wire<MemoryStream>) {
    for number in 0..ACCOUNTS {
        assert_eq!(client.call(&format!("SET {} 1000", account(number))).await, "OK");
    }
}

/// Moves money by commands that know nothing of each other's results.
async fn transfer_blindly(client: &mut Wire<MemoryStream>, dice: &mut Dice) {
    let (from, to) = (account(dice.below(ACCOUNTS)), account(dice.below(ACCOUNTS)));
    let amount = dice.below(50).to_string();
    let requests = [
        encode(&["MULTI"]),
        encode(&["DECRBY", &from, &amount]),
        encode(&["INCRBY", &to, &amount]),
        encode(&["EXEC"]),
    ];
    client.send(&requests.concat()).await;
    for expected in ["OK", "QUEUED", "QUEUED"] {
        assert_eq!(client.reply().await, expected);
    }
    assert!(client.reply().await.starts_with('['));
}

/// Moves money after a look at what there is; whether nobody came in between.
async fn transfer_watching(client: &mut Wire<MemoryStream>, dice: &mut Dice) -> bool {
    let (from, to) = (account(dice.below(ACCOUNTS)), account(dice.below(ACCOUNTS)));
    if from == to {
        return true;
    }
    assert_eq!(client.call(&format!("WATCH {from} {to}")).await, "OK");
    let read = |reply: String| reply.parse::<i64>().expect("an amount");
    let there = read(client.call(&format!("GET {from}")).await);
    let here = read(client.call(&format!("GET {to}")).await);
    let amount = dice.below(50) as i64;
    assert_eq!(client.call("MULTI").await, "OK");
    client.call(&format!("SET {from} {}", there - amount)).await;
    client.call(&format!("SET {to} {}", here + amount)).await;
    client.call("EXEC").await != "(nil)"
}

/// What all accounts hold, by one command or by many in a transaction.
async fn sum(client: &mut Wire<MemoryStream>, by_one: bool) -> i64 {
    let accounts: Vec<String> = (0..ACCOUNTS).map(account).collect();
    let reply = if by_one {
        client.call(&format!("MGET {}", accounts.join(" "))).await
    } else {
        client.call("MULTI").await;
        for account in &accounts {
            client.call(&format!("GET {account}")).await;
        }
        client.call("EXEC").await
    };
    let amounts = reply.trim_matches(['[', ']']).split(", ");
    amounts.map(|amount| amount.parse::<i64>().expect("an amount")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_of_all_accounts_never_wavers() {
    const ROUNDS: usize = 400;
    for shards in [1, 8] {
        let server = server(shards).await;
        open_accounts(&mut Wire::memory(&server)).await;
        let mut tasks = Vec::new();
        for worker in 0..6 {
            let mut client = Wire::memory(&server);
            let mut dice = Dice::new(worker);
            tasks.push(tokio::spawn(async move {
                let mut done = 0;
                for round in 0..ROUNDS {
                    match worker {
                        0 | 1 => transfer_blindly(&mut client, &mut dice).await,
                        2 | 3 => {
                            done += usize::from(transfer_watching(&mut client, &mut dice).await);
                        }
                        _ => assert_eq!(sum(&mut client, round % 2 == 0).await, TOTAL),
                    }
                }
                assert!(worker / 2 != 1 || done > 0, "no transaction that watched was executed");
            }));
        }
        for task in tasks {
            within(task).await.expect("the sum is always the same");
        }
        assert_eq!(sum(&mut Wire::memory(&server), true).await, TOTAL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_watch_what_the_other_writes_only_one_succeeds() {
    const ROUNDS: usize = 300;
    let server = server(8).await;
    let mut client = Wire::memory(&server);
    for round in 0..ROUNDS {
        client.call("MSET left 0 right 0").await;
        let (mut clients, mut tasks) = (Vec::new(), Vec::new());
        for (watched, written) in [("left", "right"), ("right", "left")] {
            let mut client = Wire::memory(&server);
            assert_eq!(client.call(&format!("WATCH {watched}")).await, "OK");
            assert_eq!(client.call("MULTI").await, "OK");
            assert_eq!(client.call(&format!("SET {written} 1")).await, "QUEUED");
            clients.push(client);
        }
        for mut client in clients {
            tasks.push(tokio::spawn(async move { client.call("EXEC").await }));
        }
        let mut executed = 0;
        for task in tasks {
            let reply = within(task).await.expect("nobody panics");
            executed += usize::from(reply == "[OK]");
        }
        assert_eq!(executed, 1, "in round {round}");
    }
}

#[tokio::test]
async fn whoever_leaves_watches_nothing_any_more() {
    let server = server(4).await;
    let mut client = Wire::memory(&server);
    let mut watcher = Wire::memory(&server);
    watcher.call("WATCH a b c").await;
    let info = client.call("INFO clients").await;
    assert!(info.contains("watching_clients:1\\r\\n"), "{info}");
    assert!(info.contains("total_watched_keys:3\\r\\n"), "{info}");
    drop(watcher);
    eventually("nobody watches", async || {
        client.call("INFO clients").await.contains("total_watched_keys:0\\r\\n")
    })
    .await;
}

#[tokio::test]
async fn a_queue_counts_as_what_a_client_has_not_had_executed() {
    let server = Server::builder().no_socket().parameter("client-query-buffer-limit", "1mb");
    let server = server.start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("MULTI").await, "OK");
    let value = "x".repeat(100_000);
    let mut queued = 0;
    let request = encode(&["SET", "key", &value]);
    while client.stream.write_all(&request).await.is_ok() && client.reply().await == "QUEUED" {
        queued += 1;
        assert!(queued < 20, "it is never enough");
    }
    assert!(queued >= 9, "{queued} is too few");
    assert_eq!(Wire::memory(&server).call("EXISTS key").await, "0");
}
