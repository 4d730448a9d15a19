//! `MONITOR`: showing every request to whoever asked for it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::clients::{Client, ClientFlags};
use crate::command::Args;
use crate::config::OutputLimit;
use crate::text::quoted;

#[derive(Debug, Default)]
pub(crate) struct Monitors {
    count: AtomicUsize,
    clients: Mutex<Vec<Arc<Client>>>,
}

/// The arguments of a request that nobody may see, by position.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Redacted(u64);

impl Redacted {
    pub(crate) const fn hide(&mut self, index: usize) {
        if index < u64::BITS as usize {
            self.0 |= 1 << index;
        }
    }

    /// The arguments as they may be shown.
    pub(crate) fn shown(self, args: Args<'_>) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        args.iter().enumerate().map(move |(index, argument)| {
            let hidden = index < u64::BITS as usize && self.0 & (1 << index) != 0;
            if hidden { &b"(redacted)"[..] } else { argument }
        })
    }
}

impl Monitors {
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn add(&self, client: &Arc<Client>) {
        if client.has(ClientFlags::MONITOR) {
            return;
        }
        client.raise(ClientFlags::MONITOR);
        let mut clients = self.clients();
        clients.push(Arc::clone(client));
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, client: &Client) {
        if !client.has(ClientFlags::MONITOR) {
            return;
        }
        client.lower(ClientFlags::MONITOR);
        let mut clients = self.clients();
        clients.retain(|other| other.id != client.id);
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    /// Shows a request to all monitors.
    pub(crate) fn feed<'a>(
        &self,
        now_us: i64,
        origin: (usize, &str),
        words: impl Iterator<Item = &'a [u8]>,
        limit: OutputLimit,
    ) {
        let mut line = String::new();
        let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
        let (database, address) = origin;
        let _ = write!(line, "+{seconds}.{micros:06} [{database} {address}]");
        for word in words {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line.push_str("\r\n");
        let line = Bytes::from(line);
        for client in self.clients().iter() {
            let _ = client.post(line.clone(), limit, now_us / 1000);
        }
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Arc<Client>>> {
        self.clients.lock().expect("nothing panics while it holds the monitors")
    }
}
