//! Saving everything to disk, now or in the background.

use std::sync::atomic::Ordering;

use super::metadata::{Group, categories, flags};
use super::{Command, Locks};
use crate::durability::Kind;
use crate::error::Error;
use crate::execute::Call;

pub(super) const COMMANDS: &[&Command] = &[&SAVE, &BGSAVE, &BGREWRITEAOF, &LASTSAVE];

const IN_PROGRESS: Error = Error::err("Background save already in progress");

const SAVE: Command = Command {
    name: "save",
    arity: 1,
    flags: flags("admin noscript no_async_loading no_multi"),
    locks: Locks::All,
    group: Group::Server,
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Saves everything to disk, while all clients wait.",
    run: save,
    ..Command::BASE
};

fn save(call: &mut Call<'_>) -> Result<(), Error> {
    if call.engine.durability.is_saving() {
        return Err(IN_PROGRESS);
    }
    call.save().map_err(|_| Error::coded("ERR"))?;
    call.reply.ok();
    Ok(())
}

const BGSAVE: Command = Command {
    name: "bgsave",
    arity: -1,
    flags: flags("admin noscript no_async_loading"),
    locks: Locks::All,
    group: Group::Server,
    usage: "[SCHEDULE]",
    summary: "Saves everything to disk, while clients go on being served.",
    run: bgsave,
    ..Command::BASE
};

fn bgsave(call: &mut Call<'_>) -> Result<(), Error> {
    let is_schedule = call.args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"schedule"));
    if call.args.len() > 2 || call.args.len() == 2 && !is_schedule {
        return Err(Error::Syntax);
    }
    let durability = &call.engine.durability;
    if durability.is_saving() {
        return Err(IN_PROGRESS);
    }
    // In the middle of a transaction is not a state to be saved.
    if durability.is_busy() || call.session.transaction.is_executing {
        if !is_schedule && !call.session.transaction.is_executing {
            return Err(Error::err(
                "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                 schedule a BGSAVE whenever possible.",
            ));
        }
        durability.state().is_save_scheduled = true;
        call.reply.simple("Background saving scheduled");
        return Ok(());
    }
    call.begin_save(Kind::Save);
    call.reply.simple("Background saving started");
    Ok(())
}

const BGREWRITEAOF: Command = Command {
    name: "bgrewriteaof",
    arity: 1,
    flags: flags("admin noscript no_async_loading"),
    locks: Locks::All,
    group: Group::Server,
    summary: "Begins the log anew with what there is now, while clients go on being served.",
    run: bgrewriteaof,
    ..Command::BASE
};

fn bgrewriteaof(call: &mut Call<'_>) -> Result<(), Error> {
    let durability = &call.engine.durability;
    if durability.is_rewriting() {
        return Err(Error::err("Background append only file rewriting already in progress"));
    }
    if durability.is_busy() || call.session.transaction.is_executing {
        durability.state().is_rewrite_scheduled = true;
        call.reply.simple("Background append only file rewriting scheduled");
        return Ok(());
    }
    call.begin_save(Kind::Rewrite);
    call.reply.simple("Background append only file rewriting started");
    Ok(())
}

const LASTSAVE: Command = Command {
    name: "lastsave",
    arity: 1,
    flags: flags("loading stale fast"),
    categories: categories("admin dangerous"),
    tips: &["nondeterministic_output"],
    group: Group::Server,
    summary: "Tells when everything was last saved to disk.",
    run: lastsave,
    ..Command::BASE
};

fn lastsave(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.integer(call.engine.durability.last_save_s.load(Ordering::Relaxed));
    Ok(())
}
