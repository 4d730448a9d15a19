//! Brings numbered keys into a server.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::{Client, encoded};
use crate::rows::KEY;
use crate::template::Template;

/// The keys over which commands are spread where their number is not the question.
pub(crate) const KEYS: u64 = 100_000;

/// The pipeline depth at which keys are brought in where time does not matter.
const DEPTH: usize = 256;

/// The name of a key: 16 bytes, as the load generator writes them.
pub(crate) fn key(number: u64) -> String {
    format!("key:{number:012}")
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
    observe: impl FnMut(Duration) -> Result<()>,
) -> Result<()> {
    let template = Template::new(encoded(&[&["SET", KEY], arguments].concat()));
    send_timed(client, &template, numbers, depth, observe)
}

/// Sends a request once with each of these numbers.
pub(crate) fn send_all(
    client: &mut Client,
    template: &Template,
    numbers: Range<u64>,
) -> Result<()> {
    send_timed(client, template, numbers, DEPTH, |_| Ok(()))
}

fn send_timed(
    client: &mut Client,
    template: &Template,
    numbers: Range<u64>,
    depth: usize,
    mut observe: impl FnMut(Duration) -> Result<()>,
) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_the_load_generator_makes_of_it() {
        let mut made = Vec::new();
        Template::new(encoded(&["GET", KEY])).append(1_234_567, &mut made);
        let written = encoded(&["GET", &key(1_234_567)]);
        assert_eq!(made.escape_ascii().to_string(), written.escape_ascii().to_string());
    }
}
