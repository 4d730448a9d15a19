//! A server inside a program: how it is started, how it is reached, and what it refuses.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult};
use redlet::{Builder, Clock, Server, Value};

use crate::support::{Scratch, Wire, alone_async, assert_serves, assert_serves_blocking};

/// What a builder's server cannot start for.
async fn refusal(builder: Builder) -> String {
    builder.start().await.err().expect("the server should not start").to_string()
}

#[tokio::test]
async fn a_server_starts_on_a_free_port_with_nothing_in_it() {
    let server = Server::start().await.unwrap();
    let address = server.address().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0);
    assert_eq!(server.url(), format!("redis://{address}"));
    assert_eq!(Wire::tcp(&server).await.call("DBSIZE").await, "0");
}

#[test]
fn a_port_that_is_taken_on_one_of_its_addresses_is_not_the_one_it_picks() {
    let name = "a_port_that_is_taken_on_one_of_its_addresses_is_not_the_one_it_picks";
    alone_async(module_path!(), name, async || {
        // A few percent of all ports, where there is IPv6: enough for some starts to meet one.
        let taken: Vec<_> = (0..800).map_while(|_| TcpListener::bind("[::1]:0").ok()).collect();
        for _ in 0..300 {
            let server = Server::start().await.expect("other ports are free");
            server.shutdown().await;
        }
        drop(taken);
    });
}

#[tokio::test]
async fn servers_know_nothing_of_each_other() {
    let (one, other) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    let mut client = Wire::tcp(&one).await;
    assert_eq!(client.call("SET key one").await, "OK");
    assert_eq!(client.call("CONFIG SET maxclients 7 hz 50").await, "OK");
    assert_eq!(client.call("CLIENT PAUSE 100000").await, "OK");
    let mut client = Wire::tcp(&other).await;
    assert_eq!(client.call("DBSIZE").await, "0");
    assert_eq!(client.call("CONFIG GET maxclients").await, "[maxclients, 1000]");
    assert_eq!(client.call("CLIENT ID").await, "1");
}

#[tokio::test]
async fn the_redis_crate_takes_the_url() -> RedisResult<()> {
    let server = Server::start().await.unwrap();
    let client = redis::Client::open(server.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("SET").arg("key").arg("value").exec_async(&mut connection).await?;
    let value: String = redis::cmd("GET").arg("key").query_async(&mut connection).await?;
    assert_eq!(value, "value");
    Ok(())
}

#[tokio::test]
async fn the_url_carries_any_password() {
    for password in ["secret", "p@ss:w/rd", "a?b#c", "100%41 +&=", "pässwörd"] {
        let server = Server::builder().password(password).start().await.unwrap();
        let reply = Wire::tcp(&server).await.call("GET key").await;
        assert_eq!(reply, "-NOAUTH Authentication required.");
        assert_opens(&server.url()).await;
    }
}

#[tokio::test]
async fn the_url_of_a_unix_socket_carries_its_path_and_any_password() {
    let scratch = Scratch::new();
    let path = scratch.path("redlet socket");
    let builder = || Server::builder().no_socket().unix_socket(&path);
    assert_opens(&builder().start().await.unwrap().url()).await;
    let server = builder().password("p@ss w&rd").start().await.unwrap();
    assert_opens(&server.url()).await;
}

/// Asserts that the `redis` crate reaches a server by this URL and may use it.
async fn assert_opens(url: &str) {
    let connected = async {
        let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        redis::cmd("DBSIZE").query_async::<i64>(&mut connection).await
    };
    assert_eq!(connected.await, Ok(0), "{url}");
}

#[tokio::test]
async fn the_redis_crate_takes_a_connection_in_memory() -> RedisResult<()> {
    let server = Server::builder().no_socket().password("secret").start().await.unwrap();
    let login = RedisConnectionInfo::default().set_password("secret").set_db(3);
    let (stream, config) = (server.connect(), AsyncConnectionConfig::new());
    let opened = MultiplexedConnection::new_with_config(&login, stream, config).await?;
    let (mut connection, driver) = opened;
    tokio::spawn(driver);
    let large = vec![b'x'; 300_000];
    redis::cmd("SET").arg("key").arg(&large).exec_async(&mut connection).await?;
    let value: Vec<u8> = redis::cmd("GET").arg("key").query_async(&mut connection).await?;
    assert!(value == large);
    assert!(server.direct().database(3).exists("key"));
    assert!(!server.direct().exists("key"));
    Ok(())
}

#[test]
fn code_that_blocks_uses_the_redis_crate_over_tcp() -> RedisResult<()> {
    let server = Server::builder().start_blocking().unwrap();
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    let count: i64 = redis::cmd("INCRBY").arg("key").arg(5).query(&mut connection)?;
    assert_eq!(count, 5);
    Ok(())
}

#[test]
fn code_that_blocks_reads_and_writes_a_connection_in_memory() {
    let server = Server::builder().no_socket().start_blocking().unwrap();
    let mut stream = server.connect_blocking();
    // More than the pipe holds at once, in each direction.
    let mut expected = format!("${}\r\n", 200_000).into_bytes();
    expected.extend_from_slice(&b"x".repeat(200_000));
    expected.extend_from_slice(b"\r\n");
    stream.write_all(&[&b"*2\r\n$4\r\nECHO\r\n"[..], &expected].concat()).unwrap();
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply).unwrap();
    assert!(reply == expected);
    assert_serves_blocking(&server);
}

#[cfg(feature = "redis")]
#[test]
fn the_crates_own_connection_needs_no_socket() -> RedisResult<()> {
    use redis::ConnectionLike;

    let server = Server::builder().no_socket().start_blocking().unwrap();
    let mut connection = redlet::RedisConnection::new(&server);
    assert!(connection.is_open() && connection.check_connection());
    let replies: (i64, i64, Option<String>) = redis::pipe()
        .cmd("SET")
        .arg("key")
        .arg(41)
        .ignore()
        .cmd("INCR")
        .arg("key")
        .cmd("STRLEN")
        .arg("key")
        .cmd("GET")
        .arg("missing")
        .query(&mut connection)?;
    assert_eq!(replies, (42, 2, None));
    let error = redis::cmd("INCR").query::<i64>(&mut connection).unwrap_err();
    assert_eq!(error.detail(), Some("wrong number of arguments for 'incr' command"));
    assert!(connection.check_connection(), "an error reply leaves the connection as it was");
    drop(server);
    assert!(!connection.check_connection());
    assert!(!connection.is_open());
    Ok(())
}

#[tokio::test]
async fn direct_access_and_clients_see_the_same_data() {
    let server = Server::start().await.unwrap();
    let (mut direct, mut client) = (server.direct(), Wire::tcp(&server).await);
    direct.set("one", "1");
    direct.set_expiring("two", "2", Duration::from_secs(100));
    assert_eq!(client.call("MGET one two three").await, "[1, 2, (nil)]");
    assert_eq!(client.call("TTL two").await, "100");
    assert_eq!(client.call("SET three 3").await, "OK");
    assert_eq!(direct.get("three").as_deref(), Some(&b"3"[..]));
    assert_eq!(direct.get("four"), None);
    assert_eq!(direct.keys("t*"), ["three", "two"]);
    assert!(direct.exists("two") && direct.delete("two") && !direct.delete("two"));
    assert!(direct.ttl("two").is_none() && direct.ttl("one").is_none());
    direct.flush_all();
    assert_eq!(client.call("DBSIZE").await, "0");
}

#[tokio::test]
async fn direct_access_needs_no_password_and_may_debug() {
    let server = Server::builder().no_socket().password("secret").start().await.unwrap();
    let mut direct = server.direct();
    assert!(matches!(direct.call(&["DBSIZE"]), Ok(Value::Number { data: 0, .. })));
    assert!(direct.call(&["DEBUG", "POPULATE", "10"]).is_ok());
    assert!(matches!(direct.call(&["DBSIZE"]), Ok(Value::Number { data: 10, .. })));
}

#[tokio::test]
async fn direct_access_gives_errors_back() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let mut direct = server.direct();
    direct.set("key", "text");
    let error = direct.call(&["INCR", "key"]).unwrap_err();
    assert_eq!(error.to_string(), "ERR value is not an integer or out of range");
    let error = direct.call(&["NOSUCH", "x"]).unwrap_err();
    assert!(error.to_string().starts_with("ERR unknown command 'NOSUCH'"), "{error}");
    assert!(direct.call::<&str>(&[]).is_err());
    assert_eq!(direct.get("key").as_deref(), Some(&b"text"[..]));
}

#[tokio::test]
#[should_panic(expected = "database 16 of 16")]
async fn direct_access_to_a_database_that_is_not_there_panics() {
    let server = Server::builder().no_socket().start().await.unwrap();
    let _ = server.direct().database(16);
}

#[tokio::test]
async fn a_server_has_the_databases_it_was_given() {
    let server = Server::builder().no_socket().databases(2).start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("SELECT 1").await, "OK");
    assert_eq!(client.call("SELECT 2").await, "-ERR DB index is out of range");
}

#[tokio::test]
async fn any_number_of_shards_holds_all_keys() {
    for shards in [0, 1, 3, 64] {
        let server = Server::builder().no_socket().shards(shards).start().await.unwrap();
        let mut direct = server.direct();
        (0..500).for_each(|number| direct.set(format!("key:{number}"), number.to_string()));
        assert_eq!(direct.keys("*").len(), 500, "{shards} shards");
        assert_eq!(direct.get("key:77").as_deref(), Some(&b"77"[..]));
    }
}

#[tokio::test]
async fn a_server_without_a_socket_is_reached_in_memory_only() {
    let server = Server::builder().no_socket().start().await.unwrap();
    assert_eq!(server.address(), None);
    assert_eq!(server.url(), "memory:");
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_server_on_a_unix_socket_may_have_a_port_too() {
    let scratch = Scratch::new();
    let path = scratch.path("socket");
    let server = Server::builder().unix_socket(&path).start().await.unwrap();
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    assert_eq!(Wire::new(stream).call("SET key value").await, "OK");
    assert_eq!(Wire::tcp(&server).await.call("GET key").await, "value");
}

/// What of a server is random.
async fn random_traits(seed: u64) -> Vec<String> {
    let builder = Server::builder().no_socket().shards(1).clock(Clock::manual()).seed(seed);
    let server = builder.start().await.expect("a server starts");
    let mut client = Wire::memory(&server);
    for number in 0..100 {
        client.call(&format!("SET key:{number} value")).await;
    }
    let mut traits = Vec::new();
    for line in ["RANDOMKEY", "RANDOMKEY", "RANDOMKEY", "KEYS *", "SCAN 0"] {
        traits.push(client.call(line).await);
    }
    traits
}

#[tokio::test]
async fn a_seed_makes_everything_random_the_same_every_time() {
    let first = random_traits(7).await;
    assert_eq!(first, random_traits(7).await);
    assert_ne!(first, random_traits(8).await);
}

#[tokio::test]
async fn parameters_have_the_names_of_redis_conf() {
    let builder = Server::builder().no_socket().parameter("maxclients", "5");
    let server = builder.parameter("HZ", "20").start().await.unwrap();
    let mut client = Wire::memory(&server);
    assert_eq!(client.call("CONFIG GET maxclients").await, "[maxclients, 5]");
    assert_eq!(client.call("CONFIG GET hz").await, "[hz, 20]");
}

#[tokio::test]
async fn what_a_builder_cannot_do_is_said_in_a_sentence() {
    let with = |name, value| Server::builder().no_socket().parameter(name, value);
    for (name, value) in [
        ("max-clients", "5"),
        ("maxclients", "many"),
        ("maxclients", "-1"),
        ("databases", "0"),
        ("port", "65536"),
        ("maxmemory", "much"),
        ("unixsocketperm", "9"),
    ] {
        let sentence = refusal(with(name, value)).await;
        assert!(sentence.contains(name) && sentence.contains(' '), "{name} {value}: {sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
    let nowhere = refusal(with("appendonly", "yes")).await;
    assert!(nowhere.contains("'dir'"), "{nowhere}");
    let first = refusal(with("first-mistake", "1").parameter("second-mistake", "2")).await;
    assert!(first.contains("first-mistake") && !first.contains("second-mistake"), "{first}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = Server::start().await.unwrap();
    let port = server.address().unwrap().port();
    let sentence = refusal(Server::builder().port(port)).await;
    assert!(sentence.contains(&format!("port {port}")), "{sentence}");
    assert!(sentence.contains("taken"), "{sentence}");
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_unix_socket_that_cannot_be_made_or_is_in_use_is_named() {
    let scratch = Scratch::new();
    let path = scratch.path("missing/socket");
    let sentence = refusal(Server::builder().no_socket().unix_socket(&path)).await;
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");

    let path = scratch.path("socket");
    let server = Server::builder().no_socket().unix_socket(&path).start().await.unwrap();
    let sentence = refusal(Server::builder().no_socket().unix_socket(&path)).await;
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
    assert!(path.exists(), "the first server keeps its socket");
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_socket_left_behind_by_a_server_that_died_is_replaced() {
    let scratch = Scratch::new();
    let path = scratch.path("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::builder().no_socket().unix_socket(&path).start().await.unwrap();
    assert_opens(&server.url()).await;
}
