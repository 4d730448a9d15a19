//! `SLOWLOG`: the requests that took longest.

use super::Command;
use super::introspection::help;
use super::metadata::{Group, flags};
use crate::error::Error;
use crate::execute::Call;
use crate::slowlog::SlowRequest;
use crate::value::number::parse_integer;

pub(super) const COMMANDS: &[&Command] = &[&SLOWLOG];

const SLOWLOG: Command = Command {
    name: "slowlog",
    arity: -2,
    group: Group::Server,
    since: "2.2.12",
    complexity: "Depends on subcommand.",
    summary: "Commands about the log of slow requests.",
    subcommands: &[&SLOWLOG_HELP, &SLOWLOG_RESET, &SLOWLOG_GET, &SLOWLOG_LEN],
    ..Command::BASE
};

const SLOWLOG_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    group: Group::Server,
    since: "6.2.0",
    summary: "Lists the subcommands.",
    run: help,
    ..Command::BASE
};

const SLOWLOG_RESET: Command = Command {
    name: "reset",
    arity: 2,
    flags: flags("admin loading stale"),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    group: Group::Server,
    since: "2.2.12",
    complexity: "O(N)",
    summary: "Empties the log of slow requests.",
    run: slowlog_reset,
    ..Command::BASE
};

fn slowlog_reset(call: &mut Call<'_>) -> Result<(), Error> {
    call.engine.slowlog.clear();
    call.reply.ok();
    Ok(())
}

const SLOWLOG_GET: Command = Command {
    name: "get",
    arity: -2,
    flags: flags("admin loading stale"),
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    group: Group::Server,
    since: "2.2.12",
    complexity: "O(N)",
    usage: "[count]",
    summary: "Returns the newest slow requests: 10 unless a count is given, all for -1.",
    run: slowlog_get,
    ..Command::BASE
};

fn slowlog_get(call: &mut Call<'_>) -> Result<(), Error> {
    const USUAL_COUNT: usize = 10;
    let count = match call.args.len() {
        2 => USUAL_COUNT,
        3 => parse_count(call.args.at(2))?,
        _ => {
            let name = String::from_utf8_lossy(call.args.at(1));
            return Err(Error::format(format_args!(
                "unknown subcommand or wrong number of arguments for '{name}'. Try SLOWLOG HELP."
            )));
        }
    };
    let requests = call.engine.slowlog.newest(count);
    call.reply.array(requests.len());
    for request in &requests {
        write_request(call, request);
    }
    Ok(())
}

fn parse_count(argument: &[u8]) -> Result<usize, Error> {
    match parse_integer(argument) {
        Some(-1) => Ok(usize::MAX),
        Some(count @ 0..) => Ok(count as usize),
        _ => Err(Error::err("count should be greater than or equal to -1")),
    }
}

fn write_request(call: &mut Call<'_>, request: &SlowRequest) {
    call.reply.array(6);
    call.reply.integer(request.id as i64);
    call.reply.integer(request.time_s);
    call.reply.integer(request.spent_us as i64);
    call.reply.array(request.arguments.len());
    for argument in &request.arguments {
        call.reply.bulk(argument);
    }
    call.reply.bulk(request.address.as_bytes());
    call.reply.bulk(&request.client_name);
}

const SLOWLOG_LEN: Command = Command {
    name: "len",
    arity: 2,
    flags: flags("admin loading stale"),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    group: Group::Server,
    since: "2.2.12",
    summary: "Counts the requests in the log.",
    run: slowlog_len,
    ..Command::BASE
};

fn slowlog_len(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.count(call.engine.slowlog.len());
    Ok(())
}
