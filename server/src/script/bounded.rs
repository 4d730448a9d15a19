//! Bytes that a library puts together for a script, with a bound on how many.
//!
//! Lua's own limit on memory does not see them before they are handed over as a string.

use super::raised::Raised;

/// No more than this is put together in one call.
const LIMIT: usize = 64 << 20;

#[derive(Default)]
pub(super) struct BoundedBytes {
    bytes: Vec<u8>,
}

impl BoundedBytes {
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Raised> {
        if bytes.len() > LIMIT - self.bytes.len() {
            return Err(not_enough_memory());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn append_zeros(&mut self, count: usize) -> Result<(), Raised> {
        if count > LIMIT - self.bytes.len() {
            return Err(not_enough_memory());
        }
        self.bytes.resize(self.bytes.len() + count, 0);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

/// Lua says so without naming a place, wherever it happens.
fn not_enough_memory() -> Raised {
    Raised::Lua(mlua::Error::MemoryError("not enough memory".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_up_to_the_limit() {
        let mut output = BoundedBytes::default();
        output.append(b"head").unwrap();
        output.append_zeros(LIMIT - 5).unwrap();
        assert!(output.append(b"two").is_err());
        assert!(output.append_zeros(usize::MAX).is_err());
        output.append(b"1").unwrap();
        assert_eq!(output.len(), LIMIT);
        assert!(output.append_zeros(1).is_err());
        assert!(output.as_slice().starts_with(b"head\0"));
    }

    #[test]
    fn the_error_is_the_one_that_lua_has_for_memory() {
        let mut output = BoundedBytes::default();
        let Err(Raised::Lua(error)) = output.append_zeros(LIMIT + 1) else { panic!("not raised") };
        assert_eq!(error.to_string(), "memory error: not enough memory");
    }
}
