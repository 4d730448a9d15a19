//! Ids of entries and ranges of them, beside numbers of 128 bits.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use redlet_fuzz::Decisions;
use redlet_fuzz::checks::Choices;
use redlet_fuzz::checks::client::CheckedClient;
use redlet_fuzz::checks::stream_ids::{check_id, check_range, check_text, id, text};

fuzz_target!(|input: (u64, (u64, u64), &[u8])| {
    let (now_ms, last, bytes) = input;
    check_id(last);
    check_text(bytes, now_ms, last, now_ms);
    let mut decisions = Decisions(Unstructured::new(bytes));
    let (start, end) = (text(&mut decisions), text(&mut decisions));
    check_text(&start, last.1, last, now_ms);
    let ids: Vec<_> = (0..decisions.below(8)).map(|_| id(&mut decisions)).collect();
    let mut client = CheckedClient::new();
    check_range(&mut client, &ids, &start, &end);
    check_range(&mut client, &ids, bytes, &end);
});
