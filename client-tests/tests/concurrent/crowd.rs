//! Very many subscriptions: of one connection, and of very many connections. Messages reach the right ones, and soon.

use std::time::{Duration, Instant};

use client_tests::{
    random::Random,
    reply::{Protocol, Reply},
    target::Running,
};
use tokio::time::sleep;

use crate::client::{Client, PATIENCE, Words, command, random_protocol, texts};

const SUBSCRIPTIONS: usize = 10_000;
/// Names of one command.
const BATCH: usize = 500;
const CONNECTIONS: usize = 300;
const MESSAGES: usize = 20;
/// Far more than it takes, and far less than if each subscription cost a round trip.
const SOON: Duration = Duration::from_secs(1);

pub(crate) async fn play(server: &Running, random: &mut Random) -> Result<usize, String> {
    let mut delivered = 0;
    delivered += many_of_one(server, random, "SUBSCRIBE", "").await?;
    delivered += many_of_one(server, random, "PSUBSCRIBE", ":*").await?;
    delivered += many_connections(server, random).await?;
    Ok(delivered)
}

/// One connection with very many subscriptions, whose names end in `suffix`.
async fn many_of_one(
    server: &Running,
    random: &mut Random,
    verb: &str,
    suffix: &str,
) -> Result<usize, String> {
    let name = format!("one with {SUBSCRIPTIONS} subscriptions by {verb}");
    let mut subscriber = Client::connect(server, name, random_protocol(random)).await?;
    let mut publisher = Client::connect(server, "publisher", Protocol::Resp2).await?;
    let names: Vec<String> =
        (0..SUBSCRIPTIONS).map(|number| format!("crowd:{number}{suffix}")).collect();
    subscribe(&mut subscriber, verb, &names).await?;
    for number in 0..MESSAGES {
        let name = random.pick(&names);
        let channel = name.replace('*', "something");
        let payload = format!("message {number}");
        publish(&mut publisher, &channel, &payload, 1).await?;
        expect_message(&mut subscriber, &[name, &channel, &payload]).await?;
        publish(&mut publisher, &format!("uncrowded:{number}"), &payload, 0).await?;
    }
    Ok(MESSAGES)
}

async fn subscribe(client: &mut Client, verb: &str, names: &[String]) -> Result<(), String> {
    let mut confirmed = 0;
    for batch in names.chunks(BATCH) {
        let words: Words = [&[verb.to_owned()], batch].concat();
        client.send(std::slice::from_ref(&words)).await?;
        for name in batch {
            confirmed += 1;
            let reply = client.reply(&words).await?;
            let expected = [verb.to_lowercase(), name.clone(), confirmed.to_string()];
            if texts(&reply).is_none_or(|got| got != expected) {
                return Err(client.complaint(&words, reply));
            }
        }
    }
    Ok(())
}

/// One channel with very many subscribers, half of whom then leave.
async fn many_connections(server: &Running, random: &mut Random) -> Result<usize, String> {
    let mut crowd = Vec::new();
    for number in 0..CONNECTIONS {
        let name = format!("subscriber {number} of {CONNECTIONS}");
        let mut client = Client::connect(server, name, random_protocol(random)).await?;
        subscribe(&mut client, "SUBSCRIBE", &command(&["square"])).await?;
        crowd.push(client);
    }
    let mut publisher = Client::connect(server, "publisher", Protocol::Resp2).await?;
    let mut delivered = 0;
    for _ in 0..2 {
        for number in 0..MESSAGES {
            publish(&mut publisher, "square", &format!("message {number}"), crowd.len()).await?;
        }
        for client in &mut crowd {
            for number in 0..MESSAGES {
                expect_message(client, &["square", "square", &format!("message {number}")]).await?;
                delivered += 1;
            }
        }
        random.shuffle(&mut crowd);
        crowd.truncate(CONNECTIONS / 2);
        until_subscribers(&mut publisher, crowd.len()).await?;
    }
    Ok(delivered)
}

async fn publish(
    publisher: &mut Client,
    channel: &str,
    payload: &str,
    receivers: usize,
) -> Result<(), String> {
    let words = command(&["PUBLISH", channel, payload]);
    let started = Instant::now();
    let reply = publisher.call(&words).await?;
    if reply != Reply::Integer(receivers as i64) {
        let what = publisher.complaint(&words, reply);
        return Err(format!("{what}\n    and there are {receivers} who should get it"));
    }
    if started.elapsed() > SOON {
        let seconds = started.elapsed().as_secs_f64();
        return Err(publisher.complaint(&words, format!("{reply} after {seconds:.1} s")));
    }
    Ok(())
}

/// The next thing that comes is the message to this subscription; a channel's subscription is named as the channel is.
async fn expect_message(
    client: &mut Client,
    [name, channel, payload]: &[&str; 3],
) -> Result<(), String> {
    let expected = if name == channel {
        vec!["message", channel, payload]
    } else {
        vec!["pmessage", name, channel, payload]
    };
    match client.next(SOON).await {
        Ok(reply) if texts(&reply).is_some_and(|got| got == expected) => Ok(()),
        Ok(reply) => Err(format!("  {} got {reply} instead of {expected:?}", client.name)),
        Err(none) => Err(format!("  {}: {none} instead of {expected:?}", client.name)),
    }
}

/// Waits until the server has noticed who left.
async fn until_subscribers(publisher: &mut Client, number: usize) -> Result<(), String> {
    let words = command(&["PUBSUB", "NUMSUB", "square"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = publisher.call(&words).await?;
        if texts(&reply).is_some_and(|got| got == ["square", &number.to_string()]) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = publisher.complaint(&words, reply);
            return Err(format!("{what}\n    and {number} are left"));
        }
        sleep(Duration::from_millis(1)).await;
    }
}
