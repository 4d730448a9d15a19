//! Sets as RDB files have them: integers, packed members, or members one after the other.

use super::lists::{framed, packed_elements};
use super::output::Output;
use super::payload::{Reader, write_length, write_string};
use crate::value::number::from_little_endian;
use crate::value::set::Set;
use crate::value::string::LONGEST_INTEGER;

/// The members of a set, and how it was kept where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestoredSet {
    pub(crate) form: Form,
    /// There may be duplicates: whoever makes a set of them has to look.
    pub(crate) members: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Integers,
    Packed,
    Any,
}

/// Integers have the width and the number of them in front.
const INTEGERS_AT: usize = 8;

pub(super) fn write(output: &mut dyn Output, set: &Set) {
    match set {
        Set::Integers(integers) => {
            let (width, bytes) = integers.parts();
            let count = (bytes.len() / width) as u32;
            let head = [(width as u32).to_le_bytes(), count.to_le_bytes()];
            write_string(output.room(), &[head.as_flattened(), bytes].concat());
        }
        Set::Packed(packed) => {
            let (bytes, count) = packed.parts();
            write_string(output.room(), &framed(bytes, count));
        }
        Set::Table(_) => write_members(output, set),
    }
}

/// Members one after the other, whatever form the set has.
pub(super) fn write_members(output: &mut dyn Output, set: &Set) {
    write_length(output.room(), set.len() as u64);
    set.visit(|member| write_string(output.room(), member.bytes(&mut [0; LONGEST_INTEGER])));
}

/// `None` means that the bytes are not what they should be; this holds for an empty set, too.
pub(super) fn read(form: Form, reader: &mut Reader<'_>) -> Option<RestoredSet> {
    let members = match form {
        Form::Integers => integers(&reader.string()?)?,
        Form::Packed => packed_elements(&reader.string()?)?,
        Form::Any => {
            let mut members = Vec::new();
            for _ in 0..reader.plain_length()? {
                members.push(reader.string()?.into_owned());
            }
            members
        }
    };
    (!members.is_empty()).then_some(RestoredSet { form, members })
}

/// They have to ascend.
fn integers(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (words, _) = bytes.get(..INTEGERS_AT)?.as_chunks();
    let [width, count] = [words[0], words[1]].map(|word| u32::from_le_bytes(word) as usize);
    let rest = &bytes[INTEGERS_AT..];
    if !matches!(width, 2 | 4 | 8) || rest.len() != count.checked_mul(width)? {
        return None;
    }
    let integers: Vec<i64> = rest.chunks_exact(width).map(from_little_endian).collect();
    let ascend = integers.is_sorted_by(|one, next| one < next);
    ascend.then(|| integers.into_iter().map(|integer| integer.to_string().into_bytes()).collect())
}
