//! The command line, with redis-server's conventions: a file, `-` for standard input, and `--name value ...`, where
//! everything up to the next `--` belongs to the name. A few words in place of the file ask for something else than a server.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use redlet::Config;

use crate::checking::Checking;
use crate::send::Sending;

/// What somebody asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Version,
    Serve(Sources),
    Send(Sending),
    HelpSending,
    Check(Checking),
    HelpChecking,
}

/// Where the parameters come from; later ones win.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    pub(crate) standard_input: bool,
    pub(crate) directives: Vec<Directive>,
}

/// `--name` with its values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

/// Reads the whole command line; the error is a sentence.
pub(crate) fn parse(mut words: VecDeque<OsString>) -> Result<Request, String> {
    let name = words.pop_front().unwrap_or_default();
    if words.front().is_some_and(|word| word == "--version" || word == "-v") {
        return Ok(Request::Version);
    }
    if Path::new(&name).file_name() == Some(OsStr::new("redis-cli")) {
        return sending(Sending::parse(words)?);
    }
    match words.front().and_then(|word| word.to_str()) {
        Some("send") => sending(Sending::parse(words.split_off(1))?),
        Some("ping") => sending(Sending::parse_ping(words.split_off(1))?),
        Some("check") => {
            let checking = Checking::parse(words.split_off(1))?;
            Ok(checking.map_or(Request::HelpChecking, Request::Check))
        }
        _ => parse_server(words.into_iter().map(|word| word.to_string_lossy().into_owned())),
    }
}

fn sending(sending: Option<Sending>) -> Result<Request, String> {
    Ok(sending.map_or(Request::HelpSending, Request::Send))
}

/// Reads what a server is started with.
pub(crate) fn parse_server(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut rest: VecDeque<String> = arguments.collect();
    if matches!(rest.front().map(String::as_str), Some("-h" | "--help")) {
        return Ok(Request::Help);
    }
    let mut sources = Sources::default();
    if let Some(file) = pop_if(&mut rest, |first| !first.starts_with('-')) {
        sources.file = Some(file.into());
    } else if pop_if(&mut rest, |first| first == "-").is_some() {
        sources.standard_input = true;
    }
    while let Some(argument) = rest.pop_front() {
        match argument.strip_prefix("--") {
            Some("help") => return Ok(Request::Help),
            Some("version") => return Ok(Request::Version),
            Some(name) if !name.is_empty() => {
                sources.directives.push(directive(name.to_owned(), &mut rest));
            }
            _ if argument == "-" && rest.is_empty() => sources.standard_input = true,
            _ => return Err(unexpected(&argument)),
        }
    }
    Ok(Request::Serve(sources))
}

/// Takes a directive's values. The first one may begin with dashes, as a password might.
fn directive(name: String, rest: &mut VecDeque<String>) -> Directive {
    let mut values = Vec::new();
    if name.eq_ignore_ascii_case("save") && rest.front().is_none_or(|next| next.starts_with("--")) {
        return Directive { name, values: vec![String::new()] };
    }
    values.extend(rest.pop_front());
    while let Some(value) = pop_if(rest, |next| !next.starts_with("--") && next != "-") {
        values.push(value);
    }
    Directive { name, values }
}

/// Takes the next argument if it is what is wanted.
fn pop_if(rest: &mut VecDeque<String>, wanted: impl Fn(&str) -> bool) -> Option<String> {
    if rest.front().is_some_and(|next| wanted(next)) { rest.pop_front() } else { None }
}

fn unexpected(argument: &str) -> String {
    format!(
        "'{argument}' is not understood; write 'redlet [FILE] --name value', and see 'redlet --help' for the names"
    )
}

/// The help page: every parameter with its default, under headings.
pub(crate) fn help(defaults: &Config) -> String {
    let parameters = defaults.parameters().map(|parameter| {
        let mut help = parameter.help.to_owned();
        if !parameter.value.is_empty() {
            help = format!("{help} [{}]", parameter.value);
        }
        if let Some(remark) = parameter.remark {
            help = format!("{help} ({remark})");
        }
        Arg::new(parameter.name)
            .long(parameter.name)
            .help_heading(parameter.group)
            .value_name("VALUE")
            .help(help)
    });
    command()
        .override_usage(
            "redlet [FILE | -] [--NAME VALUE...]...\n       redlet ping [OPTIONS]\n       \
             redlet send [OPTIONS] [COMMAND [ARGUMENT...]]\n       redlet check FILE [--fix]",
        )
        .arg(Arg::new("FILE").help("a redis.conf; - reads one from standard input"))
        .args(parameters)
        .after_help(
            "Defaults stand in brackets. Parameters on the command line win over those in the file, and \
             these over the environment's, which REDLET_DEFAULTS has as a command line would.\n\
             'redlet send --help' tells how commands are sent to a server, and 'redlet check --help' how files are \
             examined and repaired.",
        )
        .render_help()
        .to_string()
}

pub(crate) fn version() -> String {
    command().render_version()
}

/// Tools that look at `redis-server --version` for what a server can do look for `v=`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (follows Redis v=7.2.4)");

fn command() -> Command {
    Command::new("redlet").version(VERSION).about(env!("CARGO_PKG_DESCRIPTION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(line: &[&str]) -> Sources {
        match parse_server(line.iter().map(|&word| word.to_owned())) {
            Ok(Request::Serve(sources)) => sources,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    fn directives(line: &[&str]) -> Vec<String> {
        let directives = serve(line).directives.into_iter();
        directives
            .map(|directive| format!("{}={}", directive.name, directive.values.join("|")))
            .collect()
    }

    #[test]
    fn values_belong_to_the_name_before_them() {
        assert_eq!(
            directives(&["--port", "1", "--bind", "::1", "-::2"]),
            ["port=1", "bind=::1|-::2"]
        );
        assert_eq!(directives(&["--requirepass", "--x", "--hz", "1"]), ["requirepass=--x", "hz=1"]);
        assert_eq!(directives(&["--requirepass", "a b"]), ["requirepass=a b"]);
        assert_eq!(directives(&["--hz"]), ["hz="]);
    }

    #[test]
    fn save_may_go_without_values() {
        assert_eq!(directives(&["--save", "--hz", "1"]), ["save=", "hz=1"]);
        assert_eq!(directives(&["--save", ""]), ["save="]);
        assert_eq!(directives(&["--save"]), ["save="]);
        assert_eq!(directives(&["--save", "900", "1"]), ["save=900|1"]);
    }

    #[test]
    fn a_file_comes_first_and_standard_input_first_or_last() {
        assert_eq!(serve(&["a.conf", "--hz", "1"]).file, Some("a.conf".into()));
        assert!(serve(&["-", "--hz", "1"]).standard_input);
        assert!(serve(&["--hz", "1", "-"]).standard_input);
        assert!(serve(&["a.conf", "-"]).standard_input);
        assert!(parse_server(["-x".to_owned()].into_iter()).is_err());
        assert!(parse_server(["a.conf".to_owned(), "b.conf".to_owned()].into_iter()).is_err());
    }

    #[test]
    fn help_lists_every_parameter() {
        let config = Config::new();
        let help = help(&config);
        for parameter in config.parameters() {
            assert!(help.contains(&format!("--{} ", parameter.name)), "{}", parameter.name);
        }
    }
}
