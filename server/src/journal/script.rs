//! The lines of a log: commands as clients send them, and remarks.

use std::io;

use super::damage::Damage;
use super::window::Window;
use crate::command::args::Span;

/// What stands next in a log, and how many bytes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Command(usize),
    Remark(usize),
    End,
}

/// Why there is no next line.
enum Lack {
    Bytes,
    Format(&'static str),
}

const MOST_WORDS: u64 = 1 << 31;
const LONGEST_WORD: u64 = 1 << 40;
const LONGEST_HEAD: usize = 32;

/// Finds the next line and, of a command, where its words are in what is left of the window.
pub(crate) fn next_line(window: &mut Window, spans: &mut Vec<Span>) -> Result<Line, Damage> {
    loop {
        let offset = window.offset();
        if window.rest().is_empty() && window.has_ended() {
            return Ok(Line::End);
        }
        match parse(window.rest(), spans) {
            Ok(line) => return Ok(line),
            Err(Lack::Format(what)) => {
                let ends_in_zeros = ends_in_zeros(window);
                return Err(
                    if ends_in_zeros.map_err(|error| Damage::unreadable(offset, &error))? {
                        Damage::cut(offset, "the end of the file never reached the disk")
                    } else {
                        Damage::at(offset, what)
                    },
                );
            }
            Err(Lack::Bytes) if window.has_ended() => {
                return Err(Damage::cut(offset, "the file ends in the middle of a command"));
            }
            Err(Lack::Bytes) => {
                window.fetch().map_err(|error| Damage::unreadable(offset, &error))?;
            }
        }
    }
}

/// Whether all that is wrong is that from some byte on there are zeros only, as where the power failed and a file's
/// length had reached the disk before what is in it. Reads to the end.
fn ends_in_zeros(window: &mut Window) -> io::Result<bool> {
    let rest = window.rest();
    let known = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let is_cut = matches!(parse(&rest[..known], &mut Vec::new()), Err(Lack::Bytes));
    if !is_cut || known == rest.len() {
        return Ok(false);
    }
    window.consume(known);
    while window.rest().iter().all(|&byte| byte == 0) {
        if window.has_ended() {
            return Ok(true);
        }
        window.consume(window.rest().len());
        window.fetch()?;
    }
    Ok(false)
}

fn parse(bytes: &[u8], spans: &mut Vec<Span>) -> Result<Line, Lack> {
    spans.clear();
    if bytes.first() == Some(&b'#') {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or(Lack::Bytes)?;
        return Ok(Line::Remark(end + 1));
    }
    let (count, mut at) = head(bytes, 0, b'*', "a command should begin here")?;
    if count == 0 || count > MOST_WORDS {
        return Err(Lack::Format("a command with an impossible number of words"));
    }
    for _ in 0..count {
        let (length, begin) = head(bytes, at, b'$', "a word of a command should begin here")?;
        if length > LONGEST_WORD {
            return Err(Lack::Format("a word of an impossible length"));
        }
        let end = begin + length as usize;
        let behind = bytes.get(end..end + 2).ok_or(Lack::Bytes)?;
        if behind != b"\r\n" {
            return Err(Lack::Format("a word that does not end where it should"));
        }
        spans.push(Span::inside(begin, length as usize));
        at = end + 2;
    }
    Ok(Line::Command(at))
}

/// A number behind a mark, and what follows it.
fn head(bytes: &[u8], at: usize, mark: u8, expected: &'static str) -> Result<(u64, usize), Lack> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first() {
        None => return Err(Lack::Bytes),
        Some(&byte) if byte != mark => return Err(Lack::Format(expected)),
        _ => {}
    }
    let mut number: u64 = 0;
    for (index, &byte) in rest.iter().enumerate().skip(1).take(LONGEST_HEAD) {
        match byte {
            b'0'..=b'9' if number < u64::MAX / 100 => number = number * 10 + u64::from(byte - b'0'),
            b'\r' if index > 1 => {
                return match rest.get(index + 1) {
                    None => Err(Lack::Bytes),
                    Some(b'\n') => Ok((number, at + index + 2)),
                    Some(_) => Err(Lack::Format("a line that does not end as it should")),
                };
            }
            _ => return Err(Lack::Format("a number that is none")),
        }
    }
    if rest.len() <= LONGEST_HEAD {
        Err(Lack::Bytes)
    } else {
        Err(Lack::Format("a number that is none"))
    }
}
