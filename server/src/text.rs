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
