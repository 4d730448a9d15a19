//! Values: how each kind is read, checked and printed. Knows no parameter by name.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::events::EventClass;
use super::limits::{self, OutputLimits};
use super::row::{Kind, Row};
use crate::value::number::parse_integer;

/// A parameter's value in the form in which it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(i64),
    Text(Arc<str>),
    Limits(OutputLimits),
}

/// Why a value is refused, in Redis's words.
pub(super) type Reason = Cow<'static, str>;

const WRONG_COUNT: Reason = Cow::Borrowed("wrong number of arguments");

/// Reads a value out of its words; `present` is what a partial value, such as one class of limits, adds to.
pub(super) fn parse(row: &Row, words: &[&str], present: &Value) -> Result<Value, Reason> {
    if takes_several(row.kind) {
        return match *words {
            [word] => parse_several(row.kind, &split(word), present),
            _ => parse_several(row.kind, words, present),
        };
    }
    let &[word] = words else { return Err(WRONG_COUNT) };
    let value = match row.kind {
        Kind::Text => Value::Text(word.into()),
        Kind::Directory => Value::Text(directory(word)?),
        Kind::Events => Value::Number(EventClass::parse(word)?.bits().into()),
        kind => Value::Number(number(kind, word)?),
    };
    Ok(match (row.clamp, value) {
        (Some((low, high)), Value::Number(number)) => Value::Number(number.clamp(low, high)),
        (_, value) => value,
    })
}

/// Whether a single word that holds spaces stands for several.
fn takes_several(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Addresses
            | Kind::Percentiles
            | Kind::OomScores
            | Kind::SavePoints
            | Kind::OutputLimits
            | Kind::Choices(_)
    )
}

/// Two spaces in a row hold an empty word between them, as they do in Redis.
fn split(word: &str) -> Vec<&str> {
    if word.is_empty() { Vec::new() } else { word.split(' ').collect() }
}

fn parse_several(kind: Kind, words: &[&str], present: &Value) -> Result<Value, Reason> {
    let text = match kind {
        Kind::Choices(names) => return choices(names, words).map(Value::Number),
        Kind::OutputLimits => return limits::parse(words, present).map(Value::Limits),
        Kind::Percentiles => percentiles(words)?,
        Kind::OomScores => oom_scores(words)?,
        Kind::SavePoints => save_points(words)?,
        _ => words.join(" "),
    };
    Ok(Value::Text(text.into()))
}

fn number(kind: Kind, word: &str) -> Result<i64, Reason> {
    match kind {
        Kind::Flag => flag(word),
        Kind::Choice(names) => {
            position(names, word).map(|index| index as i64).ok_or_else(|| not_one_of(names))
        }
        Kind::Octal { high } => {
            let number = i64::from_str_radix(word, 8)
                .map_err(|_| Reason::from("argument couldn't be parsed as an octal number"))?;
            if (0..=high).contains(&number) {
                return Ok(number);
            }
            Err(format!("argument must be between 0 and {high:o} inclusive").into())
        }
        Kind::Memory { low } => {
            let bytes = memory(word).ok_or("argument must be a memory value")?;
            within(bytes, low, i64::MAX)
        }
        Kind::WideMemory => {
            let bytes = memory(word).ok_or("argument must be a memory value")?;
            let bytes = u64::try_from(bytes).map_err(|_| outside(0, u64::MAX))?;
            Ok(bytes.cast_signed())
        }
        Kind::MemoryOrPercent => memory_or_percent(word),
        Kind::Integer { low, high } => {
            let number = parse_integer(word.as_bytes())
                .ok_or("argument couldn't be parsed into an integer")?;
            within(number.into(), low, high)
        }
        _ => unreachable!("other kinds are stored as text"),
    }
}

fn within(number: i128, low: i64, high: i64) -> Result<i64, Reason> {
    if let Ok(number) = i64::try_from(number)
        && (low..=high).contains(&number)
    {
        return Ok(number);
    }
    Err(outside(low, high))
}

fn outside(low: impl Display, high: impl Display) -> Reason {
    format!("argument must be between {low} and {high} inclusive").into()
}

fn flag(word: &str) -> Result<i64, Reason> {
    match position(&["no", "yes"], word) {
        Some(index) => Ok(index as i64),
        None => Err("argument must be 'yes' or 'no'".into()),
    }
}

fn position(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(word))
}

fn not_one_of(names: &[&str]) -> Reason {
    format!("argument(s) must be one of the following: {}", names.join(", ")).into()
}

fn choices(names: &[&str], words: &[&str]) -> Result<i64, Reason> {
    if words.is_empty() {
        return Err(not_one_of(names));
    }
    let mut mask = 0;
    for word in words {
        let index = position(names, word).ok_or_else(|| not_one_of(names))?;
        mask |= 1 << index;
    }
    if mask & 0b110 == 0b110 {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    // The first word stands for none, so it says nothing beside others.
    Ok(mask & !1)
}

/// Bytes with an optional unit; units without `b` are powers of ten. Nothing but a unit counts as zero in Redis.
fn memory(word: &str) -> Option<i128> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if number.is_empty() {
        return Some(0);
    }
    // Whoever writes more digits than fit means more than there can be.
    let number = number.parse().unwrap_or(u64::MAX);
    Some(i128::from(number) * factor)
}

/// Bytes, if there can be that many.
pub(super) fn bytes(word: &str) -> Option<i64> {
    memory(word)?.try_into().ok()
}

fn memory_or_percent(word: &str) -> Result<i64, Reason> {
    const NEITHER: Reason = Cow::Borrowed("argument must be a memory or percent value");
    let Some(percent) = word.strip_suffix('%') else { return bytes(word).ok_or(NEITHER) };
    match parse_integer(percent.as_bytes()) {
        Some(percent @ 0..=100) => Ok(-percent),
        Some(101..) => Err("percentage argument must be less or equal to 100".into()),
        _ => Err(NEITHER),
    }
}

fn directory(word: &str) -> Result<Arc<str>, Reason> {
    // The system's words for what went wrong, without the number that the standard library adds.
    let plain = |error: std::io::Error| {
        let text = error.to_string();
        let end = text.find(" (os error").unwrap_or(text.len());
        Reason::from(text[..end].to_owned())
    };
    let path = Path::new(word).canonicalize().map_err(plain)?;
    if !path.is_dir() {
        return Err("Not a directory".into());
    }
    match path.to_str() {
        Some(path) => Ok(path.into()),
        None => Err("the directory's name is not UTF-8".into()),
    }
}

/// The event classes in the order in which Redis prints them; those before `A`'s limit are what `A` stands for.
fn percentiles(words: &[&str]) -> Result<String, Reason> {
    let mut printed = Vec::with_capacity(words.len());
    for word in words {
        let percentile = match word.parse::<f64>() {
            Ok(percentile) if !percentile.is_nan() => percentile,
            _ => return Err("Invalid latency-tracking-info-percentiles parameters".into()),
        };
        if !(0.0..=100.0).contains(&percentile) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                    .into(),
            );
        }
        let digits = format!("{percentile:.6}");
        printed.push(digits.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    Ok(printed.join(" "))
}

fn oom_scores(words: &[&str]) -> Result<String, Reason> {
    if words.len() != 3 {
        return Err(WRONG_COUNT);
    }
    let fits = |word: &&str| word.parse::<i64>().is_ok_and(|score| (-2000..=2000).contains(&score));
    if !words.iter().all(fits) {
        return Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into());
    }
    Ok(words.join(" "))
}

fn save_points(words: &[&str]) -> Result<String, Reason> {
    let fits = |pair: &[&str]| match pair {
        [seconds, changes] => {
            seconds.parse::<i64>().is_ok_and(|seconds| seconds >= 1)
                && changes.parse::<i32>().is_ok_and(|changes| changes >= 0)
        }
        _ => false,
    };
    // `save ""` on a command line is one empty word.
    if !words.chunks(2).all(fits) {
        return Err("Invalid save parameters".into());
    }
    Ok(words.join(" "))
}

/// A value as `CONFIG GET` prints it.
pub(super) fn print(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Directory, Value::Text(text)) if text.is_empty() => {
            std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default()
        }
        (_, Value::Text(text)) => text.to_string(),
        (_, Value::Limits(limits)) => limits::print(limits),
        (Kind::Flag, Value::Number(number)) => if *number == 0 { "no" } else { "yes" }.into(),
        (Kind::Choice(names), Value::Number(index)) => names[*index as usize].into(),
        (Kind::Choices(names), Value::Number(mask)) => print_choices(names, *mask),
        (Kind::Events, Value::Number(bits)) => EventClass::from_bits_retain(*bits as u16).print(),
        (Kind::Octal { .. }, Value::Number(number)) => format!("{number:o}"),
        (Kind::WideMemory, Value::Number(number)) => number.cast_unsigned().to_string(),
        (Kind::MemoryOrPercent, Value::Number(number @ ..0)) => format!("{}%", -number),
        (_, Value::Number(number)) => number.to_string(),
    }
}

fn print_choices(names: &[&str], mask: i64) -> String {
    let chosen = |index: &usize| mask >> index & 1 == 1;
    let words: Vec<&str> = (0..names.len()).filter(chosen).map(|index| names[index]).collect();
    if words.is_empty() { names[0].into() } else { words.join(" ") }
}

/// What a parameter of this kind takes, for people.
pub(super) fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Flag => "yes or no".into(),
        Kind::Integer { low, high: i64::MAX } => format!("a whole number, {low} or more"),
        Kind::Integer { low, high } => format!("a whole number from {low} to {high}"),
        Kind::Octal { high } => format!("an octal number from 0 to {high:o}"),
        Kind::WideMemory | Kind::Memory { low: 0 } => "a size such as 512mb".into(),
        Kind::Memory { low } => format!("a size such as 512mb, at least {low} bytes"),
        Kind::MemoryOrPercent => "a size such as 512mb, or a percentage such as 5%".into(),
        Kind::Choice(names) => format!("one of: {}", names.join(", ")),
        Kind::Choices(names) => format!("one or more of: {}; not both save and nosave", names.join(", ")),
        Kind::Text => "one value, in quotes if it holds spaces or is empty".into(),
        Kind::Directory => "a directory that exists".into(),
        Kind::Addresses => "IP addresses".into(),
        Kind::Percentiles => "numbers from 0 to 100".into(),
        Kind::OomScores => "three whole numbers from -2000 to 2000".into(),
        Kind::SavePoints => "pairs of seconds and changes, as in '900 1', or \"\"".into(),
        Kind::Events => "letters out of Ag$lshzxeKEtmdn".into(),
        Kind::OutputLimits => {
            "a class (normal, replica or pubsub), a hard limit, a soft limit and seconds, as in 'normal 0 0 0'".into()
        }
    }
}
