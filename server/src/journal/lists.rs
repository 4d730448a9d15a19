//! Lists as RDB files have them: nodes of packed elements, and large elements by themselves.

use std::borrow::Cow;

use super::output::Output;
use super::payload::{Reader, write_length, write_string};
use super::ziplist;
use crate::value::Text;
use crate::value::list::{End, List, Part};
use crate::value::packed::{self, Elements};

/// What a node is.
const SINGLE: u64 = 1;
const PACKED: u64 = 2;
/// Packed elements have their length in bytes and their number in front, and a mark behind.
const COUNT_AT: usize = 4;
const ELEMENTS_AT: usize = 6;
const END_MARK: u8 = 0xff;

/// How many nodes a list has tells whether it is a long one.
pub(super) fn write(output: &mut dyn Output, list: &List) {
    if !list.is_long() {
        write_length(output.room(), 1);
        write_length(output.room(), PACKED);
        return write_string(output.room(), &framed(&joined(list), list.len()));
    }
    write_length(output.room(), list.parts().count() as u64);
    for part in list.parts() {
        let output = output.room();
        match part {
            Part::Packed(elements, count) => {
                write_length(output, PACKED);
                write_string(output, &framed(elements, count));
            }
            Part::Single(element) => {
                write_length(output, SINGLE);
                write_string(output, element);
            }
        }
    }
}

fn joined(list: &List) -> Cow<'_, [u8]> {
    let mut parts = list.parts();
    if let (Some(Part::Packed(elements, _)), None) = (parts.next(), parts.next()) {
        return Cow::Borrowed(elements);
    }
    let mut joined = Vec::with_capacity(list.packed_bytes());
    list.iter().for_each(|element| packed::append(element, &mut joined));
    Cow::Owned(joined)
}

pub(super) fn framed(elements: &[u8], count: usize) -> Vec<u8> {
    let total = (ELEMENTS_AT + elements.len() + 1) as u32;
    // A number that does not fit stands for one that has to be counted.
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    [&total.to_le_bytes()[..], &count.to_le_bytes(), elements, &[END_MARK]].concat()
}

/// A list in nodes. `None` means that the bytes are not what they should be.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<List> {
    let (mut list, nodes) = (List::new(), reader.plain_length()?);
    for _ in 0..nodes {
        match reader.plain_length()? {
            SINGLE => {
                list.push(End::Tail, Text::new(&single(reader)?));
                list.set_long(true);
            }
            PACKED => read_packed(&reader.string()?, &mut list)?,
            _ => return None,
        }
    }
    list.set_long(list.is_long() || nodes > 1);
    (!list.is_empty()).then_some(list)
}

/// An element that is a node by itself, as only a long one is.
fn single<'r>(reader: &mut Reader<'r>) -> Option<Cow<'r, [u8]>> {
    reader.string().filter(|element| !element.is_empty())
}

fn read_packed(node: &[u8], list: &mut List) -> Option<()> {
    for element in packed_elements(node)? {
        list.push(End::Tail, Text::new(&element));
    }
    Some(())
}

/// The elements of packed bytes with their head and their mark, each by itself.
pub(super) fn packed_elements(node: &[u8]) -> Option<Vec<Vec<u8>>> {
    Some(packed_texts(node)?.map(|element| element.to_bytes().into()).collect())
}

/// The same, where they are. All of them have been looked at before the first is given.
pub(super) fn packed_texts(node: &[u8]) -> Option<Elements<'_>> {
    let total = u32::from_le_bytes(*node.first_chunk()?) as usize;
    let count = u16::from_le_bytes(*node.get(COUNT_AT..)?.first_chunk()?);
    let (&end, bytes) = node.get(ELEMENTS_AT..)?.split_last()?;
    let found = packed::count(bytes)?;
    let is_counted = count == u16::MAX || usize::from(count) == found;
    let is_whole = total == node.len() && end == END_MARK;
    (is_counted && is_whole).then_some(Elements(bytes))
}

/// A list in nodes, as servers before Redis 7 wrote it. Nodes may be empty.
pub(super) fn read_old(reader: &mut Reader<'_>) -> Option<List> {
    let (mut list, mut nodes) = (List::new(), 0);
    for _ in 0..reader.plain_length()? {
        let before = list.len();
        read_ziplist(reader, &mut list)?;
        nodes += usize::from(list.len() > before);
    }
    list.set_long(nodes > 1);
    (!list.is_empty()).then_some(list)
}

/// A list that is one node. Redis makes it a long one, whatever it has in it.
pub(super) fn read_oldest(reader: &mut Reader<'_>) -> Option<List> {
    let mut list = List::new();
    read_ziplist(reader, &mut list)?;
    list.set_long(true);
    (!list.is_empty()).then_some(list)
}

fn read_ziplist(reader: &mut Reader<'_>, list: &mut List) -> Option<()> {
    for element in ziplist::elements(&reader.string()?)? {
        list.push(End::Tail, Text::new(&element));
    }
    Some(())
}

/// A list of strings one after the other, as old versions wrote it.
pub(super) fn read_plain(reader: &mut Reader<'_>) -> Option<List> {
    let mut list = List::new();
    for _ in 0..reader.plain_length()? {
        list.push(End::Tail, Text::new(&reader.string()?));
    }
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_as_long_after_it_was_saved_as_before() {
        for (is_long, elements) in [(false, 3), (false, 2000), (true, 3), (true, 2000)] {
            let mut list = List::new();
            (0..elements).for_each(|_| list.push(End::Tail, Text::Fixed(b"an element")));
            list.set_long(is_long);
            let mut bytes = Vec::new();
            write(&mut bytes, &list);
            let read = read(&mut Reader::new(&bytes)).expect("it was written as a list");
            // One node may be that of either.
            let is_told = is_long && elements > 1000;
            assert_eq!((read.len(), read.is_long()), (elements, is_told));
            assert_eq!(read, list);
        }
    }
}
