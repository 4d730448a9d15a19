//! An entry as the commands that make it, which is what a log may begin with in place of a snapshot.

use super::effects::write_command;
use super::output::Output;
use crate::keyspace::Entry;
use crate::value::list::Part;
use crate::value::number::format_integer;
use crate::value::packed::Elements;
use crate::value::stream::{Group, IdRange, LONGEST_ID, Stream};
use crate::value::string::LONGEST_INTEGER;
use crate::value::{Text, ValueRef};

/// How many elements one command adds.
const PORTION: usize = 64;

pub(super) fn write(output: &mut dyn Output, entry: Entry<'_>) {
    let key = entry.key();
    match entry.value() {
        ValueRef::String(text) => {
            let text = text.bytes(&mut [0; LONGEST_INTEGER]).to_vec();
            write_command(output.room(), [&b"SET"[..], key, &text].into_iter());
        }
        ValueRef::List(list) => {
            let mut portions = Portions::new(output, b"RPUSH", key);
            for part in list.parts() {
                match part {
                    Part::Packed(elements, _) => {
                        for text in Elements(elements) {
                            portions.add(text);
                        }
                    }
                    Part::Single(element) => portions.add(Text::Fixed(element)),
                }
            }
            portions.end();
        }
        ValueRef::Set(set) => {
            let mut portions = Portions::new(output, b"SADD", key);
            set.visit(|member| portions.add(member));
            portions.end();
        }
        ValueRef::Stream(stream) => write_stream(output, key, stream),
    }
    if let Some(deadline_ms) = entry.deadline_ms() {
        let mut room = [0; LONGEST_INTEGER];
        let deadline_ms = format_integer(deadline_ms, &mut room);
        write_command(output.room(), [&b"PEXPIREAT"[..], key, deadline_ms].into_iter());
    }
}

/// Commands that each add some elements.
struct Portions<'o> {
    output: &'o mut dyn Output,
    command: &'static [u8],
    key: &'o [u8],
    elements: Vec<Box<[u8]>>,
}

impl<'o> Portions<'o> {
    fn new(output: &'o mut dyn Output, command: &'static [u8], key: &'o [u8]) -> Self {
        Portions { output, command, key, elements: Vec::new() }
    }

    fn add(&mut self, element: Text<'_>) {
        self.elements.push(element.bytes(&mut [0; LONGEST_INTEGER]).into());
        if self.elements.len() == PORTION {
            self.end();
        }
    }

    fn end(&mut self) {
        if !self.elements.is_empty() {
            let head = [self.command, self.key].into_iter();
            let words: Vec<&[u8]> =
                head.chain(self.elements.iter().map(|element| &**element)).collect();
            write_command(self.output.room(), words.into_iter());
            self.elements.clear();
        }
    }
}

fn write_stream(output: &mut dyn Output, key: &[u8], stream: &Stream) {
    let mut room = [0; LONGEST_ID];
    for entry in stream.log.range(IdRange::ALL) {
        let fields: Vec<Box<[u8]>> = entry
            .fields
            .flat_map(|(name, value)| [name, value])
            .map(|text| text.bytes(&mut [0; LONGEST_INTEGER]).into())
            .collect();
        let head = [&b"XADD"[..], key, entry.id.format(&mut room)].into_iter();
        let words: Vec<&[u8]> = head.chain(fields.iter().map(|field| &**field)).collect();
        write_command(output.room(), words.into_iter());
    }
    if stream.log.is_empty() {
        // A stream that has nothing in it: what is added goes at once.
        let words = [&b"XADD"[..], key, b"MAXLEN", b"0", b"0-1", b"x", b"y"];
        write_command(output.room(), words.into_iter());
    }
    let (mut last_room, mut deleted_room, mut number) =
        ([0; LONGEST_ID], [0; LONGEST_ID], [0; LONGEST_INTEGER]);
    let history = &stream.log.history;
    let last_id = history.last_id.format(&mut last_room);
    let added = format_integer(history.added as i64, &mut number);
    let deleted = history.max_deleted_id.format(&mut deleted_room);
    let words = [&b"XSETID"[..], key, last_id, b"ENTRIESADDED", added, b"MAXDELETEDID", deleted];
    write_command(output.room(), words.into_iter());
    for (name, group) in stream.groups.iter() {
        write_group(output, (key, name), group);
    }
}

fn write_group(output: &mut dyn Output, (key, name): (&[u8], &[u8]), group: &Group) {
    let (mut id_room, mut number) = ([0; LONGEST_ID], [0; LONGEST_INTEGER]);
    let last_id = group.last_id.format(&mut id_room);
    let read = format_integer(group.read.unwrap_or(-1), &mut number);
    let words = [&b"XGROUP"[..], b"CREATE", key, name, last_id, b"ENTRIESREAD", read];
    write_command(output.room(), words.into_iter());
    for consumer in group.consumers() {
        let words = [&b"XGROUP"[..], b"CREATECONSUMER", key, name, &consumer.name];
        write_command(output.room(), words.into_iter());
    }
    for (id, pending) in group.pending_in(IdRange::ALL) {
        let (mut time, mut count) = ([0; LONGEST_INTEGER], [0; LONGEST_INTEGER]);
        let words = [
            &b"XCLAIM"[..],
            key,
            name,
            &group.consumer(pending.consumer).name,
            b"0",
            id.format(&mut id_room),
            b"TIME",
            format_integer(pending.delivered_ms, &mut time),
            b"RETRYCOUNT",
            format_integer(pending.deliveries, &mut count),
            b"JUSTID",
            b"FORCE",
        ];
        write_command(output.room(), words.into_iter());
    }
}
