//! Finds where what was loaded differs from what was written.

use client_tests::{
    reply::Reply,
    text::{quote, shorten},
};

use crate::{
    rules::Passage,
    state::{Entry, State},
};

/// Further differences would be of the same cause.
const MOST_TOLD: usize = 5;
const MOST_OF_A_VALUE: usize = 200;

/// The first differences, a line for each, or none.
pub(crate) fn differences(written: &State, loaded: &State, passage: &Passage<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (place, entry) in &written.keys {
        match loaded.keys.get(place) {
            None => found.push(format!("{place}, a {}, is gone", text(&entry.kind))),
            Some(other) => found.extend(
                difference(entry, other, passage)
                    .map(|difference| format!("{place}: {difference}")),
            ),
        }
    }
    let added = loaded.keys.keys().filter(|place| !written.keys.contains_key(place));
    found.extend(added.map(|place| format!("{place} was not there when it was written")));
    if let Some(difference) = in_libraries(written, loaded) {
        found.push(format!("libraries of functions: {difference}"));
    }
    summarize(found)
}

/// Keys whose values are kept otherwise than on another server that has loaded the same file.
pub(crate) fn other_encodings(reference: &State, loaded: &State) -> Vec<String> {
    let pairs = reference.keys.iter().filter_map(|(place, entry)| {
        let other = loaded.keys.get(place)?;
        (entry.encoding != other.encoding).then(|| {
            format!(
                "{place} is kept as {}, and the server that wrote it loads it as {}: {}",
                other.encoding,
                entry.encoding,
                shorten(&entry.value.to_string(), MOST_OF_A_VALUE)
            )
        })
    });
    summarize(pairs.collect())
}

fn summarize(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(MOST_TOLD);
    found.truncate(MOST_TOLD);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn difference(written: &Entry, loaded: &Entry, passage: &Passage<'_>) -> Option<String> {
    if written.kind != loaded.kind {
        return Some(format!("was a {}, and is a {}", text(&written.kind), text(&loaded.kind)));
    }
    if written.deadline_ms != loaded.deadline_ms {
        return Some(format!(
            "was to expire at {}, and is at {}",
            written.deadline_ms, loaded.deadline_ms
        ));
    }
    if !passage.encodings_agree(&written.encoding, &loaded.encoding) {
        return Some(format!("was kept as {}, and is as {}", written.encoding, loaded.encoding));
    }
    if written.kind == b"stream" {
        return between(&passage.reduce(&written.value), &passage.reduce(&loaded.value));
    }
    between(&written.value, &loaded.value)
}

fn in_libraries(written: &State, loaded: &State) -> Option<String> {
    if written.libraries.keys().ne(loaded.libraries.keys()) {
        let names = |state: &State| {
            state.libraries.keys().map(|name| text(name)).collect::<Vec<_>>().join(", ")
        };
        return Some(format!("were {}, and are {}", names(written), names(loaded)));
    }
    let mut pairs = written.libraries.iter().zip(loaded.libraries.values());
    pairs.find_map(|((name, left), right)| {
        between(left, right).map(|difference| format!("{}: {difference}", text(name)))
    })
}

/// Where two replies begin to differ, and how.
fn between(written: &Reply, loaded: &Reply) -> Option<String> {
    match (written, loaded) {
        _ if written == loaded => None,
        (Reply::Map(left), Reply::Map(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right);
            pairs.find_map(|((name, left), (_, right))| {
                between(left, right).map(|inside| format!("{name} {inside}"))
            })
        }
        (Reply::Array(left), Reply::Array(right)) | (Reply::Set(left), Reply::Set(right)) => {
            between_elements(left, right)
        }
        _ => Some(format!("was {}, and is {}", show(written), show(loaded))),
    }
}

fn between_elements(written: &[Reply], loaded: &[Reply]) -> Option<String> {
    let mut pairs = written.iter().zip(loaded).enumerate();
    let inside = pairs.find_map(|(at, (left, right))| {
        between(left, right).map(|inside| format!("[{at}] {inside}"))
    });
    if written.len() == loaded.len() {
        return inside;
    }
    let counts = format!("had {} elements, and has {}", written.len(), loaded.len());
    let longer = if written.len() > loaded.len() { written } else { loaded };
    let last = show(&longer[longer.len() - 1]);
    let inside = inside.unwrap_or_else(|| format!("the last of the longer is {last}"));
    Some(format!("{counts}; {inside}"))
}

fn show(reply: &Reply) -> String {
    shorten(&reply.to_string(), MOST_OF_A_VALUE)
}

fn text(bytes: &[u8]) -> String {
    quote(bytes)
}
