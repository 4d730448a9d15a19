//! Reads case files: the format is described in this crate's README.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    case::{Action, Answer, Answers, Case, Difference, Exclusion, Protocols, Step, Whose},
    expect::Expect,
    reply::Protocol,
    target::{Parameter, identity::Selector},
    text::{find_unquoted, has_open_quote, split_words},
    variables::Variables,
};

/// All cases below `directory`: a family is a file, or a directory of files.
pub fn read_all(directory: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for file in
        list_files(directory).map_err(|error| format!("{}: {error}", directory.display()))?
    {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let family = family_of(directory, &file);
        let shown =
            directory.parent().and_then(|parent| file.strip_prefix(parent).ok()).unwrap_or(&file);
        let read =
            read(&text, &family, shown).map_err(|why| format!("{}: {why}", file.display()))?;
        cases.extend(read);
    }
    Ok(cases)
}

fn list_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(list_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "cases") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn family_of(directory: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(directory).unwrap_or(file);
    let first = relative
        .components()
        .next()
        .map(|component| component.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".cases").to_owned()
}

/// The cases of one file.
pub fn read(text: &str, family: &str, file: &Path) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (line, text) in whole_lines(text) {
        let at_line = |why: String| format!("line {line}: {why}");
        if let Some(name) = text.strip_prefix("==") {
            cases.push(new_case(name.trim(), family, file, line));
            continue;
        }
        let case =
            cases.last_mut().ok_or_else(|| at_line("a case starts with `== name`".to_owned()))?;
        read_line(case, line, &text).map_err(at_line)?;
    }
    for case in &cases {
        case.check()?;
    }
    Ok(cases)
}

/// What of a line goes on in the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    /// A text between double quotes, in a command.
    Quote,
    /// A list or map, in an expectation.
    Bracket,
}

/// Lines without comments and blanks; a text goes on until its quote is closed, an expectation until its brackets are.
fn whole_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = Open::Nothing;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let is_empty = line.trim_start().is_empty() || line.trim_start().starts_with('#');
        match lines.last_mut() {
            Some((_, last)) if open == Open::Quote => {
                last.push('\n');
                last.push_str(line);
            }
            _ if is_empty => continue,
            Some((_, last)) if open == Open::Bracket => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ => lines.push((index + 1, line.to_owned())),
        }
        open = lines.last().map_or(Open::Nothing, |(_, last)| what_is_open(last));
    }
    lines
}

fn what_is_open(line: &str) -> Open {
    if line.starts_with("==") {
        return Open::Nothing;
    }
    match find_unquoted(line, "=>") {
        Some(arrow) if has_open_bracket(&line[arrow + 2..]) => Open::Bracket,
        None if has_open_quote(line) => Open::Quote,
        _ => Open::Nothing,
    }
}

fn has_open_bracket(answer: &str) -> bool {
    let notation = answer.trim_start();
    if notation.starts_with(['-', '+']) {
        return false;
    }
    let mut depth = 0_i32;
    let mut rest = notation;
    while let Some(at) =
        ["[", "{", "]", "}"].iter().filter_map(|bracket| find_unquoted(rest, bracket)).min()
    {
        depth += if matches!(&rest[at..=at], "[" | "{") { 1 } else { -1 };
        rest = &rest[at + 1..];
    }
    depth > 0
}

fn new_case(name: &str, family: &str, file: &Path, line: usize) -> Case {
    Case {
        family: family.to_owned(),
        name: name.to_owned(),
        file: file.to_owned(),
        line,
        protocols: Protocols::Both,
        server: None,
        exclusions: Vec::new(),
        needs_addresses: None,
        steps: Vec::new(),
    }
}

fn read_line(case: &mut Case, line: usize, text: &str) -> Result<(), String> {
    if text.starts_with(char::is_whitespace) {
        let step = case.steps.last_mut().ok_or("an indented line belongs to a step")?;
        step.answers.differences.push(read_difference(text.trim())?);
        return Ok(());
    }
    if case.steps.is_empty() && read_directive(case, text)? {
        return Ok(());
    }
    let step = read_step(line, text)?;
    if case.server.is_none() {
        refuse_lasting_change(&step.action)?;
    }
    case.steps.push(step);
    Ok(())
}

/// What a case says about itself before its first step.
fn read_directive(case: &mut Case, text: &str) -> Result<bool, String> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    match name {
        "@resp2" => case.protocols = Protocols::Only(Protocol::Resp2),
        "@resp3" => case.protocols = Protocols::Only(Protocol::Resp3),
        "@plain" => case.protocols = Protocols::Plain,
        "@server" => case.server = Some(read_parameters(rest)?),
        "@not" => {
            let (servers, reason) =
                rest.split_once(" because ").ok_or("`@not servers because reason`")?;
            case.exclusions.push(Exclusion {
                servers: Selector::parse_list(servers)?,
                reason: reason.to_owned(),
            });
        }
        "@tcp" => {
            let reason = rest.strip_prefix("because ").ok_or("`@tcp because reason`")?;
            case.needs_addresses = Some(reason.to_owned());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_parameters(text: &str) -> Result<Vec<Parameter>, String> {
    let mut parameters = Vec::new();
    for word in split_words(text)? {
        let word = String::from_utf8(word).map_err(|_| "a parameter is text")?;
        let (name, value) = word.split_once('=').ok_or("`@server name=value ...`")?;
        parameters.push((name.to_owned(), value.to_owned()));
    }
    Ok(parameters)
}

fn read_step(line: usize, text: &str) -> Result<Step, String> {
    let (left, answer) = split_arrow(text)?;
    let (connection, action) = split_connection(left);
    let action = read_action(action)?;
    let idle = matches!(action, Action::Wait(_) | Action::Keep { .. } | Action::Close);
    if idle && answer.is_some() {
        return Err("this step has no reply".to_owned());
    }
    if matches!(action, Action::Receive | Action::Until(_)) && answer.is_none() {
        return Err("this step needs a `=> reply`".to_owned());
    }
    Ok(Step {
        line,
        connection: connection.to_owned(),
        action,
        answers: Answers { expected: answer, differences: Vec::new() },
    })
}

fn split_arrow(text: &str) -> Result<(&str, Option<Answer>), String> {
    let arrow =
        if text.starts_with("=>") { Some(0) } else { find_unquoted(text, " =>").map(|at| at + 1) };
    let Some(arrow) = arrow else { return Ok((text.trim(), None)) };
    Ok((text[..arrow].trim(), Some(read_answer(&text[arrow + 2..])?)))
}

fn read_answer(text: &str) -> Result<Answer, String> {
    let mut notation = text.trim();
    let mut kept_as = None;
    if let Some((before, name)) = notation.rsplit_once(" as ${") {
        kept_as = Some(name.strip_suffix('}').ok_or("`as ${name}`")?.to_owned());
        notation = before.trim_end();
    }
    // What the variables will hold is not known yet; a digit fits wherever one may stand.
    Expect::parse(&Variables::blank_out(notation))?;
    Ok(Answer { notation: notation.to_owned(), kept_as })
}

/// `b> PING` belongs to the connection b; without a name it is a's.
fn split_connection(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match first.strip_suffix('>') {
        Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (name, rest.trim())
        }
        _ => ("a", text),
    }
}

fn read_action(text: &str) -> Result<Action, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest_owned = rest.to_owned();
    Ok(match word {
        "" => Action::Receive,
        "@wait" => Action::Wait(read_duration(rest)?),
        "@keep" => read_keep(rest)?,
        "@open" => Action::Open,
        "@close" => Action::Close,
        "@raw" => Action::Raw(checked(rest_owned)?),
        "@fragmented" => Action::Fragmented(checked(rest_owned)?),
        "@until" => Action::Until(checked(rest_owned)?),
        word if word.starts_with('@') => return Err(format!("`{word}` is no instruction")),
        _ => Action::Command(checked(text.to_owned())?),
    })
}

/// `@keep name "text"`.
fn read_keep(text: &str) -> Result<Action, String> {
    let (name, text) = text.split_once(' ').ok_or("`@keep name \"text\"`")?;
    match split_words(text)?.len() {
        1 => Ok(Action::Keep { name: name.to_owned(), text: text.to_owned() }),
        words => Err(format!("`@keep` takes a name and one text, not {words}")),
    }
}

fn checked(text: String) -> Result<String, String> {
    if split_words(&text)?.is_empty() {
        return Err("a command is missing".to_owned());
    }
    Ok(text)
}

fn read_duration(text: &str) -> Result<Duration, String> {
    let milliseconds = text.strip_suffix("ms").and_then(|digits| digits.parse().ok());
    milliseconds.map(Duration::from_millis).ok_or_else(|| "`@wait 50ms`".to_owned())
}

/// `redis 7.0, valkey => reply`, `resp2 => reply`, or `redlet differs because "reason" => reply`.
fn read_difference(text: &str) -> Result<Difference, String> {
    let (left, answer) = split_arrow(text)?;
    let answer = answer.ok_or("an indented line says `servers => reply`")?;
    if let Some(reason) = left.strip_prefix("redlet differs because ") {
        let reason = reason.trim_matches('"').to_owned();
        return Ok(Difference { protocol: None, whose: Whose::Redlet { reason }, answer });
    }
    let (left, protocol) = split_protocol(left);
    if left.is_empty() {
        return Ok(Difference { protocol, whose: Whose::Everyone, answer });
    }
    Ok(Difference { protocol, whose: Whose::Servers(Selector::parse_list(left)?), answer })
}

fn split_protocol(text: &str) -> (&str, Option<Protocol>) {
    for (suffix, protocol) in [("resp2", Protocol::Resp2), ("resp3", Protocol::Resp3)] {
        if let Some(left) = text.strip_suffix(suffix) {
            return (left.trim_end(), Some(protocol));
        }
    }
    (text, None)
}

/// Commands that change a server beyond its keys and functions would change the cases that follow.
fn refuse_lasting_change(action: &Action) -> Result<(), String> {
    const LASTING: [&str; 11] = [
        "config set",
        "config rewrite",
        "config resetstat",
        "client pause",
        "shutdown",
        "debug",
        "acl setuser",
        "acl deluser",
        "replicaof",
        "latency reset",
        "slowlog reset",
    ];
    let (Action::Command(command) | Action::Fragmented(command) | Action::Until(command)) = action
    else {
        return Ok(());
    };
    let command = command.to_lowercase();
    match LASTING
        .iter()
        .find(|lasting| command == **lasting || command.starts_with(&format!("{lasting} ")))
    {
        Some(lasting) => Err(format!(
            "`{lasting}` outlives the case: give it a server of its own with `@server`"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Case>, String> {
        read(text, "strings", Path::new("strings.cases"))
    }

    #[test]
    fn a_case_is_read() {
        let text = "== a name\n@resp3\n@server maxclients=3\n# why\nSET k \"a => b\" => OK\n  redis 7.0 => -ERR no\nb> GET k => [\n  1\n  2\n]\n=> closed\n";
        let cases = read_text(text).unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].protocols, Protocols::Only(Protocol::Resp3));
        assert_eq!(cases[0].steps.len(), 3);
        assert_eq!(cases[0].steps[0].answers.differences.len(), 1);
        assert_eq!(cases[0].steps[1].connection, "b");
        assert_eq!(cases[0].steps[2].action, Action::Receive);
    }

    #[test]
    fn a_quoted_text_goes_on_over_lines() {
        let text = "== a name\n@keep script \"\n  # kept\n\n  it's a 'text'\n\"\nEVAL \"${script}\" 0 => nil\nECHO \"a\nb\" => [\n  1\n]\n";
        let cases = read_text(text).unwrap();
        let actions: Vec<_> = cases[0].steps.iter().map(|step| &step.action).collect();
        let kept = "\"\n  # kept\n\n  it's a 'text'\n\"".to_owned();
        assert_eq!(*actions[0], Action::Keep { name: "script".to_owned(), text: kept });
        assert_eq!(*actions[2], Action::Command("ECHO \"a\nb\"".to_owned()));
        assert_eq!(cases[0].steps.iter().map(|step| step.line).collect::<Vec<_>>(), [2, 7, 8]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line) in [
            ("GET k => nil", "line 1"),
            ("== a\nGET k => nul", "line 2"),
            ("== a\nGET \"k => nil", "line 2"),
            ("== a\nPING => PONG\n  redlet => OK", "line 3"),
            ("== a\nPING => PONG\nSET k \"is\nnever closed", "line 3"),
            ("== a\n@keep name two words", "line 2"),
            ("== a\nCONFIG SET maxmemory 1 => OK", "line 2"),
            ("== a\n@nonsense", "line 2"),
            ("== a\nPING => PONG\n  redis, valkey => OK", "line 2"),
        ] {
            let why = read_text(text).unwrap_err();
            assert!(why.starts_with(line), "{text}: {why}");
        }
    }
}
