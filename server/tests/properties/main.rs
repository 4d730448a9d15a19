//! Properties that hold for any input, tried on many random ones.
//!
//! A failure prints the seed of its case and the command that runs this case alone.

mod checks;
mod random;

use std::time::Duration;

use checks::client::CheckedClient;
use checks::wire::encode;
use checks::{
    Choices, configuration, files, glob, grammar, payload, stream_ids, streams, traffic, values,
    wire,
};
use random::Random;

/// The variable that names the one case to run.
const SEED: &str = "REDLET_SEED";

/// What changes the meaning of a request most.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"*",
    b"$",
    b"*-1\r\n",
    b"*0\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"PING\r\n",
    b"\0",
    b"\"",
    b"'",
    b"\\x41",
    b"9223372036854775808",
    b"-1",
    b"+1",
    b"01",
    b" ",
    b"*2147483648\r\n",
    b"$536870913\r\n",
    b"$18446744073709551615\r\n",
    b"\n",
    b"\r",
    b"1",
];

/// Runs a property so many times, each time with a seed of its own.
fn run(test: &str, cases: u64, property: impl Fn(&mut Random)) {
    let only = std::env::var(SEED).ok().and_then(|seed| seed.parse::<u64>().ok());
    let first = test.bytes().fold(0, |sum: u64, byte| sum.rotate_left(8) ^ u64::from(byte));
    let mut seeds = Random::seeded(first);
    for seed in
        only.into_iter().chain((0..cases).map(|_| seeds.number()).filter(|_| only.is_none()))
    {
        let report = ReportOnPanic { test, seed };
        property(&mut Random::seeded(seed));
        drop(report);
    }
}

struct ReportOnPanic<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for ReportOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ReportOnPanic { test, seed } = self;
            eprintln!(
                "to run this case alone: {SEED}={seed} cargo test -p redlet --features fuzzing \
                 --test properties -- --exact {test}"
            );
        }
    }
}

/// A few requests one after the other, of which some bytes are wrong.
fn pipeline(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(4) {
        let request = grammar::request(random);
        if random.once_in(4) {
            bytes.extend(request.join(&b' '));
            let line_end: &[u8] = if random.once_in(2) { b"\r\n" } else { b"\n" };
            bytes.extend_from_slice(line_end);
        } else {
            bytes.extend(encode(&request));
        }
    }
    random.mutate(&mut bytes, TOKENS);
    bytes
}

#[test]
fn requests_in_pieces_are_decoded_like_the_whole() {
    run("requests_in_pieces_are_decoded_like_the_whole", 200_000, |random| {
        let bytes = pipeline(random);
        let cuts: Vec<u8> = (0..=random.below(3)).map(|_| random.below(24) as u8).collect();
        wire::check_pieces(&bytes, &cuts);
        wire::check_against_redis_protocol(&bytes);
    });
}

#[test]
fn large_arguments_in_pieces_are_decoded_like_the_whole() {
    run("large_arguments_in_pieces_are_decoded_like_the_whole", 300, |random| {
        let argument = |random: &mut Random| match random.below(3) {
            0 => vec![b'x'; random.below(200_000)],
            1 => vec![b'y'; 16 * 1024 - 3 + random.below(6)],
            _ => b"small".to_vec(),
        };
        let requests: Vec<Vec<u8>> = (0..3)
            .map(|_| encode(&(0..=random.below(4)).map(|_| argument(random)).collect::<Vec<_>>()))
            .collect();
        let mut bytes = requests.concat();
        if random.once_in(2) {
            random.mutate(&mut bytes, TOKENS);
        }
        let cuts: Vec<u8> = (0..=random.below(3)).map(|_| 128 + random.below(128) as u8).collect();
        wire::check_pieces(&bytes, &cuts);
        wire::check_against_redis_protocol(&bytes);
    });
}

#[test]
fn inline_commands_are_split_by_the_rules() {
    run("inline_commands_are_split_by_the_rules", 100_000, |random| {
        wire::check_inline(&random.text(b"ab \t\x0b\"\"''\\\\xn041\r\0", 24));
    });
}

#[test]
fn every_request_gets_one_whole_reply() {
    run("every_request_gets_one_whole_reply", 4_000, |random| {
        let mut client = CheckedClient::with_debug();
        for _ in 0..25 {
            client.send(&encode(&grammar::request(random)));
            if random.once_in(10) {
                client.advance_clock(Duration::from_millis(random.below(2_000) as u64));
            }
        }
    });
}

#[test]
fn no_mutated_request_does_harm() {
    run("no_mutated_request_does_harm", 4_000, |random| {
        let mut client = CheckedClient::new();
        for _ in 0..25 {
            let mut request = grammar::request(random);
            let at = random.below(request.len());
            random.mutate(&mut request[at], TOKENS);
            client.send(&encode(&request));
            if random.once_in(10) {
                client.send(&pipeline(random));
                client.send(b"\r\n");
            }
        }
        assert_eq!(CheckedClient::new().call(&["PING"]), b"+PONG\r\n");
    });
}

#[test]
fn glob_patterns_match_by_the_rules() {
    run("glob_patterns_match_by_the_rules", 200_000, |random| {
        let pattern = random.text(b"aabbcA**?[]^-\\", 12);
        glob::check(&pattern, &random.text(b"aabbcAB[]-\\", 10));
    });
}

#[test]
fn whatever_is_restored_is_a_value_like_any_other() {
    run("whatever_is_restored_is_a_value_like_any_other", 300, |random| {
        let mut client = CheckedClient::new();
        for _ in 0..20 {
            let length = random.below(80);
            let text = match random.below(3) {
                0 => vec![b'z'; length],
                1 => random.text(b"ab", 60),
                _ => (random.number() as i64 >> random.below(64)).to_string().into_bytes(),
            };
            payload::check_dump(&text);
            let mut dumped = undo_footer(&text);
            random
                .mutate(&mut dumped, &[b"\xc3", b"\x80\xff\xff\xff\xff", b"\x81", b"\xe0\xff\xff"]);
            payload::check_value(&mut client, &dumped);
        }
    });
}

#[test]
fn whatever_is_restored_is_a_stream_like_any_other() {
    run("whatever_is_restored_is_a_stream_like_any_other", 600, |random| {
        let mut client = CheckedClient::with_debug();
        for _ in 0..10 {
            let mut value = streams::value(random);
            if random.once_in(3) {
                random.mutate(&mut value, &[b"\x81", b"\xff", b"\0", b"\x80\xff\xff\xff\xff"]);
            }
            streams::check_value(&mut client, &value, random);
        }
    });
}

#[test]
fn whatever_is_restored_stands_all_commands() {
    run("whatever_is_restored_stands_all_commands", 600, |random| {
        let mut client = CheckedClient::with_debug();
        let values = traffic::values(&mut client);
        for _ in 0..10 {
            let mut value = random.pick(&values).clone();
            random.mutate(&mut value, &[b"\x81", b"\xff", b"\0", b"\x80\xff\xff\xff\xff"]);
            traffic::check(&mut client, &value, random);
        }
    });
}

#[test]
fn a_snapshot_is_refused_or_loaded() {
    let whole = files::snapshot();
    run("a_snapshot_is_refused_or_loaded", 2_000, |random| {
        let mut bytes = whole.clone();
        random.mutate(&mut bytes, &[b"\xfe", b"\xff", b"\xfa", b"\xc3", b"\x80\xff\xff\xff\xff"]);
        // Most are without a checksum, or nothing would be looked at but that.
        let end = bytes.len().saturating_sub(8);
        if !random.once_in(8) {
            bytes[end..].fill(0);
        }
        files::check_snapshot(&bytes);
    });
}

#[test]
fn a_log_is_refused_or_loaded() {
    let whole = files::log();
    run("a_log_is_refused_or_loaded", 2_000, |random| {
        let mut bytes = whole.clone();
        if random.once_in(2) {
            let request = encode(&grammar::request(random));
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, request);
        }
        random.mutate(&mut bytes, TOKENS);
        files::check_log(&bytes);
    });
}

#[test]
fn ids_of_entries_are_numbers_of_128_bits() {
    run("ids_of_entries_are_numbers_of_128_bits", 100_000, |random| {
        let (last, now_ms) = (stream_ids::id(random), random.number() >> random.below(64));
        stream_ids::check_id(last);
        stream_ids::check_text(&stream_ids::text(random), last.1, last, now_ms);
    });
}

#[test]
fn ranges_of_entries_have_what_is_between_their_bounds() {
    run("ranges_of_entries_have_what_is_between_their_bounds", 600, |random| {
        let mut client = CheckedClient::new();
        for _ in 0..10 {
            let ids: Vec<_> = (0..random.below(12)).map(|_| stream_ids::id(random)).collect();
            let (start, end) = (stream_ids::text(random), stream_ids::text(random));
            stream_ids::check_range(&mut client, &ids, &start, &end);
        }
    });
}

/// A dumped text without its footer.
fn undo_footer(text: &[u8]) -> Vec<u8> {
    let mut dumped = redlet::fuzzing::dump_string(text);
    dumped.truncate(dumped.len() - 10);
    dumped
}

#[test]
fn what_is_compressed_comes_back() {
    run("what_is_compressed_comes_back", 2_000, |random| {
        let text = random.text(b"aab", 500);
        payload::check_dump(&text);
        let dumped = undo_footer(&text);
        let mut compressed = dumped.get(5..).unwrap_or_default().to_vec();
        random.mutate(&mut compressed, &[b"\xe0", b"\xff\xff", b"\x20\x00"]);
        payload::check_compressed(&compressed, text.len() as u16);
    });
}

#[test]
fn numbers_are_read_as_they_are_written() {
    run("numbers_are_read_as_they_are_written", 50_000, |random| {
        let integer = random.number() as i64 >> random.below(64);
        values::check_integer(integer);
        values::check_double(f64::from_bits(random.number()));
        values::check_double(integer as f64 / 1000.0);
        values::check_long_double_integers(integer >> 1, random.number() as i64 >> 2);
        let text = random.text(b"0123456789019.-e", 12);
        values::check_integer_text(&text);
        values::check_double_text(&text);
        values::check_long_double_text(&text);
        values::check_long_double_sum(&text, &random.text(b"0123456789019.-e", 8));
    });
}

#[test]
fn configuration_files_are_accepted_or_refused() {
    run("configuration_files_are_accepted_or_refused", 5_000, |random| {
        let names: Vec<&str> = redlet::Config::new().parameters().map(|row| row.name).collect();
        let mut text = Vec::new();
        for _ in 0..random.below(4) {
            let values =
                [&b"yes"[..], b"no", b"0", b"1", b"16mb", b"-1", b"\"\"", b"warning", b"a b"];
            let (name, value) = (*random.pick(&names), *random.pick(&values));
            text.extend([name.as_bytes(), value].join(&b' '));
            text.push(b'\n');
        }
        random.mutate(
            &mut text,
            &[b"\"", b"'", b"\\", b"\n", b"#", b"\xff", b"99999999999999999999"],
        );
        configuration::check_text(&text);
    });
}
