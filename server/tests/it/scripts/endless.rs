//! Scripts that do not end by themselves, on every kind of runtime: whoever waits for them waits as a task does, is
//! told so in time, and can end them.

use std::time::{Duration, Instant};

use redlet::Server;
use tokio::io::{AsyncRead, AsyncWrite};

use super::assert_unharmed;
use crate::support::{Wire, encode, eventually};

pub(super) const ENDLESS: &str = "while true do end";
pub(super) const KILLED: &str = "Script killed by user with SCRIPT KILL";
pub(super) const BUSY: &str =
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// Far more than a time slice, for machines that are busy with something else.
const LATE: Duration = Duration::from_secs(2);

async fn server() -> Server {
    let builder = Server::builder().parameter("busy-reply-threshold", "10");
    builder.start().await.expect("a server starts")
}

/// Sends a script and goes on.
pub(super) async fn start<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Wire<S>, script: &str) {
    client.send(&encode(&["EVAL", script, "0"])).await;
}

/// Waits until a script is so late that others are told.
pub(super) async fn assert_busy<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Wire<S>) {
    eventually("others are told", async || client.call("GET key").await == BUSY).await;
}

pub(super) async fn kill<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Wire<S>) {
    eventually("there is a script to kill", async || client.call("SCRIPT KILL").await == "OK")
        .await;
}

/// Awaits something, and gives how late the runtime's timers came meanwhile.
pub(super) async fn lateness(work: impl Future<Output = ()>) -> Duration {
    const TICK: Duration = Duration::from_millis(2);
    let mut worst = Duration::ZERO;
    let mut work = std::pin::pin!(work);
    loop {
        let begin = Instant::now();
        let is_over = tokio::time::timeout(TICK, &mut work).await.is_ok();
        worst = worst.max(begin.elapsed().saturating_sub(TICK));
        if is_over {
            return worst;
        }
    }
}

/// One endless script, and what the runtime, those who want keys and those who end scripts notice of it.
async fn assert_bearable(server: &Server, script: &str) {
    let (mut one, mut other, mut third) =
        (Wire::tcp(server).await, Wire::tcp(server).await, Wire::memory(server));
    let late = lateness(async {
        start(&mut one, script).await;
        assert_busy(&mut other).await;
        assert_busy(&mut third).await;
    })
    .await;
    let begin = Instant::now();
    kill(&mut third).await;
    let reply = one.reply().await;
    assert!(reply.contains(KILLED), "{script}: {reply}");
    assert!(late < LATE, "timers came {late:?} late: {script}");
    assert!(begin.elapsed() < LATE, "ended after {:?}: {script}", begin.elapsed());
    assert_eq!(other.call("GET key").await, "(nil)");
    assert_unharmed(server, script).await;
}

/// What does not end, in the language itself and in functions that others wrote in C.
const SCRIPTS: &[&str] = &[
    ENDLESS,
    "repeat until false",
    "local function f() return f() end return f()",
    "while true do pcall(error) end",
    "while true do pcall(redis.call, 'get') end",
    "while true do redis.pcall('get') end",
    "while true do redis.call('get', 'key') end",
    "while true do redis.pcall('while') end",
    "local function f() pcall(f) f() end while true do pcall(f) end",
    "while true do pcall(function() while true do end end) end",
    "xpcall(function() while true do end end, function() while true do end end) while true do end",
    "xpcall(error, function() while true do end end)",
    "while true do coroutine.wrap(function() for i = 1, 1000 do end end)() end",
    "coroutine.wrap(function() while true do coroutine.wrap(function() coroutine.yield() end)() end end)()",
    "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
    "setmetatable({}, {__index = function() while true do end end}).x = 1 return setmetatable({}, {__index = function() while true do end end}).x",
    "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    "('x'):gsub('x', function() while true do end end)",
    "while true do ('x'):rep(1000):gsub('x', function() end) end",
    "table.sort({1, 2}, function() while true do end end)",
    "table.foreach({1}, function() while true do end end)",
    "load(function() while true do end end)",
    "load(function() return ' ' end)",
    "while true do load(function() while true do end end) end",
    "while true do load(function() return ' ' end) end",
    "for _ in function() return 1 end do end",
    "for i = 1, math.huge do end",
    // Instructions that take long.
    "while true do coroutine.wrap(function() return ('x'):rep(4e6) end)() end",
    "local s = ('x'):rep(4e6) while true do s:upper() end",
    "local a, b = ('x'):rep(4e6) .. 'a', ('x'):rep(4e6) .. 'b' while true do local c = a < b end",
    "local a, b = ('x'):rep(4e6) .. 'a', ('x'):rep(4e6) .. 'b' while true do local c = a <= b end",
    "local s = ('1'):rep(2e7) while true do tonumber(s) end",
    "local s = ('1'):rep(2e7) while true do local x = s + 1 end",
    "local s = (' '):rep(2e7) while true do tonumber(s, 7) end",
    "(('a'):rep(2^20)):find(('a-'):rep(50) .. 'b')",
    "(('a'):rep(2^20)):find(('.-'):rep(20) .. 'b')",
    "(('a'):rep(2^20)):match(('.*'):rep(20) .. 'b')",
    "(('a'):rep(4e6)):find('.-b')",
    "(('('):rep(4e6)):find('%b()')",
    "(('a'):rep(4e6)):find(('a'):rep(2e6) .. 'b', 1, true)",
    "while true do ('x'):find('y') end",
    "(('collect'):rep(1e6)):gsub('collect', collectgarbage)",
    "load(collectgarbage)",
    "local t = {} for i = 1, 3e5 do t[i] = {} end while true do collectgarbage() end",
    "local t = {} for i = 1, 3e5 do t[i] = {} end while true do pcall(collectgarbage) end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.insert(t, 1, 1) table.remove(t, 1) end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.maxn(t) end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.foreach(t, type) end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.sort(t) end",
    "while true do select('#', unpack({}, 1, 7900)) end",
    "while true do pcall(string.char, unpack({}, 1, 7900)) end",
    // What the server's own functions take.
    "local s = ('x'):rep(4e6) while true do redis.sha1hex(s) end",
    "local s = (' '):rep(4e6) .. '1' while true do cjson.decode(s) end",
    "local s = '[' .. ('[],'):rep(1e5) .. '1]' while true do cjson.decode(s) end",
    "local t = {} for i = 1, 1e5 do t[i] = {i} end while true do cjson.encode(t) end",
    "local t = {} for i = 1, 1e5 do t[i] = {i} end while true do cmsgpack.pack(t) end",
    "local s = cmsgpack.pack(('x'):rep(4e6)) while true do cmsgpack.unpack(s) end",
    "local s = ('b'):rep(7000) local t = ('x'):rep(7000) while true do struct.unpack(s, t) end",
    "local s = ('x'):rep(4e6) while true do redis.call('echo', s) end",
    "local s = ('x'):rep(4e6) while true do redis.pcall('get', s, s) end",
    "local s = ('x'):rep(4e6) while true do redis.pcall('exists', s) end",
    "local s = ('x'):rep(4e6) while true do redis.log(redis.LOG_DEBUG, s) end",
    "local s = ('x'):rep(4e6) while true do redis.error_reply(s) redis.status_reply(s) end",
    "while true do redis.setresp(3) end",
    "while true do bit.band(1, 2) end",
];

#[tokio::test]
async fn no_endless_script_keeps_a_runtime_of_one_thread() {
    let server = server().await;
    for script in SCRIPTS {
        assert_bearable(&server, script).await;
    }
}
