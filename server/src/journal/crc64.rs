//! The checksum of Redis's files and DUMP payloads: CRC-64 with the polynomial of Jones, reflected,
//! starting from zero.
//!
//! Eight bytes are taken at a step, each through a table of its own ("slicing by eight"); the
//! tables are computed at compile time.

const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9;

/// `TABLES[k][b]` is what byte `b` does to the checksum once `k` more bytes have come after it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let reflected = POLYNOMIAL.reverse_bits();
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ reflected } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut after = 1;
    while after < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[after - 1][byte];
            tables[after][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        after += 1;
    }
    tables
}

/// Continues a checksum, `0` at the start, with more bytes.
pub(crate) fn crc64(mut crc: u64, bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let mixed = (crc ^ u64::from_le_bytes(*chunk)).to_le_bytes();
        crc = 0;
        for (byte, table) in mixed.iter().zip(TABLES.iter().rev()) {
            crc ^= table[usize::from(*byte)];
        }
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_right() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(0, b""), 0);
    }

    #[test]
    fn steps_of_eight_agree_with_bits() {
        let bitwise = |bytes: &[u8]| {
            bytes.iter().fold(0u64, |crc, byte| {
                (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
                    if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL.reverse_bits() } else { crc >> 1 }
                })
            })
        };
        let bytes: Vec<u8> = (0..100u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
        for end in 0..bytes.len() {
            assert_eq!(crc64(0, &bytes[..end]), bitwise(&bytes[..end]), "{end} bytes");
            let (first, second) = bytes.split_at(end);
            assert_eq!(crc64(crc64(0, first), second), bitwise(&bytes), "cut at {end}");
        }
    }
}
