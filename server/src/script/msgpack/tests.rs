use std::fmt::Write as _;

use super::super::calling::{Noise, call, check_calls};
use super::*;

#[test]
fn numbers_take_the_fewest_bytes() {
    for (number, expected) in [
        ("0", "00"),
        ("0 * -1", "00"),
        ("127", "7f"),
        ("128", "cc80"),
        ("255", "ccff"),
        ("256", "cd0100"),
        ("65535", "cdffff"),
        ("65536", "ce00010000"),
        ("4294967295", "ceffffffff"),
        ("4294967296", "cf0000000100000000"),
        ("2^63 - 1024", "cf7ffffffffffffc00"),
        ("-1", "ff"),
        ("-32", "e0"),
        ("-33", "d0df"),
        ("-128", "d080"),
        ("-129", "d1ff7f"),
        ("-32768", "d18000"),
        ("-32769", "d2ffff7fff"),
        ("-2^31", "d280000000"),
        ("-2^31 - 1", "d3ffffffff7fffffff"),
        ("-2^63", "d38000000000000000"),
        ("2^63", "ca5f000000"),
        ("1.5", "ca3fc00000"),
        ("0.1", "cb3fb999999999999a"),
        ("-1/0", "caff800000"),
        ("1e-50", "cb358dee7a4ad4b81f"),
    ] {
        assert_eq!(packed(number), expected, "{number}");
    }
}

#[test]
fn texts_have_heads_for_their_lengths() {
    for (len, head) in [
        (0, "a0"),
        (31, "bf"),
        (32, "d920"),
        (255, "d9ff"),
        (256, "da0100"),
        (65535, "daffff"),
        (65536, "db00010000"),
    ] {
        let expected = format!("{head}{}", "78".repeat(len));
        assert_eq!(packed(&format!("string.rep('x', {len})")), expected, "{len} bytes");
    }
}

#[test]
fn tables_are_arrays_only_without_holes_and_other_keys() {
    for (table, expected) in [
        ("{}", "90"),
        ("{1, 2, 3}", "93010203"),
        ("{1, false}", "9201c2"),
        ("{a = 1}", "81a16101"),
        ("{1, nil, 3}", "8201010303"),
        ("{nil, 2}", "810202"),
        ("{[0] = 1}", "810001"),
        ("{[1.5] = 1}", "81ca3fc0000001"),
        ("{[-1] = 1}", "81ff01"),
        ("{[true] = 1}", "81c301"),
        ("{1, nil, 3, x = 1}", "83010103 03a17801"),
        ("setmetatable({1, nil, 3}, {__index = function() return 2 end})", "8201010303"),
        ("{{}, {{1}}}", "9290919101"),
        ("{[{}] = {}}", "819090"),
    ] {
        assert_eq!(packed(table), expected.replace(' ', ""), "{table}");
    }
    for (len, head) in [(15, "9f"), (16, "dc0010"), (65535, "dcffff"), (65536, "dd00010000")] {
        let table = made(&format!("for i = 1, {len} do t[i] = 1 end"));
        assert_eq!(packed(&table), format!("{head}{}", "01".repeat(len)), "{len} elements");
    }
}

#[test]
fn what_has_no_form_is_nil() {
    for value in ["nil", "next", "coroutine.create(function() end)"] {
        assert_eq!(packed(value), "c0", "{value}");
    }
    assert_eq!(packed("true, false, {next}"), "c3c291c0");
}

#[test]
fn nesting_ends_after_sixteen_tables() {
    for (depth, last) in [(15, "90"), (16, "c0"), (20, "c0")] {
        let table = made(&format!("for i = 1, {depth} do t = {{t}} end"));
        assert_eq!(packed(&table), format!("{}{last}", "91".repeat(depth.min(16))), "{depth}");
    }
    let itself = made("t.a = t");
    assert_eq!(packed(&itself), format!("{}c0", "81a161".repeat(16)));
}

#[test]
fn pack_refuses() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "", "!0 MessagePack pack needs input."),
            ("pack", "unpack({}, 1, 4001)", "!0 Too many arguments for MessagePack pack."),
            (
                "pack",
                "unpack({[4000] = {}}, 1, 4000)",
                "!stack overflow (in function table_is_an_array)",
            ),
            (
                "pack",
                "unpack({[3999] = {a = 1}}, 1, 3999)",
                "!stack overflow (in function mp_encode_lua_table_as_map)",
            ),
        ],
    );
}

#[test]
fn every_kind_is_unpacked() {
    check_calls(
        FUNCTIONS,
        &[
            ("unpack", "''", ""),
            ("unpack", r"'\5\224\204\200\205\1\0\206\0\1\0\0'", "5 -32 200 256 65536"),
            ("unpack", r"'\207\255\255\255\255\255\255\255\255'", "-1"),
            ("unpack", r"'\208\128\209\128\0\210\128\0\0\0'", "-128 -32768 -2147483648"),
            ("unpack", r"'\211\255\255\255\255\255\255\255\254'", "-2"),
            ("unpack", r"'\202\63\192\0\0\203\63\248\0\0\0\0\0\0'", "1.5 1.5"),
            ("unpack", r"'\192\194\195'", "nil false true"),
            ("unpack", r"'\161a\217\1b\218\0\1c\219\0\0\0\1d'", "'a' 'b' 'c' 'd'"),
            ("unpack", r"'\146\1\144\220\0\1\2\221\0\0\0\1\3'", "{1=1 2={}} {1=2} {1=3}"),
            ("unpack", r"'\129\161a\128\222\0\1\1\2\223\0\0\0\1\144\3'", "{'a'={}} {1=2} {{}=3}"),
            ("unpack", "5", "53"),
        ],
    );
}

#[test]
fn wrong_data_is_refused() {
    check_calls(
        FUNCTIONS,
        &[
            ("unpack", r"'\204'", "!Missing bytes in input."),
            ("unpack", r"'\203\1\2'", "!Missing bytes in input."),
            ("unpack", r"'\162a'", "!Missing bytes in input."),
            ("unpack", r"'\219\255\255\255\255'", "!Missing bytes in input."),
            ("unpack", r"'\221\255\255\255\255\1'", "!Missing bytes in input."),
            ("unpack", r"'\129\1'", "!Missing bytes in input."),
            ("unpack", r"'\1\204'", "!Missing bytes in input."),
            ("unpack", r"'\193'", "!Bad data format in input."),
            ("unpack", r"'\196\1a'", "!Bad data format in input."),
            ("unpack", r"'\212\0\0'", "!Bad data format in input."),
            ("unpack", r"'\129\192\193'", "!Bad data format in input."),
            ("unpack", r"'\129\192\1'", "!lua runtime error: table index is nil"),
            ("unpack", r"'\129\202\127\192\0\0\1'", "!lua runtime error: table index is NaN"),
            ("unpack", "nil", "!1 string expected, got nil"),
        ],
    );
}

#[test]
fn parts_are_unpacked_with_the_next_offset() {
    check_calls(
        FUNCTIONS,
        &[
            ("unpack_one", r"'\1\2\3'", "1 1"),
            ("unpack_one", r"'\1\2\3', 1", "2 2"),
            ("unpack_one", r"'\1\2\3', '2'", "-1 3"),
            ("unpack_one", r"'\1\2\3', 3", "-1"),
            ("unpack_one", "''", "-1"),
            ("unpack_limit", r"'\1\2\3', 2", "2 1 2"),
            ("unpack_limit", r"'\1\2\3', 2, 1", "-1 2 3"),
            ("unpack_limit", r"'\1\2\3', 2^40", "-1 1 2 3"),
            ("unpack_limit", r"'\1\2\3', 0", "1 2 3"),
            ("unpack_limit", r"'\1\2\3', 0, 1", "1"),
        ],
    );
}

#[test]
fn wrong_places_are_refused() {
    let invalid = "!Invalid request to unpack with offset of";
    for (name, arguments, expected) in [
        ("unpack_one", r"'\1\2\3', 4", "!Start offset 4 greater than input length 3.".to_owned()),
        ("unpack_one", "'', 2^32", "!Start offset 0 greater than input length 0.".to_owned()),
        ("unpack_one", r"'\1\2\3', -1", format!("{invalid} -1 and limit of 3.")),
        ("unpack_one", "'', 0/0", format!("{invalid} 0 and limit of 0.")),
        ("unpack_limit", r"'\1', -1, 7", format!("{invalid} 7 and limit of 1.")),
        ("unpack_limit", r"'\1'", "!2 number expected, got no value".to_owned()),
        ("unpack_limit", "", "!2 number expected, got no value".to_owned()),
        ("unpack_one", "nil, {}", "!2 number expected, got table".to_owned()),
        ("unpack_one", "", "!1 string expected, got no value".to_owned()),
    ] {
        assert_eq!(call(FUNCTIONS, name, arguments), expected, "{name}({arguments})");
    }
}

#[test]
fn the_stack_that_the_real_library_has_is_the_limit() {
    let too_many = format!("!stack overflow ({})", building::TOO_MANY);
    let array = "!stack overflow (in function mp_decode_to_lua_array)";
    for (data, expected) in [
        (r"('\1'):rep(8000)", &*too_many),
        (r"('\145'):rep(3999)", "!Missing bytes in input."),
        (r"('\145'):rep(4000)", array),
        (r"('\145'):rep(1000000)", array),
        (r"('\129\1'):rep(3999)", "!Missing bytes in input."),
        (r"('\129\1'):rep(1000000)", &*too_many),
        (r"('\1'):rep(7998) .. '\144'", array),
        (r"('\1'):rep(7998) .. '\129'", "!Missing bytes in input."),
    ] {
        assert_eq!(call(FUNCTIONS, "unpack", data), expected, "{data}");
    }
    let offset = r"('\1'):rep(7999), 9000";
    let expected = "!stack overflow (in function mp_unpack_full)";
    assert_eq!(call(FUNCTIONS, "unpack_limit", offset), expected);
}

#[test]
fn tables_with_holes_have_the_length_that_growing_gives_them() {
    let lua = crate::script::vm::bare().unwrap();
    for (data, expected) in [
        (&b"\x93\x01\xc0\x03"[..], 1),
        (b"\x94\x01\x02\xc0\x04", 4),
        (b"\x94\xc0\x02\xc0\x04", 0),
        (b"\x95\x01\x02\xc0\xc0\x05", 2),
        (b"\x82\x01\x01\x03\x03", 1),
    ] {
        let data = Value::String(lua.create_string(data).unwrap());
        let values = unpack(&lua, MultiValue::from_iter([data])).unwrap();
        let table = values[0].as_table().unwrap();
        assert_eq!(table.raw_len(), expected);
    }
}

#[test]
fn everything_packed_comes_back() {
    let value = "{a = {1, 2, {b = 'c'}}, [5] = 1.5, [-1] = {true, false, ''}}";
    let lua = crate::script::vm::bare().unwrap();
    let arguments: MultiValue = lua.load(format!("return {value}")).eval().unwrap();
    let packed = pack(&lua, arguments).unwrap();
    let unpacked = unpack(&lua, packed.clone()).unwrap();
    let again = pack(&lua, unpacked).unwrap();
    assert_eq!(packed[0], again[0]);
}

#[test]
fn output_is_bounded() {
    for statements in [
        "local text = ('x'):rep(2^20) for i = 1, 100 do t[i] = text end",
        "t[1] = ('x'):rep(2^16) for i = 1, 15 do t = {a = t, b = t, c = t} end",
    ] {
        let packed = call(FUNCTIONS, "pack", &made(statements));
        assert_eq!(packed, "!lua memory error: not enough memory", "{statements}");
    }
}

#[test]
fn little_of_the_threads_stack_is_needed() {
    let calls = || {
        let table = made("for i = 1, 9 do t = {a = {t}} end");
        assert_eq!(packed(&table), format!("{}c0", "81a16191".repeat(8)));
        let lua = crate::script::vm::bare().unwrap();
        let data = [&b"\x91\x81\x01".repeat(1990)[..], b"\x01"].concat();
        let data = Value::String(lua.create_string(&data).unwrap());
        assert_eq!(unpack(&lua, MultiValue::from_iter([data])).unwrap().len(), 1);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(calls).unwrap().join().unwrap();
}

#[test]
fn random_data_is_taken_without_a_panic() {
    let lua = crate::script::vm::bare().unwrap();
    let mut noise = Noise(1);
    let heads: Vec<u8> = (0x7e..=0x93).chain(0xa0..=0xa3).chain(0xc0..=0xe0).collect();
    for _ in 0..20_000 {
        let data = noise.bytes(&heads, 30);
        let data = Value::String(lua.create_string(&data).unwrap());
        let place = Value::Integer(noise.below(35) as i64 - 2);
        for (_, function) in FUNCTIONS {
            let _ = function(&lua, MultiValue::from_iter([data.clone(), place.clone()]));
        }
    }
}

/// An expression for the table that some statements make of an empty one.
fn made(statements: &str) -> String {
    format!("(function() local t = {{}} {statements} return t end)()")
}

/// What `pack` makes of the arguments, in hexadecimal digits.
fn packed(arguments: &str) -> String {
    let lua = crate::script::vm::bare().unwrap();
    let arguments: MultiValue = lua.load(format!("return {arguments}")).eval().unwrap();
    let values = pack(&lua, arguments).unwrap();
    let text = values[0].as_string().unwrap().as_bytes();
    let mut digits = String::new();
    for byte in &*text {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}
