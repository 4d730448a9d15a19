//! A bar on a terminal while a server loads what it has on disk.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::Duration;

use redlet::Loading;

/// What takes less time shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
const WIDTH: u64 = 20;
/// Empties the line that the cursor is on.
const CLEAR: &str = "\x1b[2K";

/// Shows how loading goes on, if somebody looks.
pub(crate) struct Bar {
    is_shown: Mutex<bool>,
    has_audience: bool,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Bar { is_shown: Mutex::new(false), has_audience: stderr().is_terminal() }
    }

    pub(crate) fn show(&self, loading: &Loading) {
        if !self.has_audience || loading.elapsed < PATIENCE {
            return;
        }
        // The cursor stays at the line's begin, so that a line of the log takes the bar's place.
        let _ = write!(stderr(), "{CLEAR}{}\r", picture(loading));
        *self.is_shown.lock().expect("nothing panics here") = true;
    }

    /// Takes the bar away, so that what follows begins on an empty line.
    pub(crate) fn end(&self) {
        if std::mem::take(&mut *self.is_shown.lock().expect("nothing panics here")) {
            let _ = write!(stderr(), "{CLEAR}\r");
        }
    }
}

fn picture(loading: &Loading) -> String {
    let full = loading.percent() * WIDTH / 100;
    let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '-' }).collect();
    match remaining_s(loading) {
        Some(seconds) => format!("loading [{bar}] {loading}, {seconds} s left"),
        None => format!("loading [{bar}] {loading}"),
    }
}

/// How long the rest takes if it goes on like this; at the very beginning nobody knows.
fn remaining_s(loading: &Loading) -> Option<u64> {
    let percent = Some(loading.percent()).filter(|&percent| percent > 0)?;
    Some((loading.elapsed.as_secs_f64() * (100 - percent) as f64 / percent as f64).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_with_what_is_loaded() {
        let loading = |loaded_bytes| Loading {
            loaded_bytes,
            total_bytes: 1000,
            keys: 70,
            commands: 0,
            elapsed: Duration::from_secs(3),
        };
        assert_eq!(picture(&loading(0)), "loading [--------------------] 0%, 70 keys");
        assert_eq!(picture(&loading(300)), "loading [######--------------] 30%, 70 keys, 7 s left");
        assert_eq!(
            picture(&loading(2000)),
            "loading [####################] 100%, 70 keys, 0 s left"
        );
    }
}
