//! Numbers read and printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redlet_fuzz::checks::values;

fuzz_target!(|input: (i64, f64, &[u8], &[u8])| {
    let (integer, double, one, other) = input;
    values::check_integer(integer);
    values::check_double(double);
    values::check_long_double_integers(integer >> 1, double.to_bits() as i64 >> 2);
    for text in [one, other] {
        values::check_integer_text(text);
        values::check_double_text(text);
        values::check_long_double_text(text);
    }
    values::check_long_double_sum(one, other);
});
