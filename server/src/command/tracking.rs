//! CLIENT TRACKING and what belongs to it: client-side caching.

use std::collections::BTreeSet;

use super::Command;
use super::metadata::{Group, categories, flags};
use crate::clients::ClientFlags;
use crate::error::Error;
use crate::execute::Call;
use crate::tracking::{Choice, Mode};

pub(super) const CLIENT_CACHING: Command = Command {
    name: "caching",
    arity: 3,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.0.0",
    usage: "<YES | NO>",
    summary: "Says whether the keys of the next command are tracked.",
    run: client_caching,
    ..Command::BASE
};

fn client_caching(call: &mut Call<'_>) -> Result<(), Error> {
    let tracked = &mut call.session.tracked;
    let Some(choice) = &tracked.choice else {
        return Err(Error::err(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    match call.args.at(2) {
        word if word.eq_ignore_ascii_case(b"yes") && choice.has(Mode::OPT_IN) => {}
        word if word.eq_ignore_ascii_case(b"yes") => {
            return Err(Error::err(
                "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
        word if word.eq_ignore_ascii_case(b"no") && choice.has(Mode::OPT_OUT) => {}
        word if word.eq_ignore_ascii_case(b"no") => {
            return Err(Error::err(
                "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
        _ => return Err(Error::Syntax),
    }
    tracked.is_exception = true;
    call.reply.ok();
    Ok(())
}

pub(super) const CLIENT_GETREDIR: Command = Command {
    name: "getredir",
    arity: 2,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.0.0",
    summary: "Tells to which client the connection's invalidations go.",
    run: client_getredir,
    ..Command::BASE
};

fn client_getredir(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.integer(redirection(call));
    Ok(())
}

/// -1 if nothing is tracked, 0 if the client itself is told.
fn redirection(call: &Call<'_>) -> i64 {
    let choice = call.session.tracked.choice.as_ref();
    choice.map_or(-1, |choice| choice.redirect.unwrap_or(0) as i64)
}

pub(super) const CLIENT_TRACKINGINFO: Command = Command {
    name: "trackinginfo",
    arity: 2,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.2.0",
    summary: "Tells how keys are tracked for the connection.",
    run: client_trackinginfo,
    ..Command::BASE
};

fn client_trackinginfo(call: &mut Call<'_>) -> Result<(), Error> {
    let redirection = redirection(call);
    let tracked = &call.session.tracked;
    let choice = tracked.choice.as_ref();
    let has = |mode| choice.is_some_and(|choice| choice.has(mode));
    let is_exception = tracked.is_exception;
    let all = [
        (choice.is_none(), "off"),
        (choice.is_some(), "on"),
        (has(Mode::BROADCAST), "bcast"),
        (has(Mode::OPT_IN), "optin"),
        (has(Mode::OPT_IN) && is_exception, "caching-yes"),
        (has(Mode::OPT_OUT), "optout"),
        (has(Mode::OPT_OUT) && is_exception, "caching-no"),
        (has(Mode::IGNORE_OWN), "noloop"),
        (call.session.client.has(ClientFlags::TRACKING_BROKEN), "broken_redirect"),
    ];
    let flags: Vec<&str> =
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name).collect();
    let reply = &mut call.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    for flag in flags {
        reply.bulk(flag.as_bytes());
    }
    reply.bulk(b"redirect");
    reply.integer(redirection);
    reply.bulk(b"prefixes");
    reply.array(choice.map_or(0, |choice| choice.prefixes.len()));
    choice.into_iter().flat_map(|choice| &choice.prefixes).for_each(|prefix| reply.bulk(prefix));
    Ok(())
}

pub(super) const CLIENT_TRACKING: Command = Command {
    name: "tracking",
    arity: -3,
    flags: flags("noscript loading stale"),
    categories: categories("connection"),
    group: Group::Connection,
    since: "6.0.0",
    complexity: "O(1). Some options may introduce additional complexity.",
    usage: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    summary: "Has the connection told when keys that it has read change.",
    run: client_tracking,
    ..Command::BASE
};

fn client_tracking(call: &mut Call<'_>) -> Result<(), Error> {
    let request = TrackingRequest::parse(call)?;
    let (tracking, session) = (&call.engine.tracking, &mut *call.session);
    if request.is_on {
        let choice = request.choice(session.tracked.choice.as_ref())?;
        tracking.start(&mut session.tracked, &session.client, choice);
    } else {
        tracking.stop(&mut session.tracked, &session.client);
    }
    call.reply.ok();
    Ok(())
}

#[derive(Default)]
struct TrackingRequest<'a> {
    is_on: bool,
    asked: Choice,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> TrackingRequest<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Error> {
        let (mut parsed, mut options) = (TrackingRequest::default(), call.args.options(3));
        let asked = &mut parsed.asked;
        while let Some(word) = options.word() {
            match &*word {
                b"REDIRECT" if options.remaining() > 0 => {
                    if asked.redirect.is_some() {
                        return Err(Error::err(
                            "A client can only redirect to a single other client",
                        ));
                    }
                    let client = u64::try_from(options.integer()?).ok();
                    let client = client.filter(|&id| call.engine.clients.get(id).is_some());
                    asked.redirect =
                        Some(client.ok_or(Error::err(
                            "The client ID you want redirect to does not exist",
                        ))?);
                }
                b"BCAST" => asked.mode |= Mode::BROADCAST,
                b"OPTIN" => asked.mode |= Mode::OPT_IN,
                b"OPTOUT" => asked.mode |= Mode::OPT_OUT,
                b"NOLOOP" => asked.mode |= Mode::IGNORE_OWN,
                b"PREFIX" if options.remaining() > 0 => parsed.prefixes.push(options.value()?),
                _ => return Err(Error::Syntax),
            }
        }
        match call.args.at(2) {
            word if word.eq_ignore_ascii_case(b"on") => parsed.is_on = true,
            word if word.eq_ignore_ascii_case(b"off") => {}
            _ => return Err(Error::Syntax),
        }
        Ok(parsed)
    }

    /// What is tracked from now on, if it fits together and with what was tracked before.
    fn choice(self, present: Option<&Choice>) -> Result<Choice, Error> {
        let mut asked = self.asked;
        if !self.prefixes.is_empty() && !asked.has(Mode::BROADCAST) {
            return Err(Error::err("PREFIX option requires BCAST mode to be enabled"));
        }
        if present.is_some_and(|present| present.has(Mode::BROADCAST) != asked.has(Mode::BROADCAST))
        {
            return Err(Error::err(
                "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        if asked.has(Mode::BROADCAST) && (asked.has(Mode::OPT_IN) || asked.has(Mode::OPT_OUT)) {
            return Err(Error::err("OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if asked.has(Mode::OPT_IN) && asked.has(Mode::OPT_OUT) {
            return Err(Error::err("You can't specify both OPTIN mode and OPTOUT mode"));
        }
        let switches = |present: &Choice| {
            (present.has(Mode::OPT_IN) && asked.has(Mode::OPT_OUT))
                || (present.has(Mode::OPT_OUT) && asked.has(Mode::OPT_IN))
        };
        if present.is_some_and(switches) {
            return Err(Error::err(
                "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        if asked.has(Mode::BROADCAST) {
            let old = present.map(|present| present.prefixes.clone()).unwrap_or_default();
            asked.prefixes = add_prefixes(old, &self.prefixes)?;
        }
        Ok(asked)
    }
}

/// All prefixes together, none of which may begin with another. No prefix at all means every key.
fn add_prefixes(mut old: BTreeSet<Box<[u8]>>, new: &[&[u8]]) -> Result<BTreeSet<Box<[u8]>>, Error> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (index, prefix) in new.iter().enumerate() {
        if let Some(other) = old.iter().find(|other| overlap(prefix, other)) {
            return Err(overlapping(prefix, "an existing", other));
        }
        if let Some(other) = new[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return Err(overlapping(prefix, "another provided", other));
        }
    }
    old.extend(new.iter().map(|&prefix| prefix.into()));
    if new.is_empty() {
        old.insert(Box::default());
    }
    Ok(old)
}

fn overlapping(prefix: &[u8], which: &str, other: &[u8]) -> Error {
    let parts: [&[u8]; 7] = [
        b"Prefix '",
        prefix,
        b"' overlaps with ",
        which.as_bytes(),
        b" prefix '",
        other,
        b"'. Prefixes for a single client must not overlap.",
    ];
    Error::quoting("", &parts.concat(), "")
}
