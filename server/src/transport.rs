//! Connections without sockets: a pipe in memory with a server at its other end.
//!
//! What a client writes is executed there and then, on the client's thread. Waking the server's
//! task instead, and being woken by it, would take many times as long as the request itself. The
//! task is there for what happens without the client: messages, waits, the end of the server.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::runtime::Handle;

/// How much may be on its way in each direction.
const PIPE_SIZE: usize = 64 * 1024;

/// A connection to a server in the same process, without TCP.
///
/// It carries the same bytes as a socket would, so any client that takes an asynchronous stream
/// can use it.
pub struct MemoryStream {
    pipe: DuplexStream,
    served: Arc<Served>,
    runtime: Handle,
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStream").finish_non_exhaustive()
    }
}

/// The client's end of a pipe and the server's.
pub(crate) fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(PIPE_SIZE)
}

impl MemoryStream {
    /// The client's end, whose other end is served by this future on this runtime.
    pub(crate) fn new(
        pipe: DuplexStream,
        serving: impl Future<Output = ()> + Send + 'static,
        runtime: Handle,
    ) -> Self {
        let served = Arc::new(Served::new(serving));
        runtime.spawn(Task(Arc::clone(&served)).run());
        MemoryStream { pipe, served, runtime }
    }

    /// Reads or writes, and has the server act on it before the client goes on.
    fn attend<T>(&mut self, act: impl FnOnce(Pin<&mut DuplexStream>) -> T) -> T {
        self.served.attended.store(true, Ordering::SeqCst);
        let result = act(Pin::new(&mut self.pipe));
        let mut ended = false;
        // If the connection ended while this thread unwinds, it would look as if a command did.
        if self.served.woken.load(Ordering::SeqCst) && !std::thread::panicking() {
            let _inside = self.runtime.enter();
            ended = self.served.poll().is_ready();
        }
        self.served.attended.store(false, Ordering::SeqCst);
        if ended || self.served.woken.load(Ordering::SeqCst) {
            self.served.wake_task();
        }
        result
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.attend(|pipe| pipe.poll_read(context, buffer))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.attend(|pipe| pipe.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

/// What serves the other end of a pipe. Its task polls it, and so does the client when it has
/// given it something to do.
///
/// It is woken by way of `woken`. While the client is at the pipe, that is all: the client polls
/// next, and wakes the task for what is left then. Otherwise the task is woken at once.
struct Served {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
    attended: AtomicBool,
    /// Known since the task polled for the first time. Nobody is woken before.
    task: OnceLock<Waker>,
}

impl Served {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Served {
            future: Mutex::new(Some(Box::pin(future))),
            woken: AtomicBool::new(false),
            attended: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    /// Polls, unless somebody else does so now: then they see to it that it is polled again.
    fn poll(self: &Arc<Self>) -> Poll<()> {
        let Ok(mut future) = self.future.try_lock() else {
            return Poll::Pending;
        };
        self.woken.store(false, Ordering::SeqCst);
        let Some(serving) = &mut *future else {
            return Poll::Ready(());
        };
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        // A panic ends this server, as it does in any task, but not its client.
        let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(&mut context)));
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        *future = None;
        Poll::Ready(())
    }

    fn wake_task(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

impl Wake for Served {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.attended.load(Ordering::SeqCst) {
            self.wake_task();
        }
    }
}

/// What runs on the server's runtime. When that ends, so does the connection.
struct Task(Arc<Served>);

impl Task {
    async fn run(self) {
        poll_fn(|context| {
            self.0.task.get_or_init(|| context.waker().clone());
            self.0.poll()
        })
        .await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        *self.0.future.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    async fn echo(mut pipe: DuplexStream) {
        let mut bytes = [0; 16];
        while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
            assert!(bytes[0] != b'!', "it was asked to panic");
            let _ = pipe.write_all(&bytes[..count]).await;
        }
    }

    /// A connection to an echo that has come to wait for the first byte.
    async fn connect() -> MemoryStream {
        let (client, server) = pipe();
        let mut stream = MemoryStream::new(client, echo(server), Handle::current());
        stream.write_all(b"first").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn what_is_written_is_answered_before_the_client_goes_on() {
        let mut stream = connect().await;
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; 16];
        let mut reply = ReadBuf::new(&mut bytes);
        let written = Pin::new(&mut stream).poll_write(&mut context, b"again");
        assert!(matches!(written, Poll::Ready(Ok(5))));
        assert!(Pin::new(&mut stream).poll_read(&mut context, &mut reply).is_ready());
        assert_eq!(reply.filled(), b"again");
    }

    #[tokio::test]
    async fn a_panic_while_the_client_writes_ends_the_connection_and_not_the_client() {
        let mut stream = connect().await;
        stream.write_all(b"!").await.unwrap();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
        assert!(stream.write_all(b"more").await.is_err());
    }

    #[test]
    fn the_end_of_the_servers_runtime_is_the_end_of_the_connection() {
        let build = || Builder::new_current_thread().build().unwrap();
        let runtime = build();
        let mut stream = runtime.block_on(connect());
        drop(runtime);
        build().block_on(async {
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
            assert!(stream.write_all(b"more").await.is_err());
        });
        assert!(stream.served.future.lock().unwrap().is_none(), "nothing of the server is kept");
    }
}
