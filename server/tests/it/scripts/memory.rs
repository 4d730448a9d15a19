//! Scripts that ask for more than there is: each is refused, the server's memory has an end, and the next script has
//! as much as the one before.

use redlet::Server;

use super::{assert_unharmed, eval, server, shortened};
use crate::support::{Wire, alone_async, peak_bytes};

const MEGABYTE: usize = 1 << 20;

/// Runs scripts in turn, and asserts that all of them together take no more memory than that.
async fn check_within(megabytes: usize, server: &Server, scripts: &[(&str, &str)]) {
    let before = peak_bytes();
    for (script, expected) in scripts {
        let reply = eval(&mut Wire::memory(server), script).await;
        assert!(reply.contains(expected), "{script}\n{}", shortened(&reply));
        assert_unharmed(server, script).await;
        let taken = (peak_bytes() - before) / MEGABYTE;
        assert!(taken < megabytes, "{taken} MB after {script}");
    }
}

const NONE_LEFT: &str = "not enough memory";

#[test]
fn values_that_take_too_much_are_refused() {
    alone_async(module_path!(), "values_that_take_too_much_are_refused", async || {
        let scripts = [
            ("return #('x'):rep(1e10)", NONE_LEFT),
            ("return #('x'):rep(2^31 - 1)", NONE_LEFT),
            ("return #('x'):rep(1e9):rep(1e9)", NONE_LEFT),
            ("local s = 'x' while true do s = s .. s end", NONE_LEFT),
            ("local t = {} while true do t[#t + 1] = {} end", NONE_LEFT),
            ("local t = {} while true do t[#t + 1] = #t .. 'x' end", NONE_LEFT),
            ("local t = {} while true do t = {t} end", NONE_LEFT),
            ("local f while true do local g = f f = function() return g end end", NONE_LEFT),
            (
                "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end",
                NONE_LEFT,
            ),
            ("local t = {} for i = 1, 1e9 do t[i] = loadstring('return ' .. i) end", NONE_LEFT),
            (
                "local s = ('x'):rep(1e6) local t = {} for i = 1, 1e6 do t[i] = s end
              return #table.concat(t)",
                NONE_LEFT,
            ),
            ("return #('x'):rep(1e6):gsub('x', ('y'):rep(1e6))", NONE_LEFT),
            ("return #('%s%s%s%s'):rep(1000):format(unpack({('x'):rep(1e6)}))", "-ERR"),
            ("return load(function() return 'x' end)", "(nil)"),
            (
                "local n = 0 return load(function() n = n + 1 return 'local a' .. n .. ' = {} do ' end)",
                "(nil)",
            ),
            ("while true do pcall(string.rep, 'x', 2^31 - 1) error('once') end", "once"),
            (
                "local t = {} return pcall(function() while true do t[#t + 1] = ('x'):rep(1000) .. #t end end) and 1 or #t > 10000 and 'caught'",
                "caught",
            ),
            (
                "return xpcall(function() return ('x'):rep(2^31 - 1) end, function() return ('x'):rep(2^31 - 1) end)",
                "",
            ),
        ];
        check_within(300, &server().await, &scripts).await;
    });
}

#[test]
fn libraries_make_no_more_than_a_script_may_have() {
    alone_async(module_path!(), "libraries_make_no_more_than_a_script_may_have", async || {
        let scripts = [
            ("local t = {} for i = 1, 900 do t = {t} end return #cjson.encode(t)", "1802"),
            ("local t = {} for i = 1, 10000 do t = {t} end return cjson.encode(t)", "-ERR"),
            ("cjson.encode_max_depth(1e6) local t = {} for i = 1, 1e5 do t = {t} end
              local ok, why = pcall(cjson.encode, t) cjson.encode_max_depth(1000) return why", ""),
            ("local t = {} t[1] = t return cjson.encode(t)", "-ERR"),
            ("local t = {} t.t = t return cjson.encode(t)", "-ERR"),
            ("local s = ('x'):rep(1e6) local t = {} for i = 1, 1e5 do t[i] = s end return #cjson.encode(t)", NONE_LEFT),
            ("return #cjson.encode(('\\0'):rep(2e7))", NONE_LEFT),
            ("return #cjson.encode({[2^30] = 1})", "-ERR"),
            ("cjson.encode_sparse_array(true, 0, 0) local ok, why = pcall(cjson.encode, {[2^30] = 1})
              cjson.encode_sparse_array(false, 2, 10) return why", NONE_LEFT),
            ("return cjson.decode(('['):rep(1e6))", "too many nested"),
            ("return cjson.decode(('{\"a\":'):rep(1e6))", "too many nested"),
            ("cjson.decode_max_depth(1e7) local ok, why = pcall(cjson.decode, ('['):rep(1e7))
              cjson.decode_max_depth(1000) return why", ""),
            ("return #cjson.decode('[' .. ('1,'):rep(1e7) .. '1]')", ""),
            ("return #cjson.decode('[' .. ('[],'):rep(2e7) .. '1]')", NONE_LEFT),
            ("local t = {} for i = 1, 20 do t[i] = cjson.decode('[' .. ('[],'):rep(1e6) .. '1]') end", NONE_LEFT),
            ("return cjson.decode('\"' .. ('\\\\u0000'):rep(1e6) .. '\"') and 1", "1"),
            ("return cjson.decode(('9'):rep(1e7))", ""),
            ("local t = {} for i = 1, 10000 do t = {t} end return #cmsgpack.pack(t)", ""),
            ("local t = {} t[1] = t return #cmsgpack.pack(t)", ""),
            ("local s = ('x'):rep(1e6) local t = {} for i = 1, 1e5 do t[i] = s end return #cmsgpack.pack(t)", NONE_LEFT),
            ("return cmsgpack.unpack(('\\145'):rep(1e6))", "-ERR"),
            ("return cmsgpack.unpack('\\221\\255\\255\\255\\255')", "-ERR"),
            ("return cmsgpack.unpack('\\223\\255\\255\\255\\255')", "-ERR"),
            ("return cmsgpack.unpack('\\219\\255\\255\\255\\255')", "-ERR"),
            ("return {cmsgpack.unpack_limit(('\\1'):rep(1e6), 2147483647)}", "-ERR"),
            ("return {cmsgpack.unpack(('\\1'):rep(1e6))}", "-ERR"),
            ("local t = {} for i = 1, 20 do t[i] = cmsgpack.unpack('\\221\\0\\15\\66\\64' .. ('\\144'):rep(1e6)) end", NONE_LEFT),
            ("return #struct.pack(('i'):rep(1e7), 1)", "-ERR"),
            ("return #struct.pack('c2147483647', 'x')", "-ERR"),
            ("return #struct.pack(('x'):rep(7e7))", NONE_LEFT),
            ("return redis.sha1hex(('x'):rep(3e7))", ""),
        ];
        check_within(1000, &server().await, &scripts).await;
    });
}

#[test]
fn what_commands_bring_counts_like_what_scripts_make() {
    alone_async(module_path!(), "what_commands_bring_counts_like_what_scripts_make", async || {
        let server = server().await;
        server.direct().set("large", vec![b'x'; 8 * MEGABYTE]);
        let scripts = [(
            "local t = {} for i = 1, 100 do t[i] = 0 end
              for i = 1, 100 do t[i] = redis.call('getrange', 'large', i, -1) end return #t",
            NONE_LEFT,
        )];
        check_within(400, &server, &scripts).await;
    });
}

#[test]
fn arguments_and_replies_have_an_end() {
    alone_async(module_path!(), "arguments_and_replies_have_an_end", async || {
        let scripts = [
            (
                "local s = ('x'):rep(1e6) local t = {} for i = 1, 7000 do t[i] = s end
              return redis.call('del', unpack(t))",
                "take more than 512 megabytes",
            ),
            (
                "local s = ('x'):rep(1e6) local t = {} for i = 1, 5e5 do t[i] = s end return t",
                "larger than 512 megabytes",
            ),
            (
                "local s = ('x'):rep(1e7) local t = {} for i = 1, 100 do t[i] = {ok = s} end return t",
                "larger than 512 megabytes",
            ),
            (
                "local t = {1} for i = 1, 40 do t = {t, t} end return t",
                "has more than 8388608 values",
            ),
            ("local t = {} t[1] = t t[2] = t return t", "has more than 8388608 values"),
        ];
        check_within(1200, &server().await, &scripts).await;
    });
}

#[tokio::test]
async fn replies_may_contain_themselves_and_be_as_deep_as_they_like() {
    let server = server().await;
    for script in [
        "local t = {} t[1] = t return t",
        "local t = {} t.map = t return t",
        "local t = {map = {}} t.map.key = t return t",
        "local t = {set = {}} t.set[t] = true return t",
        "local t = {} for i = 1, 10000 do t = {t} end return t",
        "local t = {} for i = 1, 1e5 do t = {t} end return t",
        "local t = {} for i = 1, 1e5 do t = {map = {[1] = t}} end return t",
    ] {
        let mut client = Wire::memory(&server);
        client.send(&crate::support::encode(&["EVAL", script, "0"])).await;
        client.send(b"ECHO end-of-reply\r\n").await;
        let reply = client.until(b"end-of-reply\r\n").await;
        assert!(reply.len() < MEGABYTE, "{script}: {}", reply.len());
        let text = String::from_utf8_lossy(&reply);
        assert!(
            text.contains("-ERR reached lua stack limit\r\n"),
            "{script}: {}",
            shortened(&text)
        );
        assert_unharmed(&server, script).await;
    }
}

#[tokio::test]
async fn a_script_has_as_much_memory_whatever_was_there_before() {
    let server = server().await;
    let mut client = Wire::memory(&server);
    let modest = "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1e6) .. i end return #t";
    for before in [
        "return #('x'):rep(2^31 - 1)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} for i = 1, 55 do t[i] = ('x'):rep(1e6) .. i end return #t",
        "local t = {} for i = 1, 5e5 do t[i] = {i} end return #t",
        "local t = {} for i = 1, 300 do t[i] = coroutine.create(error) end return #t",
        "local s = ('x'):rep(5e7) return #s",
    ] {
        for _ in 0..3 {
            eval(&mut client, before).await;
            assert_eq!(eval(&mut client, modest).await, "20", "after {before}");
        }
    }
}

#[tokio::test]
async fn large_scripts_that_are_remembered_take_nothing_from_others() {
    let server = server().await;
    let mut client = Wire::memory(&server);
    let modest = "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1e6) .. i end return #t";
    for number in 0..8 {
        let large = format!("return #'{number}{}'", "x".repeat(10 * MEGABYTE));
        assert_eq!(eval(&mut client, &large).await, (10 * MEGABYTE + 1).to_string());
    }
    assert_eq!(eval(&mut client, modest).await, "20");
}
