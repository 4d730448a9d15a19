//! Small texts for people: quoting, sizes.

use std::fmt::Write as _;

/// Bytes in double quotes, with everything that is not printable escaped.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut result = String::with_capacity(bytes.len() + 2);
    result.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => result.extend(['\\', char::from(byte)]),
            b'\n' => result.push_str("\\n"),
            b'\r' => result.push_str("\\r"),
            b'\t' => result.push_str("\\t"),
            0x07 => result.push_str("\\a"),
            0x08 => result.push_str("\\b"),
            b' '..=b'~' => result.push(char::from(byte)),
            _ => {
                let _ = write!(result, "\\x{byte:02x}");
            }
        }
    }
    result.push('"');
    result
}

/// A number of bytes as Redis abbreviates it: `1.50M`.
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let size = bytes as f64 / (1_u64 << (10 * power)) as f64;
    format!("{size:.2}{}", UNITS[power as usize - 1])
}

/// A time, in seconds since 1970, as date and time of day in UTC.
pub(crate) fn utc(seconds: i64) -> String {
    const DAY_S: i64 = 24 * 60 * 60;
    let (days, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day since 1970. Years begin in March here, so that a leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    const FROM_MARCH_0_TO_1970: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = days.saturating_add(FROM_MARCH_0_TO_1970);
    let (cycle, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(seconds), shown);
        }
    }
}
