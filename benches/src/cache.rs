//! A server that is used as a cache: keys are read, and a key that is not there is written.

use std::ops::Range;

use crate::Result;
use crate::client::{Client, encoded};
use crate::filling::fill;
use crate::rows::{KEY, VALUE};
use crate::servers::{Contender, Server, line_after};
use crate::template::Template;

/// About what a key takes, by which a limit is corrected.
const BYTES_PER_KEY: i64 = 100;

/// How a server makes room, and when.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) policy: &'static str,
    pub(crate) samples: u32,
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// As much memory as the server needs to hold so many keys.
    Keys(u64),
    /// So many bytes more than the server needs when it is empty.
    Bytes(u64),
}

/// A server with a limit, and what its readers have found so far.
pub(crate) struct Cache {
    /// It ends with the cache.
    _server: Server,
    client: Client,
    limit: Limit,
    limit_bytes: u64,
    read: Template,
    write: Template,
    requests: Vec<u8>,
    reads: u64,
    hits: u64,
}

impl Cache {
    /// Starts a server that holds these keys, or as many of them as it may.
    pub(crate) fn start(
        contender: &Contender,
        settings: Settings,
        keys: Range<u64>,
    ) -> Result<Self> {
        let server = Server::start(contender)?;
        let mut client = server.connect()?;
        let samples = settings.samples.to_string();
        client.call(&["CONFIG", "SET", "maxmemory-policy", settings.policy])?;
        client.call(&["CONFIG", "SET", "maxmemory-samples", &samples])?;
        let empty = used_bytes(&mut client)?;
        fill(&mut client, keys, &[VALUE])?;
        let limit_bytes = match settings.limit {
            Limit::Keys(_) => used_bytes(&mut client)?,
            Limit::Bytes(bytes) => empty + bytes,
        };
        let mut cache = Cache {
            _server: server,
            client,
            limit: settings.limit,
            limit_bytes,
            read: Template::new(encoded(&["GET", KEY])),
            write: Template::new(encoded(&["SET", KEY, VALUE])),
            requests: Vec::new(),
            reads: 0,
            hits: 0,
        };
        cache.set_limit()?;
        Ok(cache)
    }

    /// Moves a limit that is meant for so many keys, since the buffers of clients and what a server keeps in reserve
    /// count as well.
    pub(crate) fn correct_limit(&mut self) -> Result<()> {
        let Limit::Keys(wanted) = self.limit else { return Ok(()) };
        let missing = wanted as i64 - self.keys()? as i64;
        self.limit_bytes = self.limit_bytes.saturating_add_signed(missing * BYTES_PER_KEY);
        self.set_limit()
    }

    /// Reads these keys in one pipeline, and writes those that are not there in another.
    pub(crate) fn use_keys(&mut self, numbers: &[u64]) -> Result<()> {
        self.send(numbers, |cache| &cache.read)?;
        let mut missing = Vec::new();
        for &number in numbers {
            if self.client.next_is_nil()? {
                missing.push(number);
            }
        }
        self.reads += numbers.len() as u64;
        self.hits += (numbers.len() - missing.len()) as u64;
        self.send(&missing, |cache| &cache.write)?;
        self.client.await_replies(missing.len())
    }

    /// Forgets what was found while the cache was filling.
    pub(crate) fn begin_anew(&mut self) {
        self.reads = 0;
        self.hits = 0;
    }

    /// How many of 100 reads found their key.
    pub(crate) fn hits_of_100(&self) -> f64 {
        self.hits as f64 / self.reads as f64 * 100.0
    }

    /// How many keys are there.
    pub(crate) fn keys(&mut self) -> Result<u64> {
        Ok(self.client.call(&["DBSIZE"])?.parse()?)
    }

    fn set_limit(&mut self) -> Result<()> {
        let limit = self.limit_bytes.to_string();
        self.client.call(&["CONFIG", "SET", "maxmemory", &limit])?;
        Ok(())
    }

    fn send(&mut self, numbers: &[u64], template: fn(&Cache) -> &Template) -> Result<()> {
        let mut requests = std::mem::take(&mut self.requests);
        requests.clear();
        for &number in numbers {
            template(self).append(number, &mut requests);
        }
        let sent = self.client.send(&requests);
        self.requests = requests;
        sent
    }
}

/// Whether a server can be told how much memory it may use.
pub(crate) fn takes_limits(contender: &Contender) -> Result<bool> {
    let server = Server::start(contender)?;
    Ok(server.connect()?.call(&["CONFIG", "SET", "maxmemory", "1gb"]).is_ok())
}

/// What a server counts as used memory.
fn used_bytes(client: &mut Client) -> Result<u64> {
    let info = client.call(&["INFO", "memory"])?;
    let used = line_after(&info, "used_memory:").ok_or("INFO memory tells no used_memory")?;
    Ok(used.parse()?)
}
