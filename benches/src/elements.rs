//! How much memory does an element of a list or of a set take?

use std::ops::Range;

use crate::Result;
use crate::chart::{Chart, Shape as ChartShape};
use crate::client::{Client, encode};
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::figures::grouped;
use crate::filling::key;
use crate::report::Chapter;
use crate::servers::{Contender, Server};

/// All elements of all keys.
const ELEMENTS: u64 = 1_000_000;

/// How many of them a key has.
const SIZES: [u64; 3] = [10, 1_000, ELEMENTS];

/// How many elements are added and deleted before the first reading, so that buffers are not counted as elements.
const WARM_UP: u64 = 1_000;

/// How many elements a command adds.
const STEP: u64 = 10;

/// How many commands are sent at once.
const DEPTH: usize = 32;

/// Prime to the number of elements, so that its multiples meet every number below that once.
const SCATTER: u64 = 387_420_489;

/// What is stored.
#[derive(Clone, Copy)]
struct Shape {
    /// The command that adds elements.
    command: &'static str,
    size: u64,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Integers,
    Strings,
}

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut lists = Comparison::lower_is_better("Memory per element of a list, bytes");
    let mut sets = Comparison::lower_is_better("Memory per element of a set, bytes");
    // Memory does not depend on what else the machine does: one round is enough.
    contest.rounds("elements", 1, |contender| {
        for (command, table) in [("rpush", &mut lists), ("sadd", &mut sets)] {
            for shape in Shape::all(command) {
                table.add(&shape.label(), contender, bytes_per_element(contender, shape)?);
            }
        }
        Ok(())
    })?;
    let contenders = &contest.contenders;
    let tables = [lists, sets];
    let panels = tables.iter().map(|table| table.panel(ChartShape::Bars, "elements", contenders));
    Ok(Chapter {
        title: "Memory of lists and sets",
        method: method(),
        charts: vec![Chart { file: "elements.svg", panels: panels.collect() }],
        tables: tables.iter().map(|table| table.table(contenders)).collect(),
    })
}

fn bytes_per_element(contender: &Contender, shape: Shape) -> Result<f64> {
    let server = Server::start(contender)?;
    let mut client = server.connect()?;
    shape.fill(&mut client, WARM_UP)?;
    client.call(&["FLUSHALL"])?;
    let empty = server.resident_bytes()?;
    shape.fill(&mut client, ELEMENTS)?;
    let full = server.resident_bytes()?;
    Ok((full as f64 - empty as f64) / ELEMENTS as f64)
}

impl Shape {
    fn all(command: &'static str) -> impl Iterator<Item = Shape> {
        let kinds = [Kind::Integers, Kind::Strings].into_iter();
        kinds.flat_map(move |kind| SIZES.map(|size| Shape { command, size, kind }))
    }

    fn label(self) -> String {
        let kind = match self.kind {
            Kind::Integers => "integers",
            Kind::Strings => "strings",
        };
        format!("{} {kind}", grouped(self.size))
    }

    /// Adds that many elements, key after key. The server works while the next commands are written.
    fn fill(self, client: &mut Client, elements: u64) -> Result<()> {
        let firsts: Vec<u64> = (0..elements).step_by(STEP as usize).collect();
        let (mut requests, mut sent) = (Vec::new(), 0);
        for pipeline in firsts.chunks(DEPTH) {
            requests.clear();
            for &first in pipeline {
                self.append(first..elements.min(first + STEP), &mut requests);
            }
            client.await_replies(sent)?;
            client.send(&requests)?;
            sent = pipeline.len();
        }
        client.await_replies(sent)
    }

    /// Appends the command that adds the elements of these numbers, which belong to one key.
    fn append(self, numbers: Range<u64>, requests: &mut Vec<u8>) {
        let key = key(numbers.start / self.size);
        let elements: Vec<String> = numbers.map(|number| self.kind.element(number)).collect();
        let mut words = vec![self.command, &key];
        words.extend(elements.iter().map(String::as_str));
        encode(&words, requests);
    }
}

impl Kind {
    /// No two numbers have the same element, and neighbours are far apart.
    fn element(self, number: u64) -> String {
        let scattered = number * SCATTER % ELEMENTS;
        match self {
            Kind::Integers => scattered.to_string(),
            Kind::Strings => format!("element:{scattered:08}"),
        }
    }
}

fn method() -> String {
    let sizes = SIZES.map(grouped);
    format!(
        "{elements} elements in a fresh server, in keys of {ten}, {thousand} or all of them: integers below {elements} \
         in no order, or strings of 16 bytes. They are added {STEP} at a time, at the end of a list, one key after the \
         other. The figure is by how much the server's resident memory has grown, divided by the number of elements; \
         the keys, of 16 bytes, count in. All settings are the server's defaults. One round.",
        elements = grouped(ELEMENTS),
        ten = sizes[0],
        thousand = sizes[1],
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn elements_are_all_different() {
        for kind in [Kind::Integers, Kind::Strings] {
            let elements: HashSet<String> =
                (0..ELEMENTS).map(|number| kind.element(number)).collect();
            assert_eq!(elements.len() as u64, ELEMENTS);
        }
        assert_eq!(Kind::Strings.element(7).len(), 16);
    }

    #[test]
    fn keys_have_whole_commands() {
        assert!(
            SIZES.iter().all(|size| size.is_multiple_of(STEP) && ELEMENTS.is_multiple_of(*size))
        );
        let shape = Shape { command: "rpush", size: 10, kind: Kind::Integers };
        let mut request = Vec::new();
        shape.append(20..22, &mut request);
        let mut expected = Vec::new();
        encode(
            &["rpush", &key(2), &shape.kind.element(20), &shape.kind.element(21)],
            &mut expected,
        );
        assert_eq!(request.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn every_size_is_there_of_both_kinds() {
        let labels: Vec<String> = Shape::all("sadd").map(Shape::label).collect();
        assert_eq!(labels.len(), 6);
        assert_eq!(labels[..2], ["10 integers", "1,000 integers"]);
        assert_eq!(labels[5], "1,000,000 strings");
    }
}
