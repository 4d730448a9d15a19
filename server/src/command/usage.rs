//! The notation of a row's `usage`, and the tree of arguments that it stands for.
//!
//! A word without lower-case letters is typed as it stands, any other names a value. `[x]` may be
//! left out, `<x | y>` and `[x | y]` are choices, and `[x ...]` after an `x` says that it may come
//! again. A value's type follows from its name, so that rows need not spell it out.

use super::Command;

/// One argument, as `COMMAND DOCS` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The word that goes before it.
    pub(super) token: Option<&'static str>,
    pub(super) optional: bool,
    pub(super) multiple: bool,
    /// Whether the token is repeated along with the argument.
    pub(super) multiple_token: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key that this key specification finds.
    Key(usize),
    String,
    Integer,
    Pattern,
    UnixTime,
    /// Nothing but its token.
    PureToken,
    OneOf(Vec<Argument>),
    /// Several that come and go together.
    Block(Vec<Argument>),
}

/// The arguments that a command takes after its name.
pub(super) fn arguments(command: &Command) -> Vec<Argument> {
    let mut arguments = parse(command.usage);
    let specs = command.keys.iter().enumerate().filter(|(_, spec)| spec.finds_arguments());
    let specs: Vec<usize> = specs.map(|(index, _)| index).collect();
    if specs.is_empty() {
        forget_keys(&mut arguments);
    } else {
        number_keys(&mut arguments, &mut 0, &specs);
    }
    arguments
}

/// A usage text as HELP shows it, where values stand in angle brackets.
pub(super) fn help_line(usage: &str) -> String {
    let usage = usage.replace('<', "(").replace('>', ")");
    let mark = |word: &str| {
        let name = word.trim_matches(['[', ']', '(', ')']);
        if is_token(name) { word.to_owned() } else { word.replace(name, &format!("<{name}>")) }
    };
    usage.split(' ').map(mark).collect::<Vec<_>>().join(" ")
}

fn parse(usage: &'static str) -> Vec<Argument> {
    let choices = read_choices(&mut tokens(usage));
    choices.iter().flat_map(|nodes| build(nodes)).collect()
}

/// The text between brackets, or a bracket with what is inside.
#[derive(Debug)]
enum Node {
    Word(&'static str),
    Group { optional: bool, choices: Vec<Vec<Node>> },
}

impl Node {
    /// What `[... ...]` says may come again.
    fn repeated(&self) -> Option<&[Node]> {
        match self {
            Node::Group { choices, .. } => match choices.last()?.split_last()? {
                (Node::Word("..."), repeated) => Some(repeated),
                _ => None,
            },
            Node::Word(_) => None,
        }
    }

    /// Whether it continues what a token began: `LIMIT offset count`.
    fn follows_token(&self) -> bool {
        match self {
            Node::Word(word) => !is_token(word),
            Node::Group { optional, .. } => !optional || self.repeated().is_some(),
        }
    }
}

const BRACKETS: [char; 4] = ['[', ']', '<', '>'];

fn tokens(usage: &'static str) -> impl Iterator<Item = &'static str> {
    usage.split_inclusive(BRACKETS).flat_map(|piece| {
        let (text, bracket) = piece.split_at(piece.trim_end_matches(BRACKETS).len());
        text.split_whitespace().chain((!bracket.is_empty()).then_some(bracket))
    })
}

/// Reads up to the bracket that closes the choices.
fn read_choices(tokens: &mut impl Iterator<Item = &'static str>) -> Vec<Vec<Node>> {
    let mut choices = Vec::new();
    let mut nodes = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            "]" | ">" => break,
            "|" => choices.push(std::mem::take(&mut nodes)),
            "[" => nodes.push(Node::Group { optional: true, choices: read_choices(tokens) }),
            "<" => nodes.push(Node::Group { optional: false, choices: read_choices(tokens) }),
            word => nodes.push(Node::Word(word)),
        }
    }
    choices.push(nodes);
    choices
}

fn build(nodes: &[Node]) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut rest = nodes;
    while let Some((node, after)) = rest.split_first() {
        rest = after;
        if let Some(repeated) = node.repeated() {
            repeat(&mut arguments, repeated);
            continue;
        }
        arguments.push(match node {
            Node::Word(token) if is_token(token) => {
                let values = rest.iter().take_while(|node| node.follows_token()).count();
                let (values, after) = rest.split_at(values);
                rest = after;
                behind_token(token, values)
            }
            Node::Word(name) => Argument::new(*name, kind(name)),
            Node::Group { optional, choices } => choose(*optional, choices),
        });
    }
    arguments
}

fn behind_token(token: &'static str, values: &[Node]) -> Argument {
    let name = token.to_ascii_lowercase();
    let mut argument = match build(values) {
        values if values.is_empty() => Argument::new(&*name, Kind::PureToken),
        values => together(values, &name),
    };
    if matches!(argument.kind, Kind::OneOf(_)) {
        argument.name = name;
    }
    argument.token = Some(token);
    argument
}

fn choose(optional: bool, choices: &[Vec<Node>]) -> Argument {
    let mut all: Vec<_> = choices.iter().map(|nodes| together(build(nodes), "arguments")).collect();
    let mut argument = if all.len() == 1 {
        all.remove(0)
    } else {
        Argument::new(choice_name(&all), Kind::OneOf(all))
    };
    argument.optional |= optional;
    argument
}

/// What several choices are called, where it matters to readers.
fn choice_name(choices: &[Argument]) -> &'static str {
    let has = |name| choices.iter().any(|choice| choice.name == name);
    match () {
        () if has("nx") => "condition",
        () if has("seconds") => "expiration",
        () => "choice",
    }
}

/// One argument for all of these.
fn together(mut arguments: Vec<Argument>, name: &str) -> Argument {
    if arguments.len() == 1 {
        arguments.remove(0)
    } else {
        Argument::new(name, Kind::Block(arguments))
    }
}

/// Says of the last arguments, as many as these nodes stand for, that they may come again.
fn repeat(arguments: &mut Vec<Argument>, repeated: &[Node]) {
    let count = build(repeated).len();
    let last = arguments.split_off(arguments.len().saturating_sub(count));
    let mut last = together(last, "data");
    last.multiple = true;
    last.multiple_token = matches!(repeated, [Node::Word(token), ..] if is_token(token));
    arguments.push(last);
}

fn is_token(word: &str) -> bool {
    !word.contains(|letter: char| letter.is_ascii_lowercase())
}

/// What a value of this name is.
fn kind(name: &str) -> Kind {
    match name {
        "key" | "key1" | "key2" | "newkey" | "source" | "destination" => Kind::Key(0),
        "pattern" => Kind::Pattern,
        "unix-time-seconds" | "unix-time-milliseconds" => Kind::UnixTime,
        "bits" | "client-id" | "count" | "cursor" | "db" | "decrement" | "destination-db"
        | "end" | "frequency" | "increment" | "index" | "index1" | "index2" | "maxage"
        | "milliseconds" | "min-match-len" | "numkeys" | "offset" | "protover" | "seconds"
        | "start" | "timeout" | "ttl" | "version" => Kind::Integer,
        _ => Kind::String,
    }
}

/// Tells each key, in their order, which of the specifications finds it; the last one finds the rest.
fn number_keys(arguments: &mut [Argument], next: &mut usize, specs: &[usize]) {
    for argument in arguments {
        match &mut argument.kind {
            Kind::Key(spec) => {
                *spec = specs[(*next).min(specs.len() - 1)];
                *next += 1;
            }
            Kind::OneOf(inner) | Kind::Block(inner) => number_keys(inner, next, specs),
            _ => {}
        }
    }
}

/// For commands where `key` is only a word.
fn forget_keys(arguments: &mut [Argument]) {
    for argument in arguments {
        match &mut argument.kind {
            kind @ Kind::Key(_) => *kind = Kind::String,
            Kind::OneOf(inner) | Kind::Block(inner) => forget_keys(inner),
            _ => {}
        }
    }
}

impl Argument {
    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Argument {
            name: name.into(),
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }
}

impl Kind {
    /// What `COMMAND DOCS` calls it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Kind::Key(_) => "key",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::PureToken => "pure-token",
            Kind::OneOf(_) => "oneof",
            Kind::Block(_) => "block",
        }
    }

    /// The arguments that it consists of.
    pub(super) fn inner(&self) -> &[Argument] {
        match self {
            Kind::OneOf(inner) | Kind::Block(inner) => inner,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Table;

    /// An argument in few words: `name:type`, after its token and `=`, inner ones in
    /// parentheses, then `?` if optional, `*` if multiple, `+` if its token is multiple too.
    fn describe(arguments: &[Argument]) -> String {
        let one = |argument: &Argument| {
            let token = argument.token.map(|token| format!("{token}=")).unwrap_or_default();
            let inner = match describe(argument.kind.inner()) {
                none if none.is_empty() => none,
                inner => format!("({inner})"),
            };
            let flags = [
                (argument.optional, "?"),
                (argument.multiple, "*"),
                (argument.multiple_token, "+"),
            ];
            let flags: String = flags.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
            format!("{token}{}:{}{inner}{flags}", argument.name, argument.kind.name())
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// The text that the arguments were read from.
    fn render(arguments: &[Argument]) -> String {
        arguments.iter().map(render_one).collect::<Vec<_>>().join(" ")
    }

    fn render_one(argument: &Argument) -> String {
        let inner = argument.kind.inner();
        let body = match &argument.kind {
            Kind::OneOf(_) => {
                let body = inner.iter().map(render_one).collect::<Vec<_>>().join(" | ");
                let bare = argument.optional && argument.token.is_none();
                if bare { body } else { format!("<{body}>") }
            }
            Kind::Block(_) => render(inner),
            Kind::PureToken => String::new(),
            _ => argument.name.clone(),
        };
        let whole = format!("{} {body}", argument.token.unwrap_or_default());
        let whole = whole.trim();
        let again = if argument.multiple_token { whole } else { &body };
        let again = if argument.multiple { format!(" [{again} ...]") } else { String::new() };
        if argument.optional { format!("[{whole}{again}]") } else { format!("{whole}{again}") }
    }

    #[test]
    fn every_usage_can_be_told_from_its_arguments() {
        for row in Table::get().rows() {
            assert_eq!(render(&parse(row.command.usage)), row.command.usage, "{}", row.name);
        }
    }

    #[test]
    fn usages_stand_for_trees() {
        let cases = [
            ("", ""),
            ("key", "key:key"),
            ("key [key ...]", "key:key*"),
            ("[section [section ...]]", "section:string?*"),
            ("[ASYNC | SYNC]", "choice:oneof(ASYNC=async:pure-token SYNC=sync:pure-token)?"),
            ("<YES | NO>", "choice:oneof(YES=yes:pure-token NO=no:pure-token)"),
            ("[count | RESET]", "choice:oneof(count:integer RESET=reset:pure-token)?"),
            ("key value [key value ...]", "data:block(key:key value:string)*"),
            ("[MATCH pattern] [COUNT count]", "MATCH=pattern:pattern? COUNT=count:integer?"),
            ("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX=prefix:string?*+"),
            ("[ID client-id [client-id ...]]", "ID=client-id:integer?*"),
            ("[LIMIT offset count]", "LIMIT=limit:block(offset:integer count:integer)?"),
            (
                "[protover [AUTH username password]]",
                "arguments:block(protover:integer \
                 AUTH=auth:block(username:string password:string)?)?",
            ),
            (
                "[FILTERBY <MODULE name | ACLCAT category>]",
                "FILTERBY=filterby:oneof(MODULE=name:string ACLCAT=category:string)?",
            ),
            (
                "key [NX | XX] [EX seconds | EXAT unix-time-seconds | KEEPTTL]",
                "key:key condition:oneof(NX=nx:pure-token XX=xx:pure-token)? \
                 expiration:oneof(EX=seconds:integer \
                 EXAT=unix-time-seconds:unix-time KEEPTTL=keepttl:pure-token)?",
            ),
            (
                "<ip:port | <[USER username] | [ADDR ip:port]> \
                 [<[USER username] | [ADDR ip:port]> ...]>",
                "choice:oneof(ip:port:string \
                 choice:oneof(USER=username:string? ADDR=ip:port:string?)*)",
            ),
            ("STREAMS key [key ...] id [id ...]", "STREAMS=streams:block(key:key* id:string*)"),
        ];
        for (usage, expected) in cases {
            assert_eq!(describe(&parse(usage)), expected, "{usage}");
        }
    }

    #[test]
    fn a_usage_with_unbalanced_brackets_does_no_harm() {
        for usage in ["[", "]", "[a", "a]", "< | >", "[...]", "x [ ...] |", "[] <>"] {
            parse(usage);
        }
    }

    #[test]
    fn keys_know_their_specification() {
        let specs = |name: &str| {
            let row = Table::get().named(name.as_bytes()).unwrap();
            let all = arguments(row.command);
            all.iter().map(|argument| argument.kind.clone()).collect::<Vec<_>>()
        };
        assert_eq!(specs("rename"), [Kind::Key(0), Kind::Key(1)]);
        assert_eq!(specs("lcs")[..2], [Kind::Key(0), Kind::Key(0)]);
        assert_eq!(specs("sort").first(), Some(&Kind::Key(0)));
        assert_eq!(specs("sort").last(), Some(&Kind::Key(2)));
    }

    #[test]
    fn help_marks_values() {
        let line = help_line("[TYPE <NORMAL | MASTER>] [ID client-id [client-id ...]]");
        assert_eq!(line, "[TYPE (NORMAL | MASTER)] [ID <client-id> [<client-id> ...]]");
        assert_eq!(help_line(""), "");
    }
}
