//! What one client's scripts do to the language, and what another's find of it: nothing.

use redlet::Server;

use super::{assert_unharmed, eval, server};
use crate::support::Wire;

const READONLY: &str = "Attempt to modify a readonly table";

#[tokio::test]
async fn shared_tables_cannot_be_changed_in_any_way() {
    let server = server().await;
    let shared = [
        "_G",
        "string",
        "table",
        "math",
        "os",
        "coroutine",
        "redis",
        "server",
        "cjson",
        "cmsgpack",
        "bit",
        "struct",
        "getmetatable('')",
        "getmetatable('').__index",
        "getmetatable(_G)",
    ];
    for table in shared {
        for change in [
            "(TABLE).mine = 1",
            "(TABLE)[1] = 1",
            "rawset(TABLE, 'mine', 1)",
            "rawset(TABLE, 1, 1)",
            "table.insert(TABLE, 'mine')",
            "table.insert(TABLE, 1, 'mine')",
            "table.setn(TABLE, 5)",
            "setmetatable(TABLE, {})",
            "setmetatable(TABLE, nil)",
            "setmetatable(TABLE, {__index = function() return 5 end})",
            "for name in pairs(TABLE) do (TABLE)[name] = nil end",
            "for name in pairs(TABLE) do rawset(TABLE, name, nil) end",
            "local co = coroutine.wrap(function() rawset(TABLE, 'mine', 1) end) co()",
            "loadstring(\"rawset(TABLE, 'mine', 1)\")()",
        ] {
            let script = format!("{} return 'changed'", change.replace("TABLE", table));
            let script =
                if script.starts_with('(') { format!("local _ = 1; {script}") } else { script };
            let reply = eval(&mut Wire::memory(&server), &script).await;
            let is_refused = reply.contains(READONLY) || reply.contains("'setn' is obsolete");
            assert!(is_refused, "{script}: {reply}");
        }
    }
    assert_unharmed(&server, "all this").await;
}

/// Has one client run a script, and another one say what it sees.
async fn assert_unseen(server: &Server, script: &str, look: &str, expected: &str) {
    let (mut one, mut other) = (Wire::memory(server), Wire::memory(server));
    for _ in 0..2 {
        let reply = eval(&mut one, script).await;
        assert_eq!(eval(&mut other, look).await, expected, "after {script}: {reply}");
    }
    assert_unharmed(server, script).await;
}

#[tokio::test]
async fn what_one_script_changes_is_unknown_to_the_next() {
    let server = server().await;
    let upper = "return ('abc'):upper() .. tostring(5) .. type(redis.call) .. #cjson.encode({1})";
    for script in [
        "getmetatable('').__index = function() return error end",
        "getmetatable('').__index.upper = error",
        "string.upper = string.lower",
        "rawset(string, 'upper', string.lower)",
        "_G.tostring = error",
        "rawset(_G, 'tostring', error)",
        "redis.call = nil",
        "cjson.encode = nil",
        "setmetatable(_G, {__index = redis})",
        "for name in pairs(_G) do rawset(_G, name, nil) end",
        "local string = {} string.upper = error",
        "local _ENV = {}",
        "table.sort(string)",
        "table.foreach(string, function(name) string[name] = nil end)",
        "error(string)",
        "return string",
    ] {
        assert_unseen(&server, script, upper, "ABC5function3").await;
    }
}

#[tokio::test]
async fn the_collector_is_nobodys_to_stop_or_retune() {
    let server = server().await;
    let look = "return {collectgarbage('setpause', 5), collectgarbage('setstepmul', 5)}";
    for script in [
        "return collectgarbage('stop')",
        "collectgarbage('setpause', 1e6) collectgarbage('setstepmul', 1)",
        "collectgarbage('setpause', -2147483648) collectgarbage('setstepmul', 2147483647)",
        "collectgarbage('setpause', 0) collectgarbage('setstepmul', 0)",
        "collectgarbage('step', 2147483647)",
        "collectgarbage('step', -2147483648)",
        "collectgarbage('restart')",
    ] {
        assert_unseen(&server, script, look, "[200, 200]").await;
    }
    // Were it stopped, what this throws away would fill the memory that a script has.
    let wasteful = "for i = 1, 2000 do local s = ('x'):rep(1e5) .. i end return 'collected'";
    assert_unseen(&server, "collectgarbage('stop')", wasteful, "collected").await;
}

#[tokio::test]
async fn random_numbers_of_one_server_are_not_those_of_another() {
    let (one, other) = (server().await, server().await);
    let numbers = "local t = {} for i = 1, 5 do t[i] = math.random(1000) end return t";
    let first = eval(&mut Wire::memory(&one), numbers).await;
    for script in ["math.randomseed(7)", "math.random()", "math.randomseed(-2147483648)"] {
        eval(&mut Wire::memory(&one), script).await;
    }
    assert_eq!(eval(&mut Wire::memory(&other), numbers).await, first);
    assert_unharmed(&one, "random numbers").await;
}
