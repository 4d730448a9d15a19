//! Keys through the `redis` crate.

use redis::{AsyncTypedCommands as _, IntegerReplyOrNoOp, RedisResult, ValueType};

use super::{Clients, typed_tests};

typed_tests![keys_are_deleted_and_counted, times_to_live_have_names, types_have_names];

async fn keys_are_deleted_and_counted(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    client.mset(&[("a", "1"), ("b", "2")]).await?;
    assert_eq!(client.del(&["a", "b", "missing"]).await?, 2);
    assert!(!client.exists("a").await?);
    Ok(())
}

async fn times_to_live_have_names(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    assert_eq!(client.ttl("key").await?, IntegerReplyOrNoOp::NotExists);
    client.set("key", "value").await?;
    assert_eq!(client.ttl("key").await?, IntegerReplyOrNoOp::ExistsButNotRelevant);
    assert!(client.expire("key", 30).await?);
    assert_eq!(client.ttl("key").await?, IntegerReplyOrNoOp::IntegerReply(30));
    Ok(())
}

async fn types_have_names(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    client.set("key", "value").await?;
    assert_eq!(client.key_type("key").await?, ValueType::String);
    Ok(())
}
