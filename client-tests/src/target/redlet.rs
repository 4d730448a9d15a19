//! redlet inside this process: the only place that uses its library.

use std::io;

use tokio::net::TcpStream;

use super::{Parameter, directory::Directory};
use crate::wire::BoxedStream;

/// How clients reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Memory,
}

/// A redlet that stops when it is dropped, and then loses its files.
pub struct Redlet {
    server: redlet::Server,
    transport: Transport,
    _directory: Directory,
}

impl Redlet {
    pub async fn start(transport: Transport, parameters: &[Parameter]) -> Result<Self, String> {
        let directory = Directory::new()?;
        let mut builder = redlet::Server::builder()
            .parameter("maxclients", "10000")
            .parameter("save", "")
            .parameter("dir", &directory.path().to_string_lossy());
        for (name, value) in parameters {
            builder = builder.parameter(name, value);
        }
        let server =
            builder.start().await.map_err(|error| format!("redlet does not start: {error}"))?;
        Ok(Self { server, transport, _directory: directory })
    }

    pub async fn connect(&self) -> io::Result<BoxedStream> {
        if self.transport == Transport::Memory {
            return Ok(Box::new(self.server.connect()));
        }
        let address =
            self.server.address().ok_or_else(|| io::Error::other("redlet has no port"))?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
