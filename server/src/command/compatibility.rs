//! The page `docs/COMPATIBILITY.md`, which is written from the table of commands.

use std::fmt::Write;

use super::metadata::Group;
use super::{Registered, Table};

const GROUPS: [(Group, &str); 11] = [
    (Group::Connection, "Connections"),
    (Group::String, "Strings"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::Stream, "Streams"),
    (Group::Pubsub, "Publishing and subscribing"),
    (Group::Transactions, "Transactions"),
    (Group::Scripting, "Scripts and functions"),
    (Group::Generic, "Keys of any type"),
    (Group::Server, "Server"),
    (Group::Cluster, "Clusters"),
];

const PREAMBLE: &str = "\
# Compatibility

redlet answers what is listed here the way Redis does: the same replies byte for byte in RESP2 and
RESP3, the same error texts in the same order of checks, the same limits; exceptions are named below.
It follows Redis 7.2 where versions differ, and reports that version to clients that ask.

Every command takes all the options that Redis 7.2 knows for it. What is not listed does not exist:
sorted sets, hashes, replication and cluster mode are out. A command that does not exist gets the error that
Redis gives for a command that it does not know, so that clients that probe for features take it
for an older server, and nothing is accepted without being done.

`COMMAND`, `COMMAND INFO` and `COMMAND DOCS` tell programs the same as this page tells people.
";

/// Where an application could tell redlet from Redis.
const DIFFERENCES: &[&str] = &[
    "Summaries in `COMMAND DOCS` and the texts of `HELP` are redlet's own. `COMMAND DOCS` has no \
     `history`, its arguments carry no `since`, and groups of arguments may be named differently. \
     `COMMAND INFO` leaves out the `notes` of key specifications.",
    "There is one user, `default`, who may do everything. `ACL` only tells; it has no `SETUSER`, \
     `DELUSER`, `LOAD`, `SAVE` or `LOG`.",
    "Scripts find the table `redis` under the name `server` as well, as in Valkey, and `SCRIPT SHOW` is \
     there. There is no debugger. `math.random` of functions and of scripts are two generators.",
    "A script may keep 64 MB of Lua's memory, and one command's arguments or one reply of 512 MB; \
     patterns go 1000 repeated items deep, and `cjson`, `cmsgpack` and `struct` make 64 MB in one \
     call. Redis goes on until its memory or its stack ends.",
    "While a script runs, requests that have nothing to do with keys are answered until \
     `busy-reply-threshold` has passed; Redis answers nobody.",
    "A library may have no two functions whose names differ in case alone.",
    "A client that reads nothing is read from no more once 32 MiB of replies wait for it; Redis goes \
     on until its memory ends.",
    "Where `appendonly` is `yes` and there is no log yet, a snapshot that is there is loaded, and the \
     log begins with it; Redis begins with nothing.",
    "Parameters are text in UTF-8. One that asks for what redlet cannot do is refused with a \
     sentence, by `CONFIG SET` too.",
    "`CONFIG SET` cannot change `port` and `bind`: they are read at start.",
];

/// The whole page, as Markdown.
pub fn compatibility_page() -> String {
    let mut page = String::from("<!-- Written from the table of commands; do not edit. -->\n\n");
    page.push_str(PREAMBLE);
    page.push_str("\n## Known differences\n\n");
    for difference in DIFFERENCES {
        add(&mut page, format_args!("- {difference}\n"));
    }
    page.push_str("\n## Commands\n");
    for (group, title) in GROUPS {
        add(&mut page, format_args!("\n### {title}\n\n"));
        page.push_str("| command | arguments | since | what it does |\n|---|---|---|---|\n");
        for row in rows(group) {
            add_row(&mut page, row);
        }
    }
    page
}

/// The rows of a group by name, without HELP, which every container has.
fn rows(group: Group) -> Vec<&'static Registered> {
    let all = Table::get().rows().iter();
    let mut rows: Vec<_> =
        all.filter(|row| row.command.group == group && row.command.name != "help").collect();
    rows.sort_by_key(|row| &row.name);
    rows
}

fn add_row(page: &mut String, row: &Registered) {
    let command = row.command;
    let name = row.name.to_ascii_uppercase().replace('|', " ");
    let usage = match command.usage {
        "" if !command.subcommands.is_empty() => "a subcommand".to_owned(),
        "" => String::new(),
        usage => format!("`{}`", usage.replace('|', "\\|")),
    };
    let since = command.since;
    let summary = command.summary.replace('|', "\\|");
    add(page, format_args!("| {name} | {usage} | {since} | {summary}"));
    if let Some((since, instead)) = command.replaced_by {
        add(page, format_args!(" Deprecated since {since}, replaced by {instead}."));
    }
    page.push_str(" |\n");
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPATIBILITY.md");
        let page = compatibility_page();
        if std::env::var_os("REGENERATE").is_some_and(|value| value == "1") {
            std::fs::write(path, page).unwrap();
            return;
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page,
            "docs/COMPATIBILITY.md does not agree with the table of commands; write it anew with \
             `REGENERATE=1 cargo test -p redlet --lib the_page_is_up_to_date`"
        );
    }

    #[test]
    fn every_command_is_on_the_page() {
        let listed: usize = GROUPS.iter().map(|(group, _)| rows(*group).len()).sum();
        let help = Table::get().rows().iter().filter(|row| row.command.name == "help").count();
        assert_eq!(listed + help, Table::get().rows().len());
    }
}
