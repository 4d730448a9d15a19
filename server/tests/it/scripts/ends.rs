//! How scripts end that do not end by themselves: by whom, on what runtime, and who is served afterwards.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use redlet::{Clock, MemoryStream, Server};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::endless::{BUSY, ENDLESS, KILLED, assert_busy, kill, lateness, start};
use super::{assert_unharmed, running};
use crate::support::{Wire, alone, assert_serves_blocking, encode, eventually, within};

/// More than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(2);

async fn server() -> Server {
    let builder = Server::builder().parameter("busy-reply-threshold", "30");
    builder.start().await.expect("a server starts")
}

fn runtimes() -> Vec<Runtime> {
    let single = Builder::new_current_thread().enable_all().build();
    let multi =
        [1, 2].map(|count| Builder::new_multi_thread().worker_threads(count).enable_all().build());
    [single].into_iter().chain(multi).map(|runtime| runtime.expect("there is room")).collect()
}

#[test]
fn as_many_endless_scripts_as_servers_leave_every_runtime_free() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let mut servers = Vec::new();
            for _ in 0..4 {
                let server = server().await;
                let (mut tcp, mut memory) = (Wire::tcp(&server).await, Wire::memory(&server));
                start(&mut tcp, ENDLESS).await;
                start(&mut memory, ENDLESS).await;
                servers.push((server, tcp, memory));
            }
            let calm = server().await;
            let late = tokio::spawn(lateness(tokio::time::sleep(Duration::from_millis(200))));
            let mut client = Wire::tcp(&calm).await;
            for _ in 0..20 {
                assert_eq!(within(client.call("PING")).await, "PONG");
                assert_unharmed(&calm, "the scripts of others").await;
            }
            for (server, ..) in &servers {
                assert_busy(&mut Wire::tcp(server).await).await;
            }
            let late = late.await.expect("timers go on");
            assert!(late < SOON, "timers came {late:?} late");
            for (server, tcp, memory) in &mut servers {
                // Whichever came second has been told that a script is busy, or is the next one.
                let (one, other) = within(both_replies(server, tcp, memory)).await;
                for reply in [one, other] {
                    assert!(reply.contains(KILLED) || reply == BUSY, "{reply}");
                }
            }
        });
    }
}

/// The replies of two clients whose scripts end only by being killed.
async fn both_replies(
    server: &Server,
    one: &mut Wire<TcpStream>,
    other: &mut Wire<MemoryStream>,
) -> (String, String) {
    let mut client = Wire::tcp(server).await;
    let killing = async {
        loop {
            client.call("SCRIPT KILL").await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = killing => unreachable!("it goes on until both have ended"),
        replies = async { tokio::join!(one.reply(), other.reply()) } => replies,
    }
}

#[test]
fn whoever_has_no_runtime_waits_or_is_told_and_ends_scripts() {
    let builder = Server::builder().parameter("busy-reply-threshold", "30");
    let server = builder.start_blocking().expect("a server starts");
    let mut one = server.connect_blocking();
    one.write_all(&encode(&["EVAL", ENDLESS, "0"])).expect("the server reads");
    let mut direct = server.direct();
    let begin = Instant::now();
    while direct.call(&["GET", "key"]).is_ok() {
        assert!(begin.elapsed() < SOON, "a direct call is told of the script");
    }
    let mut other = server.connect_blocking();
    other.write_all(b"SCRIPT KILL\r\n").expect("the server reads");
    let mut reply = [0; 5];
    other.read_exact(&mut reply).expect("the server answers");
    assert_eq!(&reply, b"+OK\r\n");
    let mut reply = vec![0; 4 + KILLED.len()];
    one.read_exact(&mut reply).expect("the script has ended");
    assert_eq!(
        String::from_utf8_lossy(&reply),
        format!("-ERR{}", &format!(" {KILLED}")[..KILLED.len()])
    );
    assert_serves_blocking(&server);
}

#[test]
fn direct_calls_of_other_threads_run_scripts_and_end_them() {
    let builder = Server::builder().no_socket().parameter("busy-reply-threshold", "30");
    let server = builder.start_blocking().expect("a server starts");
    let (mut runs, mut kills) = (server.direct(), server.direct());
    let script = std::thread::spawn(move || runs.call(&["EVAL", ENDLESS, "0"]));
    let begin = Instant::now();
    while kills.call(&["SCRIPT", "KILL"]).is_err() {
        assert!(begin.elapsed() < SOON, "the script can be killed");
    }
    let ended = script.join().expect("nothing panics").expect_err("it was killed");
    assert!(ended.to_string().contains(KILLED), "{ended}");
    assert_eq!(kills.get("key"), None);
    assert_serves_blocking(&server);
}

#[test]
fn servers_that_are_dropped_or_shut_down_end_their_scripts() {
    let name = "servers_that_are_dropped_or_shut_down_end_their_scripts";
    alone(module_path!(), name, || {
        for script in [
            ENDLESS,
            "while true do pcall(function() while true do end end) end",
            "while true do load(function() while true do end end) end",
            "redis.call('set', 'key', 'value') while true do end",
            "while true do redis.call('incr', 'key') end",
        ] {
            for runtime in runtimes() {
                for way in 0..3 {
                    let begin = Instant::now();
                    runtime.block_on(end_in_some_way(script, way));
                    assert!(begin.elapsed() < SOON, "{script}: {:?}", begin.elapsed());
                }
                let begin = Instant::now();
                drop(runtime);
                assert!(begin.elapsed() < SOON, "{script}: {:?}", begin.elapsed());
            }
            let server = Server::builder().start_blocking().expect("a server starts");
            let mut client = server.connect_blocking();
            client.write_all(&encode(&["EVAL", script, "0"])).expect("the server reads");
            std::thread::sleep(Duration::from_millis(10));
            let begin = Instant::now();
            drop(server);
            let _ = client.read_to_end(&mut Vec::new());
            assert!(begin.elapsed() < SOON, "{script}: {:?}", begin.elapsed());
        }
    });
}

async fn end_in_some_way(script: &str, way: usize) {
    let server = server().await;
    let (mut one, mut other) = (Wire::tcp(&server).await, Wire::memory(&server));
    start(&mut one, script).await;
    assert_busy(&mut other).await;
    match way {
        0 => drop(server),
        1 => within(server.shutdown()).await,
        _ => {
            other.send(b"SHUTDOWN NOSAVE\r\n").await;
            assert_eq!(within(server.stopped()).await, Ok(()));
            within(server.shutdown()).await;
        }
    }
    assert_eq!(other.reply().await, "(end)");
    one.until_end().await;
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_a_script_that_can_be_ended() {
    for by_killing in [true, false] {
        let server = server().await;
        let (mut one, mut other) = (Wire::tcp(&server).await, Wire::tcp(&server).await);
        let id = one.call("CLIENT ID").await;
        start(&mut one, ENDLESS).await;
        assert_busy(&mut other).await;
        if by_killing {
            other.call(&format!("CLIENT KILL ID {id}")).await;
        }
        drop(one);
        kill(&mut other).await;
        eventually("others are served", async || other.call("GET key").await == "(nil)").await;
        assert_eq!(other.call("CLIENT KILL ID 12345").await, "0");
        assert_unharmed(&server, "a client that is gone").await;
    }
}

#[tokio::test]
async fn scripts_that_have_written_are_not_killed() {
    let server = server().await;
    for script in [
        "for i = 1, 1e5 do end redis.call('del', 'none')
         local begin = os.clock() while os.clock() - begin < 0.3 do end return 'over'",
        "redis.pcall('incr', 'until') local begin = os.clock() while os.clock() - begin < 0.3 do end return 'over'",
    ] {
        let (mut one, mut other) = (Wire::tcp(&server).await, Wire::memory(&server));
        start(&mut one, script).await;
        assert_busy(&mut other).await;
        let reply = other.call("SCRIPT KILL").await;
        assert!(reply.starts_with("-UNKILLABLE"), "{reply}");
        let reply = other.call("FUNCTION KILL").await;
        assert!(reply.starts_with("-UNKILLABLE") || reply.starts_with("-BUSY"), "{reply}");
        assert_eq!(one.reply().await, "over");
        assert_unharmed(&server, script).await;
    }
}

#[tokio::test]
async fn a_transaction_with_an_endless_script_ends_with_it() {
    let server = server().await;
    for is_memory in [false, true] {
        let mut tcp = Wire::tcp(&server).await;
        let mut memory = Wire::memory(&server);
        let mut other = Wire::tcp(&server).await;
        let requests =
            [&b"MULTI\r\nINCR n\r\n"[..], &encode(&["EVAL", ENDLESS, "0"]), b"INCR n\r\nEXEC\r\n"];
        let requests = requests.concat();
        if is_memory {
            memory.send(&requests).await;
        } else {
            tcp.send(&requests).await;
        }
        assert_busy(&mut other).await;
        kill(&mut other).await;
        let mut replies = Vec::new();
        for _ in 0..5 {
            let reply = if is_memory { memory.reply().await } else { tcp.reply().await };
            replies.push(reply);
        }
        assert!(replies[4].contains(KILLED), "{replies:?}");
        eventually("others are served", async || !other.call("GET n").await.starts_with('-')).await;
    }
    assert_unharmed(&server, "transactions").await;
}

#[tokio::test]
async fn libraries_that_never_finish_loading_are_refused() {
    let server = server().await;
    for code in [
        "while true do end",
        "local function f() return f() end return f()",
        "redis.register_function('f', function() end) while true do end",
        "redis.register_function('f', function() end) for i = 1, 1e300 do local t = {{}, i .. ''} end",
    ] {
        let code = format!("#!lua name=library\n{code}");
        let (mut one, mut other) = (Wire::memory(&server), Wire::tcp(&server).await);
        let begin = Instant::now();
        one.send(&encode(&["FUNCTION", "LOAD", &code])).await;
        other.call("GET key").await;
        let reply = one.reply().await;
        assert!(reply.starts_with("-ERR Error registering functions: "), "{reply}");
        assert!(reply.contains("FUNCTION LOAD timeout"), "{reply}");
        assert!(begin.elapsed() < SOON, "{code}: {:?}", begin.elapsed());
        assert_eq!(other.call("FUNCTION LIST").await, "[]");
        assert_unharmed(&server, &code).await;
    }
}

#[tokio::test]
async fn keys_do_not_expire_under_a_script() {
    let clock = Clock::manual();
    let builder = Server::builder().clock(clock).parameter("busy-reply-threshold", "30");
    let server = builder.start().await.expect("a server starts");
    let (mut one, mut other) = (Wire::memory(&server), Wire::memory(&server));
    for number in 0..100 {
        other.call(&format!("SET key:{number} value PX 1000")).await;
    }
    let script = "local before = redis.call('dbsize')
        local begin = os.clock() while os.clock() - begin < 0.3 do end
        return {before, redis.call('dbsize'), redis.call('exists', 'key:1'), redis.call('get', 'key:99')}";
    start(&mut one, script).await;
    eventually("the script is away", async || {
        other.call("SCRIPT KILL").await != "-NOTBUSY No scripts in execution right now."
    })
    .await;
    assert!(one.reply().await.contains(KILLED));
    start(&mut one, script).await;
    assert_busy(&mut other).await;
    server.clock().advance(Duration::from_secs(3600));
    assert_eq!(one.reply().await, "[100, 100, 1, value]");
    assert_eq!(other.call("EXISTS key:1 key:99").await, "0");
    server.clock().advance(Duration::from_secs(1));
    eventually("they are gone", async || other.call("DBSIZE").await == "0").await;
}

#[tokio::test]
async fn whoever_waits_for_a_list_is_served_after_a_long_script() {
    let server = server().await;
    let (mut one, mut other) = (Wire::tcp(&server).await, Wire::memory(&server));
    let mut waiters = Vec::new();
    for number in 0..3 {
        let mut waiter = Wire::memory(&server);
        waiter.send(b"BLPOP list 0\r\n").await;
        eventually("it waits", async || {
            other.call("INFO clients").await.contains(&format!("blocked_clients:{}", number + 1))
        })
        .await;
        waiters.push(waiter);
    }
    let script = "redis.call('rpush', 'list', 'a', 'b')
        local begin = os.clock() while os.clock() - begin < 0.2 do end
        redis.call('rpush', 'list', 'c') return redis.call('llen', 'list')";
    start(&mut one, script).await;
    assert_busy(&mut other).await;
    assert_eq!(one.reply().await, "3");
    for (waiter, element) in waiters.iter_mut().zip(["a", "b", "c"]) {
        assert_eq!(waiter.reply().await, format!("[list, {element}]"));
    }
    assert_eq!(other.call("LLEN list").await, "0");
}

#[tokio::test]
async fn a_pause_holds_scripts_that_may_write() {
    let server = server().await;
    let mut other = Wire::memory(&server);
    assert_eq!(other.call("CLIENT PAUSE 100000 WRITE").await, "OK");
    let mut held = running(&server, "return 'held'").await;
    let mut reads = running(&server, "#!lua flags=no-writes\nreturn 'read'").await;
    assert_eq!(reads.reply().await, "read");
    let mut endless = running(&server, "#!lua flags=no-writes\nwhile true do end").await;
    assert_busy(&mut other).await;
    kill(&mut other).await;
    assert!(endless.reply().await.contains(KILLED));
    let still = tokio::time::timeout(Duration::from_millis(20), held.reply()).await;
    assert!(still.is_err(), "{still:?}");
    eventually("the pause ends", async || other.call("CLIENT UNPAUSE").await == "OK").await;
    assert_eq!(held.reply().await, "held");
    assert_unharmed(&server, "a pause").await;
}
