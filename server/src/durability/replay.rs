//! Doing again what a log tells.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::appending::Place;
use super::delay::linger_loading;
use super::load::{Expired, Twice, open, read_snapshot};
use super::manifest::{Manifest, Part};
use super::saving::trouble;
use crate::clients::Client;
use crate::clock::Moment;
use crate::command::Args;
use crate::config::Param;
use crate::engine::Engine;
use crate::execute::execute;
use crate::home::Home;
use crate::journal::damage::Damage;
use crate::journal::script::{Line, next_line};
use crate::journal::window::Window;
use crate::keyspace::Run;
use crate::resp::Output;
use crate::session::{Origin, Session};

/// Loads a log, file by file. Only the last may end too early.
pub(super) fn replay(engine: &Engine, manifest: &Manifest) -> Result<(), String> {
    let place = Place::of(engine)?;
    for part in manifest.parts() {
        let path = place.directory.join(&part.name);
        let exists = engine.durability.disk.exists(&path);
        if !exists.map_err(trouble("look for", &path))? {
            return Err(format!(
                "{} is in the manifest, but there is No such file or directory. Put it back, or take it out of the \
                 manifest if what it had may be lost",
                path.display()
            ));
        }
    }
    let mut parts = manifest.parts().peekable();
    while let Some(part) = parts.next() {
        replay_part(engine, &place, part, parts.peek().is_none())?;
    }
    Ok(())
}

fn replay_part(engine: &Engine, place: &Place, part: &Part, is_last: bool) -> Result<(), String> {
    let path = place.directory.join(&part.name);
    let Err(damage) = read_file(engine, &path) else {
        return Ok(());
    };
    let shown = path.display();
    if !damage.is_cut {
        return Err(format!(
            "Bad file format reading the append only file {shown}: {damage}. Make a copy of the directory, then \
             'redlet check --fix {shown}' cuts the file there"
        ));
    }
    if !is_last {
        return Err(format!(
            "Fatal error: the truncated file is not the last file: {shown}: {damage}. What follows it cannot be loaded \
             without what is missing; put back a copy of the directory"
        ));
    }
    if !engine.config.enabled(Param::AofLoadTruncated) {
        return Err(format!(
            "Unexpected end of file reading the append only file {shown}: {damage}. Either 'redlet check --fix {shown}' \
             cuts the file there, or start with 'aof-load-truncated yes'"
        ));
    }
    cut(engine, &path, &damage)
}

/// Takes away the end of a file that is no whole unit.
fn cut(engine: &Engine, path: &Path, damage: &Damage) -> Result<(), String> {
    let disk = &*engine.durability.disk;
    let length = disk.length(path).map_err(trouble("read", path))?;
    let lost = length.saturating_sub(damage.offset);
    tracing::warn!(
        "!!! Warning: short read while loading the AOF file {}: {damage} !!!",
        path.display()
    );
    let cut = disk.append(path).and_then(|mut file| {
        file.truncate(damage.offset)?;
        file.sync()
    });
    cut.map_err(trouble("cut off the end of", path))?;
    tracing::warn!(
        "!!! Truncating the AOF {} at offset {}: {lost} bytes that were not written whole are gone !!!",
        path.display(),
        damage.offset
    );
    Ok(())
}

/// Loads one file, which may begin with a snapshot. A file that has nothing in it is whole.
fn read_file(engine: &Engine, path: &Path) -> Result<(), Damage> {
    let mut window = open(engine, path).map_err(|problem| Damage::at(0, problem))?;
    let begins = window.want(MAGIC_BYTES).map_err(|error| Damage::unreadable(0, &error))?;
    if begins && !COMMAND_STARTS.contains(&window.rest()[0]) {
        // What is missing of a snapshot is not what was logged last: there is no end to be cut off.
        let whole = |damage| Damage { is_cut: false, ..damage };
        read_snapshot(engine, &mut window, (Twice::Replaces, Expired::Kept)).map_err(whole)?;
    }
    Replay::new(engine).run(&mut window)
}

const MAGIC_BYTES: usize = 1;
/// What commands begin with: a number of words, a remark, or what was written but never reached the disk.
const COMMAND_STARTS: [u8; 3] = [b'*', b'#', 0];

/// Executes the commands of a log.
struct Replay<'e> {
    engine: &'e Engine,
    session: Session,
    output: Output,
    run: Run<'e>,
    /// Where the transaction begins that is not complete yet.
    open_at: Option<u64>,
}

impl<'e> Replay<'e> {
    fn new(engine: &'e Engine) -> Self {
        let client = Client::new(0, String::new(), String::new(), 0);
        let mut session = Session::new(client.into(), true, Moment::now(&engine.clock));
        session.origin = Origin::Loader;
        session.home = Home::Spare;
        let run = Run::private(&engine.keyspace);
        Replay { engine, session, output: Output::default(), run, open_at: None }
    }

    fn run(mut self, window: &mut Window) -> Result<(), Damage> {
        let (mut spans, progress) = (Vec::new(), &self.engine.durability.progress);
        loop {
            let offset = window.offset();
            let line = next_line(window, &mut spans).map_err(|damage| self.widened(damage))?;
            match line {
                Line::End => break,
                Line::Remark(count) => window.consume(count),
                Line::Command(count) => {
                    let args = Args::new(window.rest(), &spans, &[]);
                    self.execute(args, offset)?;
                    window.consume(count);
                    linger_loading(self.engine);
                    progress.commands_loaded.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        match self.open_at {
            Some(offset) => {
                Err(Damage::cut(offset, "the file ends in the middle of a transaction"))
            }
            None => Ok(()),
        }
    }

    /// A file that is cut in the middle of a transaction is cut where that begins.
    fn widened(&self, damage: Damage) -> Damage {
        match self.open_at {
            Some(offset) if damage.is_cut => Damage { offset, ..damage },
            _ => damage,
        }
    }

    fn execute(&mut self, args: Args<'_>, offset: u64) -> Result<(), Damage> {
        let before = self.session.transaction.queue.is_some();
        execute(self.engine, &mut self.session, args, &mut self.output, &mut self.run);
        let is_open = self.session.transaction.queue.is_some();
        if is_open != before {
            self.open_at = is_open.then_some(offset);
        }
        self.session.tally.forget();
        let mut reply = Vec::new();
        let mut pieces = [std::io::IoSlice::new(&[])];
        if self.output.pieces(&mut pieces) > 0 {
            reply.extend_from_slice(&pieces[0][..pieces[0].len().min(LONGEST_REPLY)]);
        }
        let count = self.output.len();
        self.output.advance(count);
        match reply.first() {
            Some(b'-') => refuse_or_report(&reply[1..], args, offset),
            _ => Ok(()),
        }
    }
}

/// So much of a reply is looked at.
const LONGEST_REPLY: usize = 512;

/// What no server can have written is refused. Other errors there were then, too.
fn refuse_or_report(reply: &[u8], args: Args<'_>, offset: u64) -> Result<(), Damage> {
    let reply = String::from_utf8_lossy(reply);
    let text = reply.split("\r\n").next().unwrap_or_default();
    let is_foreign =
        ["ERR unknown command", "ERR unknown subcommand", "ERR wrong number of arguments"];
    // What follows would go into another database.
    let is_misled = args.at(0).eq_ignore_ascii_case(b"select");
    if is_misled || is_foreign.iter().any(|start| text.starts_with(start)) {
        let text = text.trim_start_matches("ERR ");
        return Err(Damage::at(
            offset,
            format!("Error reading the append only file, error: {text}"),
        ));
    }
    let name = String::from_utf8_lossy(args.at(0)).into_owned();
    tracing::error!("the log has a command that fails: '{name}' at byte {offset}: {text}");
    Ok(())
}
