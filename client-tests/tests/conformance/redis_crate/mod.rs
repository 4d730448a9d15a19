//! The second level: what programs see that use the `redis` crate, with its types and its errors.
//!
//! A test is an async function over `Clients` and its name in the `typed_tests!` list of its family's file.

mod connection;
mod keys;
mod strings;

use std::{future::Future, pin::Pin, sync::Arc};

use client_tests::{reply::Protocol, target::Running};
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError,
    RedisResult, aio::MultiplexedConnection,
};

use crate::panics;

pub(crate) const FAMILY: &str = "redis crate";

type TestResult = Pin<Box<dyn Future<Output = RedisResult<()>> + Send>>;

/// A test and its name.
pub(crate) struct TypedTest {
    pub(crate) name: &'static str,
    /// The parameters of the server it needs for itself, if it needs one.
    pub(crate) parameters: Option<&'static [(&'static str, &'static str)]>,
    run: fn(Clients) -> TestResult,
}

/// Lists the tests of a file; `name => [("requirepass", "secret")]` has a server of its own with these parameters.
macro_rules! typed_tests {
    ($($name:ident $(=> [$($parameter:expr),*])?),* $(,)?) => {
        pub(super) const TESTS: &[super::TypedTest] = &[$(super::TypedTest {
            name: stringify!($name),
            parameters: super::typed_tests!(@parameters $([$($parameter),*])?),
            run: |clients| Box::pin($name(clients)),
        }),*];
    };
    (@parameters) => { None };
    (@parameters [$($parameter:expr),*]) => { Some(&[$($parameter),*]) };
}
use typed_tests;

pub(crate) fn tests() -> impl Iterator<Item = &'static TypedTest> {
    [connection::TESTS, keys::TESTS, strings::TESTS].into_iter().flatten()
}

impl TypedTest {
    /// An assertion that fails is a panic of the test's own task.
    pub(crate) async fn play(&self, clients: Clients) -> Result<(), String> {
        let task = tokio::spawn((self.run)(clients));
        let id = task.id();
        match task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(panics::of_task(id).unwrap_or_else(|| "a panic".to_owned())),
        }
    }
}

/// Connects the `redis` crate to the server under test, as often as a test likes.
pub(crate) struct Clients {
    running: Arc<Running>,
    protocol: Protocol,
}

impl Clients {
    pub(crate) fn new(running: Arc<Running>, protocol: Protocol) -> Self {
        Self { running, protocol }
    }

    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.connect_with(RedisConnectionInfo::default()).await
    }

    /// Connects with a database or password of the test's choice; without a password, the server's is given.
    pub(crate) async fn connect_with(
        &self,
        settings: RedisConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        let mut settings = settings.set_protocol(match self.protocol {
            Protocol::Resp2 => ProtocolVersion::RESP2,
            Protocol::Resp3 => ProtocolVersion::RESP3,
        });
        if let Some(password) = self.running.password().filter(|_| settings.password().is_none()) {
            settings = settings.set_password(password);
        }
        let stream = self.running.connect().await.map_err(RedisError::from)?;
        let config = AsyncConnectionConfig::new();
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&settings, stream, config).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// The kind and text of the error that a call must give.
fn error_of<Value: std::fmt::Debug>(result: RedisResult<Value>) -> (ErrorKind, String) {
    let error = result.expect_err("this call must fail");
    (error.kind(), error.detail().unwrap_or_default().to_owned())
}
