//! Connections through the `redis` crate.

use redis::{
    AsyncTypedCommands as _, ErrorKind, RedisConnectionInfo, RedisResult, ServerErrorKind, cmd,
};

use super::{Clients, error_of, typed_tests};

typed_tests![
    a_ping_is_answered,
    databases_are_apart,
    an_unknown_command_is_a_response_error,
    clients_do_not_mix,
    a_password_opens_the_server => [("requirepass", "secret")],
];

async fn a_ping_is_answered(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    assert_eq!(client.ping().await?, "PONG");
    Ok(())
}

async fn databases_are_apart(clients: Clients) -> RedisResult<()> {
    let mut third = clients.connect_with(RedisConnectionInfo::default().set_db(3)).await?;
    third.set("key", "third").await?;
    let mut first = clients.connect().await?;
    assert_eq!(first.get("key").await?, None);
    assert_eq!(third.get("key").await?.as_deref(), Some("third"));
    Ok(())
}

async fn an_unknown_command_is_a_response_error(clients: Clients) -> RedisResult<()> {
    let mut client = clients.connect().await?;
    let (kind, detail) = error_of(cmd("NONSENSE").arg("a").query_async::<()>(&mut client).await);
    assert_eq!(kind, ErrorKind::Server(ServerErrorKind::ResponseError));
    assert_eq!(detail, "unknown command 'NONSENSE', with args beginning with: 'a' ");
    Ok(())
}

async fn a_password_opens_the_server(clients: Clients) -> RedisResult<()> {
    assert_eq!(clients.connect().await?.ping().await?, "PONG");
    let wrong = RedisConnectionInfo::default().set_password("wrong");
    let Err(error) = clients.connect_with(wrong).await else {
        panic!("a wrong password must be refused")
    };
    // In RESP3 the password goes with HELLO, whose error keeps its code.
    let refused =
        error.kind() == ErrorKind::AuthenticationFailed || error.code() == Some("WRONGPASS");
    assert!(refused, "{error:?}");
    Ok(())
}

async fn clients_do_not_mix(clients: Clients) -> RedisResult<()> {
    let mut tasks = Vec::new();
    for number in 0..20 {
        let mut client = clients.connect().await?;
        tasks.push(tokio::spawn(async move {
            let key = format!("key:{number}");
            client.set(&key, number).await?;
            client.get(&key).await
        }));
    }
    for (number, task) in tasks.into_iter().enumerate() {
        let value = task.await.expect("the task does not panic")?;
        assert_eq!(value, Some(number.to_string()));
    }
    Ok(())
}
