//! Clients that wait for lists: driven by the server's clock, in order, and gone without a trace.

use std::time::Duration;

use redlet::{Clock, MemoryStream, Server};

use crate::support::{Wire, encode, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

async fn server(shards: usize) -> Server {
    let builder = Server::builder().no_socket().clock(Clock::manual()).shards(shards);
    builder.parameter("maxclients", "2000").start().await.expect("a server starts")
}

/// A client whose request waits. The server has it, since the client's own thread executes it.
async fn waiting(server: &Server, request: &str) -> Wire<MemoryStream> {
    let mut client = Wire::memory(server);
    client.send(&encode(&request.split(' ').collect::<Vec<_>>())).await;
    client
}

async fn figure(client: &mut Wire<MemoryStream>, name: &str) -> String {
    let info = client.call("INFO clients").await;
    let value = info.split(&format!("{name}:")).nth(1).expect("INFO has the figure");
    value.split('\\').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn time_is_over_when_the_servers_clock_says_so() {
    let server = server(4).await;
    let mut short = waiting(&server, "BLPOP list 1.5").await;
    let mut long = waiting(&server, "BLMOVE list other LEFT LEFT 3600").await;
    let mut client = Wire::memory(&server);
    eventually("both wait", async || figure(&mut client, "blocked_clients").await == "2").await;
    server.clock().advance(Duration::from_millis(1499));
    assert_eq!(client.call("PING").await, "PONG");
    assert_eq!(figure(&mut client, "blocked_clients").await, "2");
    server.clock().advance(Duration::from_millis(1));
    assert_eq!(short.reply().await, "(nil)");
    server.clock().advance(3600 * SECOND);
    assert_eq!(long.reply().await, "(nil)");
    assert_eq!(client.call("RPUSH list element").await, "1");
    assert_eq!(client.call("LLEN list").await, "1");
}

#[tokio::test]
async fn waiting_for_replicas_can_be_ended_by_others() {
    let server = server(1).await;
    let mut client = Wire::memory(&server);
    let mut waiter = Wire::memory(&server);
    let id = waiter.call("CLIENT ID").await;
    waiter.send(&encode(&["WAIT", "1", "0"])).await;
    eventually("it waits", async || figure(&mut client, "blocked_clients").await == "1").await;
    assert_eq!(client.call(&format!("CLIENT UNBLOCK {id}")).await, "1");
    assert_eq!(waiter.reply().await, "0");
}

#[tokio::test]
async fn a_thousand_who_wait_for_a_key_are_served_in_the_order_that_they_came() {
    let server = server(4).await;
    let mut client = Wire::memory(&server);
    let mut waiters = Vec::new();
    for number in 0..1000 {
        let request = match number % 3 {
            0 => "BRPOP list 0",
            1 => "BLPOP nothing list 10",
            _ => "BLMPOP 10 2 list none LEFT",
        };
        waiters.push(waiting(&server, request).await);
    }
    eventually("all wait", async || figure(&mut client, "blocked_clients").await == "1000").await;
    assert_eq!(figure(&mut client, "total_blocking_keys").await, "3");
    for number in 0..1000 {
        assert_eq!(client.call(&format!("RPUSH list {number}")).await, "1");
    }
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let reply = waiter.reply().await;
        let element = number.to_string();
        assert!(reply.trim_end_matches(']').ends_with(&element), "{number} has got {reply}");
    }
    assert_eq!(client.call("EXISTS list").await, "0");
    assert_eq!(figure(&mut client, "total_blocking_keys").await, "0");
}

#[tokio::test]
async fn a_chain_through_many_keys_ends_at_its_end() {
    const LINKS: usize = 300;
    let server = server(16).await;
    let mut client = Wire::memory(&server);
    let mut links = Vec::new();
    for number in 0..LINKS {
        let request = format!("BLMOVE key:{number} key:{} LEFT RIGHT 0", number + 1);
        links.push(waiting(&server, &request).await);
    }
    let all = LINKS.to_string();
    eventually("all wait", async || figure(&mut client, "blocked_clients").await == all).await;
    assert_eq!(client.call("LPUSH key:0 element").await, "1");
    for link in &mut links {
        assert_eq!(link.reply().await, "element");
    }
    assert_eq!(client.call("DBSIZE").await, "1");
    assert_eq!(client.call(&format!("LRANGE key:{LINKS} 0 -1")).await, "[element]");
}

#[tokio::test]
async fn whoever_leaves_while_waiting_leaves_nothing_behind() {
    let server = server(4).await;
    let mut client = Wire::memory(&server);
    for number in 0..50 {
        let request = format!("BLPOP shared own:{number} other:{number} 100");
        drop(waiting(&server, &request).await);
    }
    eventually("none waits", async || figure(&mut client, "blocked_clients").await == "0").await;
    assert_eq!(figure(&mut client, "total_blocking_keys").await, "0");
    assert_eq!(figure(&mut client, "clients_in_timeout_table").await, "0");
    assert_eq!(client.call("RPUSH shared element").await, "1");
    assert_eq!(client.call("LLEN shared").await, "1");
}

#[tokio::test]
async fn a_direct_call_never_waits() {
    let server = server(1).await;
    let mut direct = server.direct();
    assert_eq!(direct.call(&["BLPOP", "list", "0"]).unwrap(), redlet::Value::Null);
    assert_eq!(direct.call(&["WAIT", "1", "0"]).unwrap(), 0.into());
    let mut waiter = waiting(&server, "BRPOP list 0").await;
    direct.call(&["LPUSH", "list", "a", "b"]).unwrap();
    assert_eq!(waiter.reply().await, "[list, a]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_element_goes_to_exactly_one_while_time_runs_out_for_others() {
    const ELEMENTS: usize = 2000;
    let builder = Server::builder().no_socket().shards(8);
    let server = builder.start().await.expect("a server starts");
    let mut workers = Vec::new();
    for worker in 0..4 {
        let mut client = Wire::memory(&server);
        workers.push(tokio::spawn(async move {
            let request =
                ["BLPOP a b c 0.002", "BRPOP c b 0.001", "BLPOP b a 0.003", "BRPOP c a 0.001"];
            let mut taken = Vec::new();
            loop {
                let reply = client.call(request[worker]).await;
                match reply.trim_matches(['[', ']']).split_once(", ") {
                    Some((_, "end")) => return taken,
                    Some((_, element)) => taken.push(element.parse::<usize>().expect("a number")),
                    None => {}
                }
            }
        }));
    }
    let mut pusher = Wire::memory(&server);
    for number in 0..ELEMENTS {
        let key = ["a", "b", "c"][number % 3];
        pusher.call(&format!("RPUSH {key} {number}")).await;
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    eventually("all is taken", async || pusher.call("EXISTS a b c").await == "0").await;
    let mut taken = Vec::new();
    for worker in workers {
        while !worker.is_finished() {
            pusher.call("RPUSH a end").await;
            pusher.call("RPUSH c end").await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        taken.extend(within(worker).await.expect("no worker panics"));
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..ELEMENTS).collect::<Vec<_>>());
}
