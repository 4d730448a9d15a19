use super::super::calling::{Noise, call, check_calls};
use super::*;

#[test]
fn integers_are_packed_in_their_sizes_and_orders() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "'b', 300", "','"),
            ("pack", "'<h', 258", r"'\x02\x01'"),
            ("pack", "'>H', -1", r"'\xff\xff'"),
            ("pack", "'>i', 1.9", r"'\x00\x00\x00\x01'"),
            ("pack", "'>l', '7'", r"'\x00\x00\x00\x00\x00\x00\x00\x07'"),
            ("pack", "'<T', 1", r"'\x01\x00\x00\x00\x00\x00\x00\x00'"),
            ("pack", "'>i3', -2", r"'\xff\xff\xfe'"),
            ("pack", "'>i10', -2", r"'\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfe'"),
            ("pack", "'i0', 5", "''"),
            ("pack", "'>h<h', 1, 1", r"'\x00\x01\x01\x00'"),
        ],
    );
}

#[test]
fn numbers_that_do_not_fit_are_converted_as_on_x86_64() {
    for (number, expected) in [
        ("2^63", "80 00 00 00 00 00 00 00"),
        ("2^63 + 2048", "80 00 00 00 00 00 08 00"),
        ("2^64", "00 00 00 00 00 00 00 00"),
        ("1/0", "00 00 00 00 00 00 00 00"),
        ("0/0", "80 00 00 00 00 00 00 00"),
        ("-1/0", "80 00 00 00 00 00 00 00"),
        ("-1.5", "ff ff ff ff ff ff ff ff"),
        ("-0.5", "00 00 00 00 00 00 00 00"),
    ] {
        let packed = format!(r"'\x{}'", expected.replace(' ', r"\x"));
        assert_eq!(call(FUNCTIONS, "pack", &format!("'>I8', {number}")), packed, "{number}");
    }
}

#[test]
fn texts_and_floats_are_packed() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "'s', 'abc'", r"'abc\x00'"),
            ("pack", "'c3', 'abcdef'", "'abc'"),
            ("pack", "'c', 'abc'", "'a'"),
            ("pack", "'c0', 'abc'", "'abc'"),
            ("pack", "'s', 15", r"'15\x00'"),
            ("pack", "'x'", r"'\x00'"),
            ("pack", "'>f', 0.1", r"'=\xcc\xcc\xcd'"),
            ("pack", "'<d', 1.5", r"'\x00\x00\x00\x00\x00\x00\xf8?'"),
            ("pack", "'>d', 0", r"'\x00\x00\x00\x00\x00\x00\x00\x00'"),
            ("pack", "'>d', 0 * -1", r"'\x80\x00\x00\x00\x00\x00\x00\x00'"),
        ],
    );
}

#[test]
fn items_are_aligned_on_demand() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "'!4 b i', 1, 2", r"'\x01\x00\x00\x00\x02\x00\x00\x00'"),
            ("pack", "'! b h', 1, 2", r"'\x01\x00\x02\x00'"),
            ("unpack", "'!4bi', '1234\\2\\0\\0\\0'", "49 2 9"),
            ("size", "'bi'", "5"),
            ("size", "'!bi'", "8"),
            ("size", "'!4bd'", "12"),
            ("size", "'!8bd'", "16"),
            ("size", "'!16bi16bi3bi32'", "80"),
            ("size", "'zQ7'", "0"),
        ],
    );
}

#[test]
fn unpack_gives_values_and_the_next_position() {
    check_calls(
        FUNCTIONS,
        &[
            ("unpack", "'bB', '\\255\\255'", "-1 255 3"),
            ("unpack", "'>i3', '\\255\\255\\254'", "-2 4"),
            (
                "unpack",
                "'>I8', '\\255\\255\\255\\255\\255\\255\\255\\255'",
                "18446744073709552000 9",
            ),
            ("unpack", "'xb', '12'", "50 3"),
            ("unpack", "'b', 'abc', 3", "99 4"),
            ("unpack", "'b', 'abc', nil", "97 2"),
            ("unpack", "'s', 'abc\\0def'", "'abc' 5"),
            ("unpack", "'Bc0', '\\3abcdef'", "'abc' 5"),
            ("unpack", "'sc0', '3\\0abcdef'", "'abc' 6"),
            ("unpack", "'>f', '\\63\\192\\0\\0'", "1.5 5"),
            ("unpack", "'>d', '\\63\\248\\0\\0\\0\\0\\0\\0'", "1.5 9"),
            ("unpack", "'', 'abc', -5", "-5"),
        ],
    );
}

#[test]
fn the_sign_of_wide_integers_is_looked_for_where_c_looks() {
    check_calls(
        FUNCTIONS,
        &[
            ("unpack", "'>i9', string.rep('\\127', 9)", "-1 10"),
            ("unpack", "'>i11', string.rep('\\127', 11)", "-32897 12"),
            ("unpack", "'<i32', string.rep('\\255', 32)", "-1 33"),
            ("unpack", "'i0', 'abc'", "0 1"),
        ],
    );
}

#[test]
fn formats_are_refused() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "'z', 1", "!1 invalid format option 'z'"),
            ("pack", "'\\255', 1", r"!1 invalid format option '\xff'"),
            ("pack", "5", "!1 invalid format option '5'"),
            ("pack", "'b\\0z', 1", r"'\x01'"),
            ("pack", "'i33', 1", "!integral size 33 is larger than limit of 32"),
            ("pack", "'i2147483647', 1", "!integral size 2147483647 is larger than limit of 32"),
            ("pack", "'c2147483648', 'a'", "!integral size overflow"),
            ("pack", "'i21474836470', 1", "!integral size overflow"),
            ("pack", "'!3i', 1", "!alignment 3 is not a power of 2"),
            ("pack", "'!0i', 1", "!alignment 0 is not a power of 2"),
            ("size", "'s'", "!1 option 's' has no fixed size"),
            ("size", "'c0'", "!1 option 'c0' has no fixed size"),
            ("size", "'='", "!1 invalid format option '='"),
        ],
    );
}

#[test]
fn arguments_are_refused() {
    check_calls(
        FUNCTIONS,
        &[
            ("pack", "", "!1 string expected, got no value"),
            ("pack", "'i'", "!2 number expected, got nil"),
            ("pack", "'ii', 1", "!3 number expected, got nil"),
            ("pack", "'s', {}", "!2 string expected, got table"),
            ("pack", "'c5', 'abc'", "!3 string too short"),
            ("unpack", "'i'", "!2 string expected, got no value"),
            ("unpack", "'i', 'abc'", "!2 data string too short"),
            ("unpack", "'b', 'abc', 4", "!2 data string too short"),
            ("unpack", "'b', 'abc', -1", "!2 data string too short"),
            ("unpack", "'b', 'abc', 0", "!3 offset must be 1 or greater"),
            ("unpack", "'b', 'abc', 0.9", "!3 offset must be 1 or greater"),
            ("unpack", "'c2147483647', 'abc'", "!2 data string too short"),
            ("unpack", "'s', 'abc'", "!unfinished string in data"),
            ("unpack", "'c0', 'abc'", "!format 'c0' needs a previous size"),
            ("unpack", "'sc0', 'abc\\0abc'", "!format 'c0' needs a previous size"),
            ("unpack", "'bc0', '\\255abc'", "!2 data string too short"),
        ],
    );
}

#[test]
fn a_size_that_no_integer_holds_is_taken_as_on_x86_64() {
    for (size, expected) in [
        ("2^64", "'' 9"),
        ("1e300", "'' 9"),
        ("2.9", "'ab' 11"),
        ("-0.5", "'' 9"),
        ("2^63", "!2 data string too short"),
        ("0/0", "!2 data string too short"),
        ("-1", "!2 data string too short"),
    ] {
        let lua = crate::script::vm::bare().unwrap();
        let size: f64 = lua.load(format!("return {size}")).eval().unwrap();
        let bytes: Vec<String> = size.to_be_bytes().iter().map(|b| format!("\\{b:03}")).collect();
        let arguments = format!("'>dc0', '{}ab'", bytes.concat());
        assert_eq!(call(FUNCTIONS, "unpack", &arguments), expected, "{size}");
    }
}

#[test]
fn results_and_output_are_bounded() {
    check_calls(
        FUNCTIONS,
        &[
            (
                "unpack",
                "string.rep('b', 7998), string.rep('x', 9000)",
                "!stack overflow (too many results)",
            ),
            (
                "pack",
                "'sssss', (function() local s = ('x'):rep(2^24) return s, s, s, s, s end)()",
                "!lua memory error: not enough memory",
            ),
        ],
    );
}

#[test]
fn random_formats_and_data_are_taken_without_a_panic() {
    let lua = crate::script::vm::bare().unwrap();
    let mut noise = Noise(1);
    for _ in 0..20_000 {
        let format = noise.bytes(b"bBhHlLTiIfdscx>!< 0123456789\xff", 12);
        let data = noise.bytes(b"\x00\x01\x03\x0a\x7f\x80\xff", 40);
        let texts = [&format, &data].map(|text| Value::String(lua.create_string(text).unwrap()));
        let position = Value::Integer(noise.below(45) as i64 - 2);
        let arguments: Vec<Value> = texts.into_iter().chain([position]).collect();
        for (_, function) in FUNCTIONS {
            let _ = function(&lua, MultiValue::from_vec(arguments.clone()));
        }
    }
}
