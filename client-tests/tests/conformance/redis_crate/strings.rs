//! Strings through the `redis` crate.

use redis::{
    AsyncTypedCommands as _, ErrorKind, ExistenceCheck, RedisResult, ServerErrorKind, SetExpiry,
    SetOptions, pipe,
};

use super::{Clients, error_of, typed_tests};

typed_tests![
    a_value_comes_back,
    a_missing_value_is_none,
    set_options_lock_once,
    binary_values_survive,
    counters_are_integers,
    not_an_integer_is_a_response_error,
    many_at_once,
    a_pipeline_keeps_its_order,
];

async fn a_value_comes_back(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    client.set("key", "value").await?;
    assert_eq!(client.get("key").await?.as_deref(), Some("value"));
    Ok(())
}

async fn a_missing_value_is_none(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    assert_eq!(client.get("missing").await?, None);
    Ok(())
}

async fn set_options_lock_once(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(30));
    assert_eq!(client.set_options("lock", "mine", options.clone()).await?.as_deref(), Some("OK"));
    assert_eq!(client.set_options("lock", "theirs", options).await?, None);
    assert_eq!(client.get("lock").await?.as_deref(), Some("mine"));
    Ok(())
}

async fn binary_values_survive(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    let value: Vec<u8> = (0..=255).collect();
    redis::AsyncCommands::set::<_, _, ()>(&mut client, &value, &value).await?;
    let got: Vec<u8> = redis::AsyncCommands::get(&mut client, &value).await?;
    assert_eq!(got, value);
    Ok(())
}

async fn counters_are_integers(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    assert_eq!(client.incr("count", 5).await?, 5);
    assert_eq!(client.decr("count", 7).await?, -2);
    Ok(())
}

async fn not_an_integer_is_a_response_error(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    client.set("key", "text").await?;
    let (kind, detail) = error_of(client.incr("key", 1).await);
    assert_eq!(kind, ErrorKind::Server(ServerErrorKind::ResponseError));
    assert_eq!(detail, "value is not an integer or out of range");
    Ok(())
}

async fn many_at_once(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    client.mset(&[("a", "1"), ("b", "2")]).await?;
    let values: Vec<Option<i64>> =
        redis::AsyncCommands::mget(&mut client, &["a", "missing", "b"]).await?;
    assert_eq!(values, [Some(1), None, Some(2)]);
    Ok(())
}

async fn a_pipeline_keeps_its_order(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    let mut commands = pipe();
    for number in 0..500 {
        commands.cmd("SET").arg(number).arg(number).ignore().cmd("GET").arg(number);
    }
    let values: Vec<i64> = commands.query_async(&mut client).await?;
    assert_eq!(values, (0..500).collect::<Vec<i64>>());
    Ok(())
}
