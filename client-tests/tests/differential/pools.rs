//! What the grammar's words stand for: lists of texts in redis-cli's quoting.
//!
//! No list has times to live that are over soon: they would race with the clock. Times are long, or over at once.

pub(crate) const POOLS: &[(&str, &str)] = &[
    ("key", r#"a a b b c d e long:key:with:parts "" "\x00\r\n\xff" "\xc3\xa9" {tag}a 12 t"#),
    ("text", r#""" " " " 1" "1 " +1 01 -0 0x10 abc ABC "\x00" "\r\n" "\xff\xfe" nx * "a\x00b""#),
    (
        "integer",
        r#"0 -1 -0 +5000 05000 " 5000" "5000 " 5000.0 5e3 "" abc 10000 2147483647 2147483648 -2147483649 4294967296
        9223372036854775806 9223372036854775807 9223372036854775808 -9223372036854775807 -9223372036854775808
        -9223372036854775809 18446744073709551615 99999999999999999999"#,
    ),
    (
        "float",
        r#"0 1 -1 0.1 -0.1 1.5 3.0 3.14159265358979 1e5 1e-5 -1e3 5.0e3 1e17 1e18 1e20 1e300 1e308 1e400 1e-400 inf -inf
        nan +1 .5 5. 0x10 1_000 " 1" "1 " "" abc 1e 0.1234567890123456789 123456789012345678 -0.0 17179869184.25 infinity
        1.7976931348623157e308 0.00000000000000001"#,
    ),
    (
        "index",
        r#"0 1 2 3 5 10 50 -1 -2 -3 -10 -100 1000 2147483648 9223372036854775807 -9223372036854775808
        9223372036854775808 abc 1.5 """#,
    ),
    // Nothing between 1,000 and the limit: half a gigabyte of zero bytes proves little.
    (
        "offset",
        r#"0 1 2 5 10 44 100 1000 -1 536870912 4294967296 9223372036854775807 9223372036854775808 abc 1.5 """#,
    ),
    (
        "seconds",
        r#"0 -1 -100 9223372036854775 9223372036854775807 9223372036854775808
        -9223372036854775808 abc 1.5 """#,
    ),
    (
        "milliseconds",
        r#"0 -1 -100 9223372036854775807
        9223372036854775808 -9223372036854775808 abc 1.5 """#,
    ),
    // What SET and GETEX take: a moment that has passed would leave a key that counts until somebody looks at it.
    (
        "moment",
        r#"33177117420 33177117421 4102444800 0 -1 9223372036854775 9223372036854776 9223372036854775807 abc """#,
    ),
    (
        "moment_ms",
        r#"33177117420000 33177117420001 4102444800000 0 -1 9223372036854775807 9223372036854775808 abc """#,
    ),
    // In seconds and milliseconds alike; what has passed deletes at once.
    (
        "deadline",
        r#"33177117420 33177117421000 4102444800000 1 0 -1 1000 9223372036854775 9223372036854776
        9223372036854775807 9223372036854775808 abc """#,
    ),
    ("restore_ttl", "0 0 0 100000 200000 -1 33177117420000 9223372036854775808 abc"),
    ("database", r#"0 0 0 1 2 3 15 16 -1 abc 9223372036854775807 4294967296 """#),
    (
        "pattern",
        r#"* a* ? ?? [a-c] [^a] [c-a] [a [ "\\a" "\\" "" *a *:*:* {*}? "[\\a]" a *** [^ [] long*parts"#,
    ),
    // Most elements are parts of no key's name, but the empty one is one of many.
    (
        "sort_pattern",
        r#"a* *a b* c* d* *e * 1* *2 *12 {tag}*a long:key:*with:parts a** *->f a*->f a*-> # ## a nosort "" "a*\x00" "\x00*""#,
    ),
    ("cursor", r#"0 0 0 0 0 00 abc -1 18446744073709551615 99999999999999999999 """#),
    ("count", r#"1000 1000 10000 0 -1 abc 1.5 9223372036854775807 """#),
    ("side", "BEFORE AFTER BEFORE after beside"),
    ("end", "LEFT RIGHT LEFT RIGHT left Right middle"),
    ("wait", r#"0.001 0.001 0.0001 1e-9 -1 x 1e300 """#),
    ("numkeys", "1 2 2 2 2 3 0 -1 abc 9223372036854775807"),
    ("type", "list list set set string string STRING list hash set zset stream"),
    (
        "parameter",
        "databases maxclients maxmemory maxmemory-policy hz timeout MaxMemory-Policy nonsense maxmemory-p*
        proto-max-bulk-l?n [h]z",
    ),
    // A text, an integer, a compressed text; a wrong checksum, a version to come, and none at all.
    (
        "dump",
        r#""\x00\x05value\n\x00\x81\xf6\xc18\xc1\xaa\x9bn" "\x00\xc190\n\x00\x9d\x94\xea'\x93\xfc\x08\xb9"
        "\x00\xc3\t@d\x01xx\xe0W\x00\x01xx\n\x00]\xb7\xf6c\xbb\x08b_" "\x00\x05valuf\n\x00\x81\xf6\xc18\xc1\xaa\x9bn"
        "\x00\x05value\xff\x00\x81\xf6\xc18\xc1\xaa\x9bn" "" nonsense"#,
    ),
    // Few, so that commands meet on them, and some that hold other things.
    ("stream", r#"s s s s s s s s s s s s s s s s s s t t t u late a "\x00\r\n\xff""#),
    ("late_stream", "late"),
    ("group", r#"g g g g g g g g g g g g g g h h "" none"#),
    ("consumer", r#"alice alice alice bob bob carol """#),
    ("field", r#"a a b text "" 1 -1 a-field-of-some-length "\x00\xff" MAXLEN *x"#),
    // At the edges of what an id can be, and beyond.
    (
        "id",
        r#"0 0-0 0-1 1-1 18446744073709551615 18446744073709551615-18446744073709551615
        18446744073709551615-18446744073709551614 18446744073709551615-* 18446744073709551616 1-18446744073709551615
        1-18446744073709551616 9223372036854775808-0 - + $ > abc 1- -1 1-2-3 01-01 1-abc "" "1 " (1-1"#,
    ),
    ("bound", r"- - - - + + + + 0 0 5 (0-0 18446744073709551615 (18446744073709551615-18446744073709551615 (- ( $ abc"),
    ("after", "0 0 0 0 0-0 0-0 $ $ + + > - 18446744073709551615-18446744073709551615 abc"),
    ("unread", "> > > > > > 0 0 1-1 $ abc"),
    ("group_start", "0 0 0 0 0 0 $ $ $ 18446744073709551615 - abc"),
    ("entries_read", "0 0 1 1 2 2 3 5 10 -1 -2 abc 9223372036854775807"),
    ("few", r"1 1 1 1 2 2 2 2 3 3 5 5 10 10 100 1000 0 -1 abc 9223372036854775807 9223372036854775808"),
    ("length", "0 1 2 3 3 5 5 8 10 10 100 1000 -1 abc 9223372036854775807 9223372036854775808"),
    ("limit", "0 1 2 10 100 1000 -1 abc"),
    ("block", "1 1 1 1 1 1 2 2 2 -1 abc"),
    // What was just delivered has been idle for none of these times, and what XCLAIM says was delivered long ago lies
    // between them.
    (
        "min_idle",
        "0 0 0 0 0 0 0 0 100000 100000 1000000000 1000000000000 10000000000000 -1 abc 9223372036854775807",
    ),
    ("idle", "0 1 1 500000 500000 500000 10000000000 10000000000 -1 abc 9223372036854775807"),
    ("delivered", "0 1 1000 1000 1400000000000 1400000000000 33177117420000 9223372036854775807 -1 abc"),
    // On a stream whose last id is in the future the next one does not depend on the clock.
    (
        "add_at_next_id",
        r#""redis.pcall('XADD', KEYS[1], '33177117420000-1', ARGV[1], ARGV[2])
        return redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])""#,
    ),
    // With a group, a consumer and what is pending; compressed; a group without entries; the first of all formats; a
    // wrong checksum.
    (
        "stream_dump",
        concat!(
            r#""\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0177\x00"#,
            r#"\x00\x00\x16\x00\x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01"#,
            r#"\x81b\x02\x04\x01\x03\x01\x02\x01\x00\x01\x05\x01\x04\x01\x00\x01\x03\x01\x00\x01"#,
            r#"\x01\x01\x81b\x02\x81c\x02\x06\x01\xff\x02\x04\x01\x01\x01\x03\x01\x03\x01\x01g\x01"#,
            r#"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"#,
            r#"\x00\x00\x00\x00\x00\x01\x00\xb0\x80\xf6E\x01\x00\x00\x02\x01\x05alice\x00\xb0\x80"#,
            r#"\xf6E\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"#,
            r#"\x01\n\x00\xeb\x93\x94\xe7z\x05\xb5\x06" "#,
            r#""\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xc33@y"#,
            r#"\x15y\x00\x00\x00\x14\x00\x03\x01\x00\x01\x01\x01\x85field\x06\x00\x01\x02 \x0e\x03"#,
            r#"\x00\x01\x97a\xe0\r\x00\x01\x18\x04  \x00\x01\xe0\x17 @C\xe0\x11A\x01\x01\xff\x03"#,
            r#"\x03\x01\x01\x01\x00\x00\x03\x00\n\x00w\x86.+\xeb?>\xed" "#,
            r#""\x13\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01g\x00\x00\x81\xff\xff\xff\xff\xff"#,
            r#"\xff\xff\xff\x00\x00\n\x00\xa0\x1a\x95=\xfb\x9c\xdd\xde" "#,
            r#""\x0f\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0177\x00"#,
            r#"\x00\x00\x16\x00\x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01"#,
            r#"\x81b\x02\x04\x01\x03\x01\x02\x01\x00\x01\x05\x01\x04\x01\x00\x01\x03\x01\x00\x01"#,
            r#"\x01\x01\x81b\x02\x81c\x02\x06\x01\xff\x02\x04\x01\x01\x01g\x01\x01\x01\x00\x00\x00"#,
            r#"\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\xb0\x80\xf6E\x01\x00\x00"#,
            r#"\x02\x01\x05alice\x00\xb0\x80\xf6E\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"#,
            r#"\x00\x00\x00\x00\x00\x00\x00\x01\t\x00-\r!\xa1\xd3\x9c\xbd=" "#,
            r#""\x13\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01g\x00\x00\x81\xff\xff\xff\xff"#,
            r#"\xff\xff\xff\xff\x00\x00\n\x00\xa0\x1a\x95=\xfb\x9c\xdd\xdf""#,
        ),
    ),
    // From redis 7.2 on.
    (
        "newer_stream_dump",
        concat!(
            r#""\x15\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0177\x00"#,
            r#"\x00\x00\x16\x00\x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01"#,
            r#"\x81b\x02\x04\x01\x03\x01\x02\x01\x00\x01\x05\x01\x04\x01\x00\x01\x03\x01\x00\x01"#,
            r#"\x01\x01\x81b\x02\x81c\x02\x06\x01\xff\x02\x04\x01\x01\x01\x03\x01\x03\x01\x01g\x01"#,
            r#"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"#,
            r#"\x00\x00\x00\x00\x00\x01\x00\xb0\x80\xf6E\x01\x00\x00\x02\x01\x05alice\x00\xb0\x80"#,
            r#"\xf6E\x01\x00\x00\x00\xb0\x80\xf6E\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"#,
            r#"\x00\x00\x00\x00\x00\x00\x00\x01\x0b\x000\xaaBRju\t\x96""#,
        ),
    ),
];
