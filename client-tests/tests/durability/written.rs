//! What of the givers' gifts stands in the journal's files: a kill takes nothing away that was written, whatever was promised.

use std::{fs, path::Path};

use client_tests::{
    decode::decode,
    program::Home,
    reply::{Protocol, Reply},
};

use crate::{entries::text, exchange::Deeds};

/// Takes what a killed server has written for certain.
pub(crate) fn note(home: &Home, deeds: &mut Deeds) -> Result<(), String> {
    let directory = home.data().join("appendonlydir");
    let Ok(files) = fs::read_dir(&directory) else { return Ok(()) };
    for file in files.filter_map(Result::ok).map(|file| file.path()) {
        if file.to_str().is_some_and(|name| name.ends_with(".incr.aof")) {
            note_file(&file, deeds)?;
        }
    }
    Ok(())
}

fn note_file(file: &Path, deeds: &mut Deeds) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut rest = &bytes[..];
    // The last command may have been cut, and then it is none.
    while let Ok(Some((command, length))) = decode(rest, Protocol::Resp2) {
        rest = &rest[length..];
        note_command(&command, deeds);
    }
    Ok(())
}

/// The commands that a giver has sent end with its gift, whatever the journal makes of their other words.
fn note_command(command: &Reply, deeds: &mut Deeds) {
    let words = command.elements().unwrap_or_default();
    let [name, key, .., gift] = &words[..] else { return };
    if !["LPUSH", "XADD"].iter().any(|gives| text(name).eq_ignore_ascii_case(gives)) {
        return;
    }
    if let Some((giver, number)) = deeds.exchange.giver_of(&text(key), &text(gift))
        && let Some(log) = deeds.givers.get_mut(giver)
    {
        log.find_written(number);
    }
}
