//! redlet: a Redis server small enough to live inside a test or an application, and real enough
//! that nobody can tell.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = redlet::Server::start().await?;
//!
//! // Any client, over TCP ...
//! let client = redis::Client::open(server.url())?;
//! let mut connection = client.get_multiplexed_async_connection().await?;
//! let _: () = redis::cmd("SET").arg("greeting").arg("hello").exec_async(&mut connection).await?;
//!
//! // ... and the data itself, without a client.
//! assert_eq!(server.direct().get("greeting").as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a request
//!
//! Bytes arrive on a [connection](MemoryStream) and are decoded in place (`resp`); the request's
//! row is looked up in the table of commands (`command`); the pipeline (`execute`) admits it,
//! locks the shards of its keys (`keyspace::run`) and runs the row's function, which writes its
//! reply straight into the connection's output. Every command takes this way.
//!
//! # The map of the house
//!
//! | module | what it knows |
//! |---|---|
//! | `server`, `accept`, `connection`, `transport` | sockets and tasks |
//! | `direct` | calling commands without a connection |
//! | `config` | the one table of parameters |
//! | `engine` | everything a server consists of, without its sockets |
//! | `execute` | the pipeline |
//! | `command` | the table of commands and their functions, a file per family |
//! | `session`, `transaction`, `clients` | what is carried for a client, and what others see of it |
//! | `blocking` | clients that wait for keys |
//! | `pause`, `monitor` | holding requests back, showing them to others |
//! | `notify` | telling what happened to keys |
//! | `pubsub`, `tracking` | who is subscribed to what, and who has which keys cached |
//! | `limit` | keeping within the memory that there is to be |
//! | `stats`, `slowlog`, `latency` | what is counted and remembered of requests |
//! | `error`, `text` | the texts of errors, and small texts for people |
//! | `keyspace` | shards, locks, entries, expiry, eviction, the walk of a snapshot |
//! | `storage` | pages of slots, and tables that find a slot by its key |
//! | `value` | what a key can hold; pure data structures |
//! | `resp` | the wire |
//! | `durability` | what outlives the process: snapshots and the log |
//! | `journal` | Redis's file formats, the end of the log in memory, and disks |
//! | `clock`, `random` | the only sources of time and randomness |

mod accept;
mod blocking;
mod clients;
mod clock;
mod command;
mod config;
mod connection;
mod conversation;
mod direct;
mod durability;
mod engine;
mod error;
mod execute;
mod home;
mod journal;
mod keyspace;
mod latency;
mod limit;
mod monitor;
mod notify;
mod pause;
mod pubsub;
mod random;
mod resp;
mod script;
mod server;
mod session;
mod slowlog;
mod stats;
mod storage;
mod text;
mod tracking;
mod transaction;
mod transport;
mod value;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "redis")]
mod redis_client;

pub use clock::Clock;
pub use command::compatibility_page;
pub use config::{Config, ConfigError};
pub use direct::{Direct, Value};
pub use durability::{CheckError, CheckReport, Loading, Snapshot, check};
pub use error::Error;
#[cfg(feature = "redis")]
pub use redis_client::RedisConnection;
pub use server::{Builder, Server, StartError};
pub use transport::{BlockingStream, MemoryStream};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/embedding.md")]
struct EmbeddingGuide;

#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/testing.md")]
struct TestingGuide;
