//! Connections without sockets: a pipe in memory with a server at its other end.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::runtime::Handle;

/// How much may be on its way in each direction.
const PIPE_SIZE: usize = 64 * 1024;

/// A connection to a server in the same process, without TCP.
///
/// It carries the same bytes as a socket would, so any client that takes an asynchronous stream
/// can use it.
#[derive(Debug)]
pub struct MemoryStream(DuplexStream);

impl MemoryStream {
    /// The client's end and the server's.
    pub(crate) fn pair() -> (MemoryStream, DuplexStream) {
        let (client, server) = tokio::io::duplex(PIPE_SIZE);
        (MemoryStream(client), server)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A [`MemoryStream`] for code that blocks. Not to be used on a thread of an async runtime.
#[derive(Debug)]
pub struct BlockingStream {
    stream: MemoryStream,
    runtime: Handle,
}

impl BlockingStream {
    pub(crate) const fn new(stream: MemoryStream, runtime: Handle) -> Self {
        BlockingStream { stream, runtime }
    }
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.read(buffer))
    }
}

impl Write for BlockingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.stream.flush())
    }
}
