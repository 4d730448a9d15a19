//! Brings numbered keys into a server.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::{Client, encode};

/// The keys over which commands are spread where their number is not the question.
pub(crate) const KEYS: u64 = 100_000;

/// The pipeline depth at which keys are brought in where time does not matter.
const DEPTH: usize = 256;

const PREFIX: &str = "key:";

/// The name of a key: 16 bytes, as the load generator writes them.
pub(crate) fn key(number: u64) -> String {
    format!("{PREFIX}{number:012}")
}

/// Sets the keys of these numbers to what `arguments` say: a value, and options.
pub(crate) fn fill(client: &mut Client, numbers: Range<u64>, arguments: &[&str]) -> Result<()> {
    fill_timed(client, numbers, arguments, DEPTH, |_| Ok(()))
}

/// The same at a pipeline depth of choice; `observe` gets the time from each pipeline's sending to its last reply.
pub(crate) fn fill_timed(
    client: &mut Client,
    numbers: Range<u64>,
    arguments: &[&str],
    depth: usize,
    mut observe: impl FnMut(Duration) -> Result<()>,
) -> Result<()> {
    let template = Template::new(arguments);
    let mut requests = Vec::new();
    for first in numbers.clone().step_by(depth) {
        let batch = first..numbers.end.min(first + depth as u64);
        requests.clear();
        for number in batch.clone() {
            template.append(number, &mut requests);
        }
        let sent = Instant::now();
        client.send(&requests)?;
        client.await_replies((batch.end - batch.start) as usize)?;
        observe(sent.elapsed())?;
    }
    Ok(())
}

/// A SET whose key's digits are still to be written: encoding each of millions anew would take longer than answering
/// it.
struct Template {
    request: Vec<u8>,
    /// Where the digits stand.
    digits: Range<usize>,
}

impl Template {
    fn new(arguments: &[&str]) -> Self {
        let key = key(0);
        let mut request = Vec::new();
        encode(&[&["SET", &key], arguments].concat(), &mut request);
        let key_at = request.windows(key.len()).position(|part| part == key.as_bytes());
        let key_at = key_at.expect("the key is in its request");
        Template { request, digits: key_at + PREFIX.len()..key_at + key.len() }
    }

    fn append(&self, number: u64, requests: &mut Vec<u8>) {
        let start = requests.len();
        requests.extend_from_slice(&self.request);
        let mut rest = number;
        for digit in requests[start..][self.digits.clone()].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_the_same_request_as_the_encoder() {
        let mut made = Vec::new();
        Template::new(&["value", "EX", "60"]).append(1_234_567, &mut made);
        let mut encoded = Vec::new();
        encode(&["SET", &key(1_234_567), "value", "EX", "60"], &mut encoded);
        assert_eq!(made.escape_ascii().to_string(), encoded.escape_ascii().to_string());
    }
}
