//! A connection that is lost now and then, and comes back once the server has noticed.

use std::sync::Arc;

use client_tests::{reply::Protocol, target::Running};

use crate::client::{Client, until_blocked, until_gone};

pub(crate) struct Reconnecting {
    server: Arc<Running>,
    name: String,
    pub(crate) client: Client,
    /// The number that the server knows the connection by.
    id: String,
    control: Client,
}

impl Reconnecting {
    pub(crate) async fn connect(
        server: &Arc<Running>,
        name: String,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let mut client = Client::connect(server, &name, protocol).await?;
        let id = client.id().await?;
        let control = Client::connect(server, format!("{name}'s control"), Protocol::Resp2).await?;
        Ok(Self { server: Arc::clone(server), name, client, id, control })
    }

    /// Hangs up, whatever the server is about to answer.
    pub(crate) async fn lose(&mut self) -> Result<(), String> {
        let protocol = self.client.protocol;
        self.client = Client::connect(&self.server, &self.name, protocol).await?;
        until_gone(&mut self.control, &self.id).await?;
        self.id = self.client.id().await?;
        Ok(())
    }

    pub(crate) async fn until_blocked(&mut self) -> Result<(), String> {
        until_blocked(&mut self.control, &self.id).await
    }
}
