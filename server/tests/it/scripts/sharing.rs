//! `KEYS` and `ARGV`: one pair of tables for all scripts, which no script can tell.

use redlet::{MemoryStream, Server};

use super::server;
use crate::support::Wire;

/// Runs a script with keys and arguments.
async fn eval_with(
    client: &mut Wire<MemoryStream>,
    script: &str,
    keys: &[&str],
    arguments: &[&str],
) -> String {
    let count = keys.len().to_string();
    client.request(&[&["EVAL", script, &count], keys, arguments].concat()).await
}

/// Everything that can be seen of the two tables.
const LOOK: &str = "
    local seen = {#KEYS, #ARGV}
    for _, t in ipairs({KEYS, ARGV}) do
        local count = 0
        for key, value in pairs(t) do
            count = count + 1
            assert(type(key) == 'number' and key >= 1 and key <= #t, key)
        end
        seen[#seen + 1] = count
        seen[#seen + 1] = tostring(getmetatable(t))
        seen[#seen + 1] = tostring(rawget(t, #t + 1))
        seen[#seen + 1] = tostring(t.extra)
        seen[#seen + 1] = table.concat(t, ' ')
        seen[#seen + 1] = tostring(rawequal(t, rawget(_G, 'KEYS')) or rawequal(t, rawget(_G, 'ARGV')))
        rawset(t, 'mine', 1)
    end
    return table.concat(seen, ',')";

async fn assert_clean(server: &Server, after: &str) {
    for _ in 0..2 {
        let mut client = Wire::memory(server);
        let expected = "1,2,1,nil,nil,nil,one,true,2,nil,nil,nil,two three,true";
        assert_eq!(
            eval_with(&mut client, LOOK, &["one"], &["two", "three"]).await,
            expected,
            "{after}"
        );
        let expected = "0,0,0,nil,nil,nil,,true,0,nil,nil,nil,,true";
        assert_eq!(eval_with(&mut client, LOOK, &[], &[]).await, expected, "{after}");
    }
}

#[tokio::test]
async fn nothing_that_a_script_does_to_its_arguments_is_left() {
    let server = server().await;
    let names = ["a", "b", "c", "d", "e"];
    for script in [
        "",
        "KEYS.extra = 1 ARGV.extra = 2",
        "for i = 1, 1000 do KEYS[i] = i ARGV[-i] = i end",
        "for i = 1, 1000 do KEYS['k' .. i] = i ARGV[i / 2] = i end",
        "setmetatable(KEYS, {__index = function() return 'evil' end, __newindex = error})",
        "setmetatable(ARGV, {__metatable = 'hidden', __len = error, __mode = 'kv'})",
        "setmetatable(KEYS, KEYS) KEYS.__index = KEYS KEYS[1] = KEYS",
        "KEYS[1], ARGV[1] = ARGV, KEYS",
        "for i = #KEYS, 1, -1 do KEYS[i] = nil end for i = #ARGV, 1, -1 do table.remove(ARGV) end",
        "table.sort(KEYS, function(a, b) return a > b end) table.insert(ARGV, 1, 'first')",
        "setmetatable(KEYS, {__newindex = error}) error('raised')",
        "setmetatable(KEYS, {__mode = 'k'}) collectgarbage()",
        "local t = {} for i = 1, 1e9 do t[i] = {KEYS, ARGV} end",
        "KEYS.KEYS = coroutine.wrap(function() coroutine.yield(KEYS) end) KEYS.KEYS()",
        "setmetatable({}, {__gc = function() KEYS.extra = 1 end}) collectgarbage()",
        "return KEYS",
        "return setmetatable(ARGV, {__index = {1}})",
        "error(KEYS)",
        "KEYS.err = 'ERR of my own' error(KEYS)",
        "KEYS.ok = 'fine' return KEYS",
        "KEYS[1e9] = 1 KEYS[2^53] = 2 KEYS[0] = 3",
    ] {
        let mut client = Wire::memory(&server);
        eval_with(&mut client, script, &names, &names).await;
        assert_clean(&server, script).await;
    }
}

#[tokio::test]
async fn whoever_kept_the_tables_is_gone_with_its_script() {
    let server = server().await;
    let keep = "
        local kept = {KEYS, ARGV}
        local look = coroutine.wrap(function() while true do coroutine.yield(kept[1][1]) end end)
        local mine = function() return kept end
        setmetatable(KEYS, {__index = mine, __call = look, kept = kept})
        KEYS.kept, KEYS.look, KEYS.mine = kept, look, mine
        KEYS[kept], KEYS[look], KEYS[mine] = mine, kept, look
        look()
        return look()";
    let mut client = Wire::memory(&server);
    assert_eq!(eval_with(&mut client, keep, &["mine"], &["secret"]).await, "mine");
    assert_clean(&server, keep).await;
    let library = "#!lua name=keeper\n
        local kept
        redis.register_function('keep', function(keys, args)
            local before = kept and table.concat(kept, ' ')
            kept = keys kept.args = args
            return {before or 'nothing', rawget(_G, 'KEYS') and 1 or 0, #keys, #args}
        end)";
    assert_eq!(client.request(&["FUNCTION", "LOAD", library]).await, "keeper");
    assert_eq!(client.call("FCALL keep 1 one two").await, "[nothing, 0, 1, 1]");
    assert_eq!(client.call("FCALL keep 0").await, "[one, 0, 0, 0]");
    assert_eq!(client.call("FCALL keep 1 three").await, "[, 0, 1, 0]");
    assert_clean(&server, library).await;
}

#[tokio::test]
async fn arguments_of_any_number_replace_those_before() {
    let server = server().await;
    let mut client = Wire::memory(&server);
    let many: Vec<String> = (0..5000).map(|number| format!("argument{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for count in [0, 1, 5000, 2, 4999, 0, 3] {
        let sum = "local bytes = 0 for _, t in ipairs({KEYS, ARGV}) do for _, v in ipairs(t) do bytes = bytes + #v end end
            KEYS[#KEYS + 1] = 'more' return bytes";
        let expected: usize = many[..count].iter().map(|argument| argument.len()).sum();
        let reply = eval_with(&mut client, sum, &many[..count], &[]).await;
        assert_eq!(reply, expected.to_string(), "{count}");
        let reply = eval_with(&mut client, sum, &[], &many[..count]).await;
        assert_eq!(reply, expected.to_string(), "{count}");
        assert_clean(&server, "many").await;
    }
}

#[tokio::test]
async fn replies_hold_no_lines_of_a_scripts_own() {
    let server = server().await;
    let mut client = Wire::memory(&server);
    for script in [
        "return redis.error_reply('x\\r\\n+OK')",
        "return redis.error_reply('My x\\r\\n+OK')",
        "return redis.status_reply('x\\r\\n+OK')",
        "return {err = 'x\\r\\n+OK'}",
        "return {ok = 'x\\r\\n+OK'}",
        "return {err = 'x\\n+OK\\r'}",
        "return {redis.error_reply('x\\r\\n+OK'), redis.status_reply('\\r\\n+OK')}",
        "error('x\\r\\n+OK')",
        "error({err = 'x\\r\\n+OK'})",
        "return redis.call('x\\r\\n+OK')",
        "return redis.pcall('get', 'x\\r\\n', '+OK')",
        "return redis.pcall('config', 'set', 'x\\r\\n+OK', 'y')",
        "redis.call('set', 'x\\r\\n+OK') ",
        "x\r\n+OK",
        "return loadstring('x\\r\\n+OK')()",
        "local f, why = loadstring('x\\r\\n+OK', '@y\\r\\n+OK') return redis.error_reply(why)",
        "return _G['x\\r\\n+OK']",
        "redis.setresp(3) return {big_number = '1\\r\\n+OK'}",
        "redis.setresp(3) return {verbatim_string = {string = 'x', format = '\\r\\n+'}}",
        "redis.setresp(3) return {double = 1, ok = 'x\\r\\n+OK'}",
        "return bit.tohex('x\\r\\n+OK')",
        "return cjson.decode('x\\r\\n+OK')",
        "assert(false, 'x\\r\\n+OK')",
    ] {
        client.request(&["EVAL", script, "0"]).await;
        assert_eq!(client.call("ECHO still-in-step").await, "still-in-step", "{script}");
        let mut other = Wire::memory(&server);
        other.send(b"HELLO 3\r\n").await;
        other.send(&crate::support::encode(&["EVAL", script, "0"])).await;
        other.send(b"ECHO still-in-step\r\n").await;
        let replies = other.until(b"$13\r\nstill-in-step\r\n").await;
        let replies = String::from_utf8_lossy(&replies);
        assert!(!replies.contains("\n+OK"), "{script}: {replies}");
    }
}
