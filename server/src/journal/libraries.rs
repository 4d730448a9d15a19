//! The payload of `FUNCTION DUMP`: the codes of libraries, as RDB files have them, and the footer of all payloads.

use super::payload::{Reader, add_footer, verify_footer, write_string};

/// What stands before each code.
const LIBRARY: u8 = 0xf5;
/// The same in releases before the format was settled.
const EARLY_LIBRARY: u8 = 0xf6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibrariesError {
    Footer,
    /// Something else than a library.
    Foreign,
    Early,
    Format,
}

pub(crate) fn dump<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut payload = Vec::new();
    for code in codes {
        payload.push(LIBRARY);
        write_string(&mut payload, code);
    }
    add_footer(&mut payload);
    payload
}

pub(crate) fn parse(payload: &[u8]) -> Result<Vec<Vec<u8>>, LibrariesError> {
    let body = verify_footer(payload).ok_or(LibrariesError::Footer)?;
    let (mut reader, mut codes) = (Reader::new(body), Vec::new());
    while let Some(kind) = reader.byte() {
        match kind {
            LIBRARY => {
                let code = reader.string().ok_or(LibrariesError::Format)?;
                codes.push(code.into_owned());
            }
            EARLY_LIBRARY => return Err(LibrariesError::Early),
            _ => return Err(LibrariesError::Foreign),
        }
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dumped_is_read_again() {
        let long = [b"#!lua name=a\n", &b"-- again and again\n".repeat(40)[..]].concat();
        let codes: [&[u8]; 3] = [b"#!lua name=b\n", &long, b"12"];
        let payload = dump(codes.into_iter());
        assert_eq!(parse(&payload).unwrap(), codes.map(<[u8]>::to_vec));
        assert!(payload.len() < long.len());
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        let mut foreign = vec![0, 1, b'v'];
        add_footer(&mut foreign);
        let mut cut = vec![LIBRARY, 40, b'#'];
        add_footer(&mut cut);
        assert_eq!(parse(b""), Err(LibrariesError::Footer));
        assert_eq!(parse(&[1; 10]), Err(LibrariesError::Footer));
        assert_eq!(parse(&foreign), Err(LibrariesError::Foreign));
        assert_eq!(parse(&cut), Err(LibrariesError::Format));
    }
}
