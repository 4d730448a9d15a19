//! A server that runs already and is named by a URL.

use std::io;

use redis::{ConnectionAddr, IntoConnectionInfo as _};
use tokio::net::TcpStream;

use crate::wire::BoxedStream;

/// Where a server is and what it wants to hear first.
#[derive(Clone, Debug)]
pub struct Url {
    host: String,
    port: u16,
    pub password: Option<String>,
}

impl Url {
    pub fn parse(url: &str) -> Result<Self, String> {
        let information = url.into_connection_info().map_err(|error| format!("{url}: {error}"))?;
        let ConnectionAddr::Tcp(host, port) = information.addr() else {
            return Err(format!("{url}: only plain TCP is supported"));
        };
        let password = information.redis_settings().password().map(ToOwned::to_owned);
        Ok(Self { host: host.clone(), port: *port, password })
    }

    pub async fn connect(&self) -> io::Result<BoxedStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
