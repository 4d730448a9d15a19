//! What the language allows and its implementation has to survive.

use super::{assert_unharmed, check_scripts, eval, server, shortened};
use crate::support::Wire;

#[tokio::test]
async fn chunks_with_fresh_names_are_parsed_while_the_collector_works() {
    let server = server().await;
    let script = "
        local body = ('local a = {\"%s\", function() return \"%s\" end} '):rep(50)
        for i = 1, 300 do
            local text = body:gsub('%%s', function() return 'fresh' .. i .. math.random() end)
            assert(loadstring(text, ('name'):rep(50) .. i))
            assert(not loadstring(text .. ' =', '@' .. ('name'):rep(1000) .. i))
            if i % 50 == 0 then collectgarbage() end
        end
        return 'parsed'";
    check_scripts(&server, &[(script, "parsed")]).await;
}

#[tokio::test]
async fn unpack_and_select_count_without_overflow() {
    let (server, too_many) = (server().await, "too many results to unpack");
    check_scripts(
        &server,
        &[
            ("return {unpack({1,2,3}, -2, 2147483647)}", too_many),
            ("return {unpack({}, 0, 2147483647)}", too_many),
            ("return {unpack({}, -2147483648, 2147483647)}", too_many),
            ("return {unpack({}, 1, 1e6)}", too_many),
            ("return {unpack({1,2,3}, 2147483646, 2147483647)}", "[]"),
            ("return {unpack({}, 1, 2^53)}", "[]"),
            ("return {unpack({1, 2}, -1e300, 1e300)}", ""),
            ("return select(-1, 1, 2, 3)", "3"),
            ("return select(-2147483648, 1)", "index out of range"),
            ("return {select(2147483647, 1)}", "[]"),
            ("return {string.byte(('x'):rep(2000000), 1, -1)}", "string slice too long"),
            ("return string.char(unpack({}, 1, 10))", "number expected"),
            ("return ('x'):rep(-1)", ""),
            ("return table.concat({}, 'x', -2147483648, 2147483647)", "invalid value"),
        ],
    )
    .await;
}

#[tokio::test]
async fn long_brackets_may_be_as_long_as_memory_lasts() {
    let server = server().await;
    for length in [1, 1000, 1 << 20, 1 << 24, 1 << 25, 1 << 26] {
        let script = format!(
            "local chunk, why = loadstring('return [' .. ('='):rep({length})) \
             return tostring(chunk) .. (why or '')"
        );
        let reply = eval(&mut Wire::memory(&server), &script).await;
        let refused = reply.contains("invalid long string") || reply.contains("not enough memory");
        assert!(refused, "{length}: {}", shortened(&reply));
        assert_unharmed(&server, &script).await;
    }
    let closed = "local marks = ('='):rep(2^20)
        return loadstring('return [' .. marks .. '[inside]' .. marks .. ']')()";
    check_scripts(&server, &[(closed, "inside")]).await;
}

#[tokio::test]
async fn numbers_are_written_as_bits_whatever_the_width() {
    check_scripts(
        &server().await,
        &[
            ("return bit.tohex(65535, -2147483648)", "0000FFFF"),
            ("return bit.tohex(65535, 2147483647)", "0000ffff"),
            ("return bit.tohex(-1, -1e300)", "FFFFFFFF"),
            ("return bit.tohex(0/0, 1/0)", ""),
            ("return {bit.lshift(1, 1e9), bit.rol(1, -1e9), bit.arshift(-1, 2^31)}", "["),
            ("return struct.pack('i16777216', 1)", "integral size"),
            ("return struct.pack('!2147483648i', 1)", "-ERR"),
            ("return struct.pack('s2147483648', 'x')", "-ERR"),
            ("return {struct.unpack('c0', 'x')}", "-ERR"),
            ("return {struct.unpack('c2147483647', 'x')}", "too short"),
            ("return {struct.unpack('i', 'x', 2147483647)}", "-ERR"),
            ("return {struct.unpack('i', 'xxxx', -2147483648)}", "-ERR"),
            ("return struct.size('c2147483647c2147483647')", "4294967294"),
        ],
    )
    .await;
}

#[tokio::test]
async fn bytecode_is_not_loaded() {
    let server = server().await;
    check_scripts(
        &server,
        &[
            ("local code = string.dump(function() return 5 end) return loadstring(code)()", "-ERR"),
            (
                "local f, why = loadstring(string.dump(function() end)) return {type(f), why}",
                "[nil",
            ),
            ("local f, why = loadstring('\\27Lua') return {type(f), why}", "[nil"),
            ("local f, why = loadstring('\\27' .. ('x'):rep(100)) return {type(f), why}", "[nil"),
            (
                "local code, at = string.dump(function() return 5 end), 0
                 local f, why = load(function() at = at + 1 return code:sub(at, at) end)
                 return {type(f), why}",
                "[nil",
            ),
            ("return loadstring('return 5')()", "5"),
        ],
    )
    .await;
    let bytecode = [&b"\x1bLua"[..], &[0x51, 0, 1, 4, 8, 4, 8, 0], &[0; 100]].concat();
    for command in [&[&b"EVAL"[..], &bytecode, b"0"][..], &[b"SCRIPT", b"LOAD", &bytecode]] {
        let reply = Wire::memory(&server).request(command).await;
        assert!(reply.starts_with("-ERR Error compiling script"), "{reply}");
        assert_unharmed(&server, "bytecode").await;
    }
    let library = [&b"#!lua name=library\n"[..], &bytecode].concat();
    let reply = Wire::memory(&server).request(&[&b"FUNCTION"[..], b"LOAD", &library]).await;
    assert!(reply.starts_with("-ERR Error compiling function"), "{reply}");
    assert_unharmed(&server, "bytecode").await;
}

#[tokio::test]
async fn scripts_reach_neither_files_nor_processes_nor_other_functions_variables() {
    let server = server().await;
    for name in [
        "require", "io", "dofile", "loadfile", "print", "newproxy", "getfenv", "setfenv", "debug",
        "package", "module", "host",
    ] {
        let missing = format!("Script attempted to access nonexistent global variable '{name}'");
        check_scripts(&server, &[(&*format!("return type({name})"), &*missing)]).await;
        let raw = format!("return type(rawget(_G, '{name}'))");
        check_scripts(&server, &[(&*raw, "nil")]).await;
    }
    for name in ["execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname", "time"] {
        check_scripts(&server, &[(&*format!("return type(os.{name})"), "nil")]).await;
    }
    let names = "local names = {} for name in pairs(_G) do names[#names + 1] = name end
        table.sort(names) return table.concat(names, ' ')";
    let expected = "ARGV KEYS _G _VERSION assert bit cjson cmsgpack collectgarbage coroutine error \
                    gcinfo getmetatable ipairs load loadstring math next os pairs pcall rawequal \
                    rawget rawset redis select server setmetatable string struct table tonumber \
                    tostring type unpack xpcall";
    assert_eq!(eval(&mut Wire::memory(&server), names).await, expected);
}

#[tokio::test]
async fn patterns_neither_exhaust_the_stack_nor_escape_the_server() {
    let (server, complex) = (server().await, "pattern too complex");
    check_scripts(
        &server,
        &[
            ("return ('a'):rep(1e6):find(('a?'):rep(1e6))", complex),
            ("return ('a'):rep(1e6):find(('a'):rep(1e5) .. ('a-'):rep(1e5) .. 'b')", complex),
            ("return ('a'):rep(1e6):find(('(a)'):rep(40))", "too many captures"),
            ("return ('a'):rep(1e6):find(('a*'):rep(1e5) .. 'b')", complex),
            ("return ('x'):find('%b')", "-ERR"),
            ("return ('x'):find('%b('))", "-ERR"),
            ("return ('x'):find('%')", "-ERR"),
            ("return ('x'):find('[')", "malformed pattern"),
            ("return ('x'):find('[%')", "malformed pattern"),
            ("return ('x'):find('[^')", "malformed pattern"),
            ("return ('x'):find('[]')", "malformed pattern"),
            ("return ('x'):find('[a-')", "malformed pattern"),
            ("return ('x'):find('%f')", "-ERR"),
            ("return ('x'):find('%9')", "invalid capture index"),
            ("return ('x'):find('(x)%2')", "invalid capture index"),
            ("return ('x'):find('(x')", "unfinished capture"),
            ("return ('x'):gsub('x', '%9')", "invalid capture index"),
            ("return ('x'):gsub('x', '%')", ""),
            ("return #(('('):rep(1e6) .. (')'):rep(1e6)):match('%b()')", "2000000"),
            ("return #('x'):rep(1e7):match('.-$')", "10000000"),
            ("return #('x'):rep(1e7):match('.*')", "10000000"),
            ("return ('x'):find('\\0')", "(nil)"),
            ("return ('%d'):rep(1e5):format(unpack({}, 1, 7000))", "-ERR"),
            ("return ('%99999d'):format(1)", "invalid format"),
            ("return ('%.99f'):format(1e308)", "1000"),
            ("return ('%'):format()", "-ERR"),
            ("return #('%q'):format(('\"'):rep(1e6))", "2000002"),
        ],
    )
    .await;
}

#[tokio::test]
async fn recursion_of_any_kind_ends() {
    let (server, overflow) = (server().await, "overflow");
    check_scripts(
        &server,
        &[
            ("local function f() return f() + 1 end return f()", overflow),
            ("local function f() return coroutine.wrap(f)() end return f()", overflow),
            ("local function f() return coroutine.resume(coroutine.create(f)) end f()
              return 'survived'", "survived"),
            ("local function f() return pcall(f) end f() return 'survived'", "survived"),
            ("local function f() return xpcall(f, f) end f() return 'survived'", "survived"),
            ("local function f() error(setmetatable({}, {__tostring = f})) end f()", "-ERR"),
            ("local function f(s) return (s:gsub('.', f)) end return f('x')", overflow),
            ("local function f(n) return n == 0 and 'x' or (('x'):gsub('x', function() return f(n - 1) end)) end
              return f(180)", "x"),
            ("local function f(n) return n == 0 and 'x' or (('x'):gsub('x', function() return f(n - 1) end)) end
              return f(250)", overflow),
            ("local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end
              return t.x", overflow),
            ("local t = setmetatable({}, {}) getmetatable(t).__concat = function(a, b) return a .. b end
              return t .. t", overflow),
            ("local t = setmetatable({}, {}) getmetatable(t).__eq = function(a, b) return a == setmetatable({}, getmetatable(t)) end
              return t == setmetatable({}, getmetatable(t))", overflow),
            ("local t = {} setmetatable(t, {__index = t}) return t.x", "loop in gettable"),
            ("local t = {} setmetatable(t, {__newindex = t}) t.x = 1", "loop in settable"),
            ("local t = {} for i = 1, 100 do t[i] = i end
              local function f() table.sort(t, function() f() return true end) end f()", "-ERR"),
            ("local function f() return load(f) end return f()", "(nil)"),
            ("return loadstring('return ' .. ('('):rep(1e6) .. '1' .. (')'):rep(1e6))", "(nil)"),
            ("return loadstring('return ' .. ('{'):rep(1e6))", "(nil)"),
            ("return loadstring(('do '):rep(1e6))", "(nil)"),
            ("return loadstring(('function f() '):rep(1e5))", "(nil)"),
            ("return loadstring('return ' .. ('-'):rep(1e6):gsub('-', '- ') .. '1')", "(nil)"),
            ("return loadstring('return ' .. ('a..'):rep(1e6) .. 'a')", "(nil)"),
            ("return loadstring('return ' .. ('2^'):rep(1e6) .. '2')", "(nil)"),
            ("return loadstring(('a.'):rep(1e6) .. 'b = 1') and 'loaded'", "loaded"),
        ],
    )
    .await;
}

#[tokio::test]
async fn coroutines_end_with_their_script() {
    check_scripts(
        &server().await,
        &[
            ("return coroutine.yield(1)", "attempt to yield"),
            ("coroutine.wrap(function() redis.call('ping') coroutine.yield() end)() return 'left'", "left"),
            ("return coroutine.resume(coroutine.running() or 5)", "coroutine expected"),
            ("local co co = coroutine.wrap(function() co() end) co()", "-ERR"),
            ("local co co = coroutine.create(function() return coroutine.resume(co) end)
              return {coroutine.resume(co)}", "[1, (nil)"),
            ("local t = {} for i = 1, 10000 do t[i] = coroutine.wrap(function() coroutine.yield() end) t[i](i) end
              return #t", "10000"),
            ("return coroutine.wrap(function() return {pcall(coroutine.yield, 1)} end)()", "[(nil), attempt to yield"),
            ("return coroutine.wrap(function() return ('x'):gsub('x', coroutine.yield) end)()", "-ERR"),
            ("return coroutine.wrap(function() return redis.call('echo', coroutine.yield()) end)()", ""),
            ("return coroutine.wrap(redis.call)('echo', 'hello')", "Lua function expected"),
            ("return coroutine.wrap(function() return redis.pcall('get') end)()", "Wrong number of args"),
            ("return coroutine.wrap(function() return redis.call('get') end)()", "Wrong number of args"),
            ("return coroutine.wrap(function() cjson.decode('{') end)()", "Expected object key"),
            ("return coroutine.wrap(function() error('why') end)()", "why"),
        ],
    )
    .await;
}

#[tokio::test]
async fn errors_of_any_kind_are_replies() {
    check_scripts(
        &server().await,
        &[
            ("error()", "-ERR"),
            ("error(nil)", "-ERR"),
            ("error({})", "-ERR unknown error"),
            ("error(function() end)", "-ERR"),
            ("error(setmetatable({}, {__tostring = error}))", "-ERR"),
            ("error(setmetatable({}, {__index = error}))", "-ERR"),
            ("error({err = {}})", "-ERR"),
            ("error({err = 5})", "-5"),
            ("error(('x'):rep(1e6))", "-ERR"),
            ("error('x', 2147483647)", "-ERR"),
            ("error('x', -2147483648)", "-ERR"),
            ("error(coroutine.create(error))", "-ERR"),
            ("xpcall(error, error) return 'survived'", "survived"),
            ("xpcall(error, function() error() end) return 'survived'", "survived"),
            ("xpcall(error, coroutine.yield) return 'survived'", "survived"),
            ("return pcall(pcall)", "1"),
            ("pcall(error, setmetatable({}, {__index = error})) return 'survived'", "survived"),
            ("return tostring(setmetatable({}, {__tostring = function() return {} end}))", "[]"),
            ("return setmetatable({}, {__index = function() error('inside') end})", "[]"),
            ("return setmetatable({}, {__len = error, __gc = error, __mode = 'kv'})", "[]"),
        ],
    )
    .await;
}

#[tokio::test]
async fn orders_that_contradict_themselves_end_a_sort() {
    check_scripts(
        &server().await,
        &[
            (
                "local t = {} for i = 1, 1000 do t[i] = i end
              table.sort(t, function() return true end)",
                "invalid order function",
            ),
            (
                "local t = {} for i = 1, 1000 do t[i] = i end
              pcall(table.sort, t, function(a, b) return math.random(2) == 1 end) return #t",
                "1000",
            ),
            (
                "local t = {} for i = 1, 1000 do t[i] = i end
              table.sort(t, function() for i = 1, 1000 do t[i] = nil end return true end)",
                "-ERR",
            ),
            ("local t = {3, 'a', {}, false} table.sort(t)", "attempt to compare"),
            ("local t = {1, 2, 3} t[1e9] = 5 table.sort(t) return #t", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn scripts_of_ten_megabytes_run_or_are_refused() {
    let server = server().await;
    let statements = "local t = 'text' ".repeat(150).replace("local t", "t");
    for (script, expected) in [
        (format!("return 'long' --{}", "x".repeat(10 << 20)), "long"),
        (format!("return #'{}'", "x".repeat(10 << 20)), "10485760"),
        (format!("local t {} return t", statements.repeat(5000)), "text"),
        (format!("return {}1", "1+".repeat(5 << 20)), "5242881"),
        (
            format!("return {}1{}", "(".repeat(5 << 20), ")".repeat(5 << 20)),
            "too many syntax levels",
        ),
        (format!("local {}", "a,".repeat(5 << 20)), "more than 200 local variables"),
        (format!("return #{{{}}}", "1,".repeat(1 << 20)), "1048576"),
        ("\u{1b}".repeat(10 << 20), "-ERR Error compiling"),
        ("\0".repeat(10 << 20), "-ERR Error compiling"),
    ] {
        let reply = eval(&mut Wire::memory(&server), &script).await;
        let begin = &script[..20];
        assert!(reply.contains(expected), "{begin}: {}", shortened(&reply));
        assert_unharmed(&server, begin).await;
    }
}
