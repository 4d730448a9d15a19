//! The log of slow requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

/// How many arguments of a request are kept, and how many bytes of each.
const MOST_ARGUMENTS: usize = 32;
const LONGEST_ARGUMENT: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct SlowLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    next_id: u64,
    /// The newest first.
    entries: VecDeque<SlowRequest>,
}

#[derive(Clone, Debug)]
pub(crate) struct SlowRequest {
    pub(crate) id: u64,
    pub(crate) time_s: i64,
    pub(crate) spent_us: u64,
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) address: String,
    pub(crate) client_name: Vec<u8>,
}

impl SlowLog {
    /// Adds a request; its id is given here.
    pub(crate) fn add(&self, mut request: SlowRequest, most: usize) {
        let mut log = self.lock();
        request.id = log.next_id;
        log.next_id += 1;
        log.entries.push_front(request);
        log.entries.truncate(most);
    }

    /// The newest requests, so many at most.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowRequest> {
        self.lock().entries.iter().take(count).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn clear(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("nothing panics while it holds the slow log")
    }
}

/// A request's arguments as the log keeps them: not too many and not too long.
pub(crate) fn abridge<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let total = words.len();
    let kept = if total > MOST_ARGUMENTS { MOST_ARGUMENTS - 1 } else { total };
    let mut result: Vec<_> = words.take(kept).map(abridge_one).collect();
    if kept < total {
        result.push(format!("... ({} more arguments)", total - kept).into_bytes());
    }
    result
}

fn abridge_one(word: &[u8]) -> Vec<u8> {
    if word.len() <= LONGEST_ARGUMENT {
        return word.to_vec();
    }
    let mut result = word[..LONGEST_ARGUMENT].to_vec();
    let rest = word.len() - LONGEST_ARGUMENT;
    result.extend_from_slice(format!("... ({rest} more bytes)").as_bytes());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(
        words: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
    ) -> Vec<String> {
        let abridged = abridge(words.into_iter());
        abridged.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn the_last_argument_kept_says_how_many_more_there_were() {
        let words = vec![&b"word"[..]; MOST_ARGUMENTS];
        assert_eq!(shown(words), vec!["word"; MOST_ARGUMENTS]);
        let words = vec![&b"word"[..]; MOST_ARGUMENTS + 1];
        let abridged = shown(words);
        assert_eq!(abridged.len(), MOST_ARGUMENTS);
        assert_eq!(abridged.last().map(String::as_str), Some("... (2 more arguments)"));
    }

    #[test]
    fn long_arguments_say_how_many_bytes_are_missing() {
        let long = [b'x'; LONGEST_ARGUMENT + 7];
        let expected = format!("{}... (7 more bytes)", "x".repeat(LONGEST_ARGUMENT));
        assert_eq!(shown([&long[..]]), [expected]);
        assert_eq!(shown([&long[..LONGEST_ARGUMENT]]), ["x".repeat(LONGEST_ARGUMENT)]);
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go_first() {
        let log = SlowLog::default();
        for time_s in 0..5 {
            let request = SlowRequest {
                id: 0,
                time_s,
                spent_us: 1,
                arguments: Vec::new(),
                address: String::new(),
                client_name: Vec::new(),
            };
            log.add(request, 3);
        }
        let ids = |count| log.newest(count).iter().map(|request| request.id).collect::<Vec<_>>();
        assert_eq!(ids(usize::MAX), [4, 3, 2]);
        assert_eq!(ids(1), [4]);
        log.clear();
        assert_eq!(log.len(), 0);
    }
}
