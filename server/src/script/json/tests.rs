//! The library as a script sees it.

use mlua::{Lua, Table, Value};

use super::library;

/// A VM with the library in it.
fn vm() -> Lua {
    let lua = crate::script::vm::bare().unwrap();
    let tools: Table = lua.globals().get("host").unwrap();
    let table = library(&lua, &tools.get("wrap").unwrap()).unwrap();
    lua.globals().set("cjson", table).unwrap();
    lua
}

/// What a script returns, as text; an error begins with an exclamation mark.
fn run(lua: &Lua, script: &str) -> String {
    match lua.load(script).set_name("=script").eval::<Value>() {
        Ok(Value::String(text)) => text.to_string_lossy(),
        Ok(value) => value.to_string().unwrap(),
        Err(mlua::Error::RuntimeError(text)) => {
            let message = text.lines().next().unwrap_or_default();
            format!("!{}", message.strip_prefix("script:1: ").unwrap_or(message))
        }
        Err(error) => format!("not of the library: {error}"),
    }
}

fn check(rows: &[(&str, &str)]) {
    let lua = vm();
    for (script, expected) in rows {
        assert_eq!(run(&lua, &format!("return {script}")), *expected, "{script}");
    }
}

#[test]
fn values_are_encoded() {
    check(&[
        ("cjson.encode(nil)", "null"),
        ("cjson.encode(cjson.null)", "null"),
        ("cjson.encode(true)", "true"),
        ("cjson.encode(1.5)", "1.5"),
        ("cjson.encode({})", "{}"),
        ("cjson.encode({1, 'a', false, cjson.null, {}})", r#"[1,"a",false,null,{}]"#),
        ("cjson.encode({{a = {1, {b = 2}, 3}}, 4})", r#"[{"a":[1,{"b":2},3]},4]"#),
        (r"cjson.encode('a/b\\\n\r\t\b\f\1\127\0')", r#""a\/b\\\n\r\t\b\f\u0001\u007f\u0000""#),
        (
            "cjson.encode('no escape in a longer text, \"but\" here')",
            r#""no escape in a longer text, \"but\" here""#,
        ),
        ("cjson.encode('é€')", "\"é€\""),
        (r#"cjson.encode('\255') == '"\255"'"#, "true"),
    ]);
}

#[test]
fn keys_decide_between_array_and_object() {
    check(&[
        ("cjson.encode({[3] = 'c'})", r#"[null,null,"c"]"#),
        ("cjson.encode({1, 2, nil, 4})", "[1,2,null,4]"),
        ("cjson.encode({1, x = 2})", r#"{"1":1,"x":2}"#),
        ("cjson.encode({['1'] = 2})", r#"{"1":2}"#),
        ("cjson.encode({[0] = 1})", r#"{"0":1}"#),
        ("cjson.encode({[1.5] = 1})", r#"{"1.5":1}"#),
        ("cjson.encode({[2^31] = 1})", r#"{"2147483648":1}"#),
        ("cjson.encode({[2^32 + 3] = 1, [2] = 7})", "[null,7]"),
        ("cjson.encode({[-1/0] = 1})", "!Cannot serialise number: must not be NaN or Inf"),
        ("cjson.encode({inf = 1})", r#"{"inf":1}"#),
        ("cjson.encode({[11] = 1})", "!Cannot serialise table: excessively sparse array"),
        (
            "cjson.encode({1, tostring, [30] = 1})",
            "!Cannot serialise table: excessively sparse array",
        ),
        ("cjson.encode(setmetatable({}, {__index = {1}, __len = tostring}))", "{}"),
    ]);
}

#[test]
fn what_json_does_not_have_is_refused() {
    check(&[
        ("cjson.encode(tostring)", "!Cannot serialise function: type not supported"),
        (
            "cjson.encode({a = coroutine.create(function() end)})",
            "!Cannot serialise thread: type not supported",
        ),
        (
            "cjson.encode({[true] = 1})",
            "!Cannot serialise boolean: table key must be a number or string",
        ),
        (
            "cjson.encode({[{}] = 1})",
            "!Cannot serialise table: table key must be a number or string",
        ),
        ("cjson.encode(0/0)", "!Cannot serialise number: must not be NaN or Inf"),
        ("cjson.encode()", "!bad argument #1 to 'encode' (expected 1 argument)"),
        ("cjson.encode(1, 2)", "!bad argument #1 to 'encode' (expected 1 argument)"),
    ]);
}

#[test]
fn the_first_thing_wrong_is_told() {
    let lua = vm();
    let script = "cjson.encode_max_depth(2) return cjson.encode({{{}}, tostring})";
    assert_eq!(run(&lua, script), "!Cannot serialise, excessive nesting (3)");
    let script = "return cjson.encode({tostring, {{}}})";
    assert_eq!(run(&lua, script), "!Cannot serialise function: type not supported");
}

#[test]
fn texts_are_decoded() {
    check(&[
        ("cjson.decode('\"text\"')", "text"),
        (r#"cjson.decode('"\\n\\/\\u0041\\u00e9\\ud83d\\ude00"')"#, "\n/Aé😀"),
        (r#"cjson.decode('"\\u0000"') == '\0'"#, "true"),
        ("cjson.decode('null') == cjson.null", "true"),
        ("cjson.decode(' [1, [2, {\"a\": 3}], {}] ')[2][2].a", "3"),
        ("cjson.decode('{\"a\": 1, \"a\": 2}').a", "2"),
        ("type(next(cjson.decode('{\"1\": 1}')))", "string"),
        (r#"cjson.decode('{"\255": "\254"}')['\255'] == '\254'"#, "true"),
        ("cjson.decode(5)", "5"),
        ("cjson.decode('0x10')", "16"),
        ("cjson.decode('+1')", "1"),
        ("cjson.decode('-Infinity')", "-inf"),
        (r"cjson.decode('12\0 garbage')", "12"),
    ]);
}

#[test]
fn what_is_no_json_is_refused() {
    for (text, error) in [
        ("", "value but found T_END at character 1"),
        ("[1", "comma or array end but found T_END at character 3"),
        ("[1,]", "value but found T_ARR_END at character 4"),
        ("[1 2]", "comma or array end but found T_NUMBER at character 4"),
        (r#"{"a"}"#, "colon but found T_OBJ_END at character 5"),
        (r#"{"a":1"#, "comma or object end but found T_END at character 7"),
        (r#"{"a":1,}"#, "object key string but found T_OBJ_END at character 8"),
        ("{1:1}", "object key string but found T_NUMBER at character 2"),
        ("[1]]", "the end but found T_ARR_END at character 4"),
        ("nul", "value but found invalid token at character 1"),
        ("-", "value but found invalid number at character 1"),
        (r#""open"#, "value but found unexpected end of string at character 6"),
        (r#""a\x""#, "value but found invalid escape code at character 3"),
        (r#""\u12""#, "value but found invalid unicode escape code at character 2"),
        (r#""\ud83d""#, "value but found invalid unicode escape code at character 2"),
        (r#""\ude00\ud83d""#, "value but found invalid unicode escape code at character 2"),
        (r#""\ud83d\u0041""#, "value but found invalid unicode escape code at character 2"),
    ] {
        check(&[(&format!("cjson.decode([==[{text}]==])"), &format!("!Expected {error}"))]);
    }
    check(&[
        (r"cjson.decode('\0[1]')", "!JSON parser does not support UTF-16 or UTF-32"),
        ("cjson.decode({})", "!bad argument #1 to 'decode' (string expected, got table)"),
        (
            "cjson.decode(cjson.null)",
            "!bad argument #1 to 'decode' (string expected, got userdata)",
        ),
        ("cjson.decode()", "!bad argument #1 to 'decode' (expected 1 argument)"),
    ]);
}

#[test]
fn settings_last_and_belong_to_their_table() {
    let lua = vm();
    for (script, expected) in [
        ("return cjson.encode_number_precision(3)", "3"),
        ("return cjson.encode(1/3)", "0.333"),
        ("return cjson.encode({[1/3] = 1})", r#"{"0.333":1}"#),
        ("return cjson.new().encode(1/3)", "0.33333333333333"),
        ("return cjson.encode_invalid_numbers('null')", "null"),
        ("return cjson.encode({0/0, a = 1/0})", r#"{"1":null,"a":null}"#),
        ("return cjson.encode_invalid_numbers(true)", "true"),
        ("return cjson.encode({0/0, 1/0, -1/0})", "[nan,inf,-inf]"),
        ("return cjson.encode_sparse_array(true)", "true"),
        ("return cjson.encode({[1000] = 'x'})", r#"{"1e+03":"x"}"#),
        ("return cjson.decode_invalid_numbers('off')", "false"),
        ("return cjson.decode('nan')", "!Expected value but found invalid token at character 1"),
        ("return cjson.decode('01')", "!Expected value but found invalid number at character 1"),
        ("return cjson.encode_keep_buffer(false)", "false"),
        ("return cjson.encode_keep_buffer()", "false"),
        ("return select('#', cjson.encode_sparse_array())", "3"),
        // What is in front of a wrong argument is set all the same.
        (
            "return cjson.encode_sparse_array(false, 7, -1)",
            "!bad argument #1 to 'encode_sparse_array' (expected integer between 0 and 2147483647)",
        ),
        ("return select(2, cjson.encode_sparse_array())", "7"),
    ] {
        assert_eq!(run(&lua, script), expected, "{script}");
    }
}

#[test]
fn settings_take_what_lua_takes_for_them() {
    check(&[
        ("cjson.encode_max_depth()", "1000"),
        ("cjson.encode_max_depth('7')", "7"),
        ("cjson.encode_max_depth(9.99)", "9"),
        ("cjson.encode_max_depth(2^32 + 5)", "5"),
        ("select(2, cjson.encode_sparse_array(nil, 1/0))", "0"),
        (
            "cjson.encode_max_depth(0)",
            "!bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)",
        ),
        (
            "cjson.encode_sparse_array(nil, 'x')",
            "!bad argument #2 to 'encode_sparse_array' (number expected, got string)",
        ),
        (
            "cjson.encode_number_precision(15)",
            "!bad argument #1 to 'encode_number_precision' (expected integer between 1 and 14)",
        ),
        (
            "cjson.encode_keep_buffer('nonsense')",
            "!bad argument #1 to 'encode_keep_buffer' (invalid option 'nonsense')",
        ),
        (
            "cjson.encode_keep_buffer(5)",
            "!bad argument #1 to 'encode_keep_buffer' (invalid option '5')",
        ),
        (
            "cjson.encode_keep_buffer({})",
            "!bad argument #1 to 'encode_keep_buffer' (string expected, got table)",
        ),
        (
            "cjson.decode_max_depth(1, 2)",
            "!bad argument #2 to 'decode_max_depth' (found too many arguments)",
        ),
    ]);
}

#[test]
fn depth_has_limits() {
    check(&[
        ("#cjson.decode(('['):rep(1000) .. (']'):rep(1000))", "1"),
        (
            "#cjson.decode(('['):rep(1001) .. (']'):rep(1001))",
            "!Found too many nested data structures (1001) at character 1001",
        ),
    ]);
    let lua = vm();
    let script = "local t = {} for i = 1, 1000 do t = {t} end return cjson.encode(t)";
    assert_eq!(run(&lua, script), "!Cannot serialise, excessive nesting (1001)");
    let script = "local t = {} t.a = {t} return cjson.encode(t)";
    assert_eq!(run(&lua, script), "!Cannot serialise, excessive nesting (1001)");
}

#[test]
fn no_depth_overflows_a_small_stack() {
    const STACK_BYTES: usize = 256 << 10;
    let scripts = || {
        let lua = vm();
        run(&lua, "cjson.encode_max_depth(2^31 - 1) cjson.decode_max_depth(2^31 - 1)");
        for (nested, expected) in [("{t}", 7998), ("{a = t}", 4000), ("{1, [3] = t}", 7998)] {
            let script =
                format!("local t = {{}} for i = 1, 1e5 do t = {nested} end return cjson.encode(t)");
            let expected = format!("!Cannot serialise, excessive nesting ({expected})");
            assert_eq!(run(&lua, &script), expected);
        }
        let error = run(&lua, "return cjson.decode(('{\"a\":'):rep(1e6))");
        assert_eq!(error, "!Found too many nested data structures (4000) at character 19996");
        let error = run(&lua, "return cjson.decode(('['):rep(1e6))");
        assert!(error.starts_with("!Found too many nested data structures (79"), "{error}");
        let text = "('['):rep(7000) .. (']'):rep(7000)";
        assert_eq!(
            run(&lua, &format!("return cjson.encode(cjson.decode({text})) == {text}")),
            "false"
        );
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(scripts).unwrap().join().unwrap();
}

#[test]
fn a_text_has_a_limit() {
    check(&[
        ("cjson.encode((('x'):rep(60 * 2^20))):len()", "62914562"),
        ("cjson.encode(('x'):rep(65 * 2^20))", "!not enough memory"),
        ("cjson.encode(('\\0'):rep(11 * 2^20))", "!not enough memory"),
    ]);
    let lua = vm();
    for script in [
        "local s, t = ('x'):rep(2^20), {} for i = 1, 65 do t[i] = s end return cjson.encode(t)",
        "local s, t = ('x'):rep(2^20), {} for i = 1, 65 do t[i] = {s} end return cjson.encode(t)",
        "cjson.encode_sparse_array(true, 0) return cjson.encode({[2^31 - 1] = 1})",
    ] {
        assert_eq!(run(&lua, script), "!not enough memory", "{script}");
    }
}

#[test]
fn many_tables_in_one_are_kept_apart() {
    let lua = vm();
    let script = "
        local t, sum = {}, 0
        for i = 1, 3000 do t['k' .. i] = {i, {x = {i}}} end
        for k, v in pairs(cjson.decode(cjson.encode(t))) do
            assert(k == 'k' .. v[1] and v[1] == v[2].x[1])
            sum = sum + v[1]
        end
        return sum";
    assert_eq!(run(&lua, script), "4501500");
}

#[test]
fn bytes_of_any_kind_do_no_harm() {
    let lua = vm();
    let decode: mlua::Function =
        lua.load("return (pcall(cjson.decode, ...))").into_function().unwrap();
    let alphabet = b"{}[]:,\"\\\\u00d8aef0x1.-+eEnulltrsiN \n\0\x01\x7f\x80\xff";
    let mut state: u64 = 3;
    for _ in 0..20_000 {
        let mut text = Vec::new();
        for _ in 0..state >> 60 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        decode.call::<bool>(lua.create_string(&text).unwrap()).unwrap();
    }
}
