//! What the server tells about its commands: COMMAND, and the HELP of every container.

use bytes::Bytes;

use super::args::Span;
use super::locate::{Located, locate_for_clients};
use super::metadata::{
    Begin, CATEGORY_NAMES, COMMAND_FLAG_NAMES, Find, Group, KEY_FLAG_NAMES, categories, flags,
};
use super::usage::{self, Argument, Kind};
use super::{Args, Categories, Command, CommandFlags, KeyFlags, KeySpec, Registered, Table};
use crate::error::Error;
use crate::execute::Call;
use crate::resp::Reply;
use crate::value::glob;

pub(super) const COMMANDS: &[&Command] = &[&COMMAND];

/// Without a subcommand it tells about all commands.
const COMMAND: Command = Command {
    name: "command",
    arity: -1,
    flags: flags("loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output_order"],
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(N)",
    summary: "Describes all commands to programs.",
    subcommands: &[
        &COMMAND_COUNT,
        &COMMAND_LIST,
        &COMMAND_INFO,
        &COMMAND_DOCS,
        &COMMAND_GETKEYS,
        &COMMAND_GETKEYSANDFLAGS,
        &COMMAND_HELP,
    ],
    run: command,
    ..Command::BASE
};

fn command(call: &mut Call<'_>) -> Result<(), Error> {
    let table = Table::get();
    call.reply.array(table.commands().count());
    for row in table.commands() {
        write_info(&mut call.reply, row);
    }
    Ok(())
}

const COMMAND_COUNT: Command = Command {
    name: "count",
    arity: 2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    group: Group::Server,
    since: "2.8.13",
    summary: "Tells how many commands there are.",
    run: command_count,
    ..Command::BASE
};

fn command_count(call: &mut Call<'_>) -> Result<(), Error> {
    call.reply.count(Table::get().commands().count());
    Ok(())
}

const COMMAND_LIST: Command = Command {
    name: "list",
    arity: -2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output_order"],
    group: Group::Server,
    since: "7.0.0",
    complexity: "O(N)",
    usage: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    summary: "Lists the names of all commands and subcommands, or of some.",
    run: command_list,
    ..Command::BASE
};

/// A category that does not exist has no commands, and neither has any module.
fn command_list(call: &mut Call<'_>) -> Result<(), Error> {
    let filter = Filter::parse(call.args)?;
    let rows = Table::get().rows().iter().filter(|row| filter.accepts(row));
    let rows: Vec<_> = rows.collect();
    call.reply.array(rows.len());
    for row in rows {
        call.reply.bulk(row.name.as_bytes());
    }
    Ok(())
}

/// Which commands COMMAND LIST lists.
enum Filter<'a> {
    All,
    None,
    In(Categories),
    Like(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        if args.len() == 2 {
            return Ok(Filter::All);
        }
        if args.len() != 5 || !args.at(2).eq_ignore_ascii_case(b"filterby") {
            return Err(Error::Syntax);
        }
        let value = args.at(4);
        match args.at(3).to_ascii_lowercase().as_slice() {
            b"module" => Ok(Filter::None),
            b"aclcat" => Ok(category(value).map_or(Filter::None, Filter::In)),
            b"pattern" => Ok(Filter::Like(value)),
            _ => Err(Error::Syntax),
        }
    }

    fn accepts(&self, row: &Registered) -> bool {
        match self {
            Filter::All => true,
            Filter::None => false,
            Filter::In(category) => row.command.all_categories().contains(*category),
            Filter::Like(pattern) => glob::matches_ignore_case(pattern, row.name.as_bytes()),
        }
    }
}

/// The ACL category of this name, in any case.
pub(super) fn category(name: &[u8]) -> Option<Categories> {
    let is_name = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name);
    let bit = CATEGORY_NAMES.iter().position(is_name)?;
    Some(Categories::from_bits_retain(1 << bit))
}

const COMMAND_INFO: Command = Command {
    name: "info",
    arity: -2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output_order"],
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(N)",
    usage: "[command-name [command-name ...]]",
    summary: "Tells arity, flags, keys and categories of commands.",
    run: command_info,
    ..Command::BASE
};

/// A name that nothing has gets nil; a name that comes twice is answered twice.
fn command_info(call: &mut Call<'_>) -> Result<(), Error> {
    let names = call.args.from(2);
    if names.len() == 0 {
        return command(call);
    }
    call.reply.array(names.len());
    for name in names {
        match Table::get().named(name) {
            Some(row) => write_info(&mut call.reply, row),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn write_info(reply: &mut Reply<'_>, row: &Registered) {
    let command = row.command;
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.integer(command.arity.into());
    // Redis keeps these to itself.
    let hidden = CommandFlags::PROTECTED.union(CommandFlags::MAY_REPLICATE);
    let flags = command.flags.difference(hidden);
    write_words(reply, flags.bits(), COMMAND_FLAG_NAMES);
    for position in key_range(command.keys) {
        reply.integer(position);
    }
    let categories = names(command.all_categories().bits(), CATEGORY_NAMES);
    reply.set(categories.len());
    for category in categories {
        reply.simple(&format!("@{category}"));
    }
    reply.set(command.tips.len());
    for tip in command.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.keys.len());
    for spec in command.keys {
        write_key_spec(reply, spec);
    }
    let subcommands = Table::get().subcommands(row);
    match subcommands.len() {
        // Redis has a set where there are none, and an array where there are some.
        0 => reply.set(0),
        count => reply.array(count),
    }
    for subcommand in subcommands {
        write_info(reply, subcommand);
    }
}

/// The words that the bits stand for.
fn names(bits: u32, names: &[&'static str]) -> Vec<&'static str> {
    let is_set = |bit: &(usize, &&str)| bits >> bit.0 & 1 == 1;
    names.iter().enumerate().filter(is_set).map(|(_, name)| *name).collect()
}

fn write_words(reply: &mut Reply<'_>, bits: u32, all: &[&'static str]) {
    let words = names(bits, all);
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

/// First key, last key and step, for clients that know nothing of key specifications. Where one
/// range cannot say it all, it says what the ranges of single steps that adjoin have in common.
fn key_range(specs: &[KeySpec]) -> [i64; 3] {
    let ranges = specs.iter().filter_map(|spec| match (spec.begin, spec.find) {
        (Begin::Index(first), Find::Range { last, step, .. }) => {
            let first = i64::from(first);
            let last = i64::from(last) + if last < 0 { 0 } else { first };
            Some([first, last, i64::from(step)])
        }
        _ => None,
    });
    let simple = |range: &[i64; 3]| specs.len() == 1 || range[2] == 1;
    let join = |[first, last, step]: [i64; 3], next: [i64; 3]| {
        let last = if last + 1 == next[0] { next[1] } else { last };
        [first, last, step]
    };
    ranges.filter(simple).reduce(join).unwrap_or_default()
}

fn write_key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3);
    reply.bulk(b"flags");
    write_words(reply, spec.flags.bits().into(), KEY_FLAG_NAMES);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_method(reply, "index", &[("index", index.into())]),
        Begin::Keyword(word, from) | Begin::Option(word, from, _) => {
            write_field(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            write_number(reply, "startfrom", from.into());
        }
        Begin::Unknown => write_method(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let range =
                [("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())];
            write_method(reply, "range", &range);
        }
        Find::Count { count, first, step } => {
            let counted =
                [("keynumidx", count.into()), ("firstkey", first.into()), ("keystep", step.into())];
            write_method(reply, "keynum", &counted);
        }
        Find::By(_) | Find::Unknown => write_method(reply, "unknown", &[]),
    }
}

fn write_method(reply: &mut Reply<'_>, method: &str, numbers: &[(&str, i64)]) {
    write_field(reply, method, numbers.len());
    for (name, number) in numbers {
        write_number(reply, name, *number);
    }
}

/// The head of a search method, whose own `pairs` follow.
fn write_field(reply: &mut Reply<'_>, method: &str, pairs: usize) {
    reply.map(2);
    write_text(reply, "type", method);
    reply.bulk(b"spec");
    reply.map(pairs);
}

fn write_number(reply: &mut Reply<'_>, name: &str, number: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(number);
}

fn write_text(reply: &mut Reply<'_>, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

const COMMAND_DOCS: Command = Command {
    name: "docs",
    arity: -2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    tips: &["nondeterministic_output_order"],
    group: Group::Server,
    since: "7.0.0",
    complexity: "O(N)",
    usage: "[command-name [command-name ...]]",
    summary: "Documents commands: what they do, since when, with which arguments.",
    run: command_docs,
    ..Command::BASE
};

/// A name that nothing has is left out; a name that comes twice is answered twice.
fn command_docs(call: &mut Call<'_>) -> Result<(), Error> {
    let table = Table::get();
    let names = call.args.from(2);
    let rows: Vec<_> = if names.len() == 0 {
        table.commands().collect()
    } else {
        names.filter_map(|name| table.named(name)).collect()
    };
    call.reply.map(rows.len());
    for row in rows {
        write_docs(&mut call.reply, row);
    }
    Ok(())
}

fn write_docs(reply: &mut Reply<'_>, row: &Registered) {
    let command = row.command;
    let arguments = usage::arguments(command);
    let subcommands = Table::get().subcommands(row);
    let deprecation = command.replaced_by.map_or(0, |_| 3);
    let lists = usize::from(!arguments.is_empty()) + usize::from(subcommands.len() > 0);
    reply.bulk(row.name.as_bytes());
    reply.map(4 + deprecation + lists);
    write_text(reply, "summary", command.summary);
    write_text(reply, "since", command.since);
    write_text(reply, "group", command.group.name());
    write_text(reply, "complexity", command.complexity);
    if let Some((since, instead)) = command.replaced_by {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        write_text(reply, "deprecated_since", since);
        write_text(reply, "replaced_by", instead);
    }
    if !arguments.is_empty() {
        write_arguments(reply, &arguments);
    }
    if subcommands.len() > 0 {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for subcommand in subcommands {
            write_docs(reply, subcommand);
        }
    }
}

fn write_arguments(reply: &mut Reply<'_>, arguments: &[Argument]) {
    reply.bulk(b"arguments");
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(reply, argument);
    }
}

fn write_argument(reply: &mut Reply<'_>, argument: &Argument) {
    let inner = argument.kind.inner();
    let key_spec = match argument.kind {
        Kind::Key(spec) => Some(spec as i64),
        _ => None,
    };
    let flags = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ];
    let flags: Vec<_> = flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
    let optional = [key_spec.is_some(), argument.token.is_some(), !flags.is_empty()];
    reply.map(3 + optional.into_iter().filter(|is_there| *is_there).count());
    write_text(reply, "name", &argument.name);
    write_text(reply, "type", argument.kind.name());
    if inner.is_empty() {
        write_text(reply, "display_text", &argument.name);
    }
    if let Some(spec) = key_spec {
        write_number(reply, "key_spec_index", spec);
    }
    if let Some(token) = argument.token {
        write_text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        for flag in flags {
            reply.simple(flag);
        }
    }
    if !inner.is_empty() {
        write_arguments(reply, inner);
    }
}

const COMMAND_GETKEYS: Command = Command {
    name: "getkeys",
    arity: -3,
    flags: flags("loading stale"),
    categories: categories("connection"),
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(N)",
    usage: "command [arg [arg ...]]",
    summary: "Tells which arguments of a command are keys.",
    run: command_getkeys,
    ..Command::BASE
};

fn command_getkeys(call: &mut Call<'_>) -> Result<(), Error> {
    let request = Request::from(call.args, 2);
    let keys = request.keys()?;
    call.reply.array(keys.len());
    for key in keys {
        call.reply.bulk(request.args().at(key.index));
    }
    Ok(())
}

const COMMAND_GETKEYSANDFLAGS: Command = Command {
    name: "getkeysandflags",
    arity: -3,
    flags: flags("loading stale"),
    categories: categories("connection"),
    group: Group::Server,
    since: "7.0.0",
    complexity: "O(N)",
    usage: "command [arg [arg ...]]",
    summary: "Tells which arguments of a command are keys, and what it does with them.",
    run: command_getkeysandflags,
    ..Command::BASE
};

fn command_getkeysandflags(call: &mut Call<'_>) -> Result<(), Error> {
    let request = Request::from(call.args, 2);
    let keys = request.keys()?;
    call.reply.array(keys.len());
    for key in keys {
        call.reply.array(2);
        call.reply.bulk(request.args().at(key.index));
        let flags = settled(key.flags, request.args());
        write_words(&mut call.reply, flags.bits().into(), KEY_FLAG_NAMES);
    }
    Ok(())
}

/// Where flags vary with the arguments: a key that is overwritten is read too if GET asks for it.
fn settled(flags: KeyFlags, args: Args<'_>) -> KeyFlags {
    if !flags.contains(KeyFlags::VARIABLE_FLAGS) {
        return flags;
    }
    if args.from(3).any(|option| option.eq_ignore_ascii_case(b"get")) {
        flags.difference(KeyFlags::VARIABLE_FLAGS)
    } else {
        KeyFlags::OW | KeyFlags::UPDATE
    }
}

/// A request inside another one's arguments.
pub(super) struct Request {
    words: Vec<Bytes>,
    spans: Vec<Span>,
}

impl Request {
    /// The one that begins at this argument.
    pub(super) fn from(args: Args<'_>, index: usize) -> Self {
        let words: Vec<_> = args.from(index).map(Bytes::copy_from_slice).collect();
        let spans = (0..words.len()).map(Span::large).collect();
        Request { words, spans }
    }

    pub(super) fn args(&self) -> Args<'_> {
        Args::new(&[], &self.spans, &self.words)
    }

    pub(super) fn row(&self) -> Option<&'static Registered> {
        Table::get().find(self.args()).ok()
    }

    fn keys(&self) -> Result<Vec<Located>, Error> {
        let row = self.row().ok_or(Error::err("Invalid command specified"))?;
        let command = row.command;
        if command.keys.iter().all(|spec| spec.flags.contains(KeyFlags::NOT_KEY)) {
            return Err(Error::err("The command has no key arguments"));
        }
        if !command.accepts(self.words.len()) {
            return Err(Error::err("Invalid number of arguments specified for command"));
        }
        let is_key = |key: &Located| !key.flags.contains(KeyFlags::NOT_KEY);
        let keys: Vec<_> = locate_for_clients(command, self.args()).filter(is_key).collect();
        if keys.is_empty() && !command.flags.contains(CommandFlags::NO_MANDATORY_KEYS) {
            return Err(Error::err("Invalid arguments specified for command"));
        }
        Ok(keys)
    }
}

const COMMAND_HELP: Command = Command {
    name: "help",
    arity: 2,
    flags: flags("loading stale"),
    categories: categories("connection"),
    group: Group::Server,
    since: "5.0.0",
    summary: "Shows this help.",
    run: help,
    ..Command::BASE
};

/// The function of every container's HELP: what the container's rows say, as lines of text.
pub(super) fn help(call: &mut Call<'_>) -> Result<(), Error> {
    let lines = help_lines(container(call.row));
    call.reply.array(lines.len());
    for line in lines {
        call.reply.simple(&line);
    }
    Ok(())
}

/// The row that a subcommand's row belongs to.
fn container(row: &Registered) -> &'static Registered {
    let (name, _) = row.name.split_once('|').expect("HELP is a subcommand");
    Table::get().named(name.as_bytes()).expect("every subcommand has a container")
}

fn help_lines(container: &Registered) -> Vec<String> {
    let name = container.name.to_ascii_uppercase();
    let mut lines =
        vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    if container.command.accepts(1) {
        lines.push("(no subcommand)".to_owned());
        lines.push(format!("    {}", container.command.summary));
    }
    let mut subcommands = container.command.subcommands.to_vec();
    subcommands.sort_by_key(|subcommand| subcommand.name == "help");
    for subcommand in subcommands {
        let line = format!(
            "{} {}",
            subcommand.name.to_ascii_uppercase(),
            usage::help_line(subcommand.usage)
        );
        lines.push(line.trim_end().to_owned());
        lines.push(format!("    {}", subcommand.summary));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_learn_the_range_of_keys() {
        let one = KeySpec::at(1, "RO");
        let pairs = KeySpec::range(1, -1, 2, "OW");
        let unknown = KeySpec::unknown("RO");
        let far = KeySpec::at(5, "RO");
        assert_eq!(key_range(&[]), [0, 0, 0]);
        assert_eq!(key_range(&[one]), [1, 1, 1]);
        assert_eq!(key_range(&[pairs]), [1, -1, 2]);
        assert_eq!(key_range(&[unknown]), [0, 0, 0]);
        assert_eq!(key_range(&[one, KeySpec::at(2, "OW")]), [1, 2, 1]);
        assert_eq!(key_range(&[one, unknown]), [1, 1, 1]);
        assert_eq!(key_range(&[one, far]), [1, 1, 1]);
        assert_eq!(key_range(&[one, KeySpec::range(2, -1, 1, "RO")]), [1, -1, 1]);
        assert_eq!(key_range(&[KeySpec::counted(1, "RO")]), [0, 0, 0]);
    }

    #[test]
    fn help_ends_with_itself() {
        let lines = help_lines(Table::get().named(b"command").unwrap());
        assert_eq!(lines[0], "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        assert_eq!(lines[1], "(no subcommand)");
        assert_eq!(lines[3], "COUNT");
        assert_eq!(lines[7], "INFO [<command-name> [<command-name> ...]]");
        assert_eq!(lines[lines.len() - 2], "HELP");
    }
}
