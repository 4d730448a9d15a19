//! Statements: what a script does before it returns. Each stands on a line of its own, so that a script can be shortened.
//!
//! A script always ends soon, and nothing in it depends on the clock, on chance or on the order of a hash table.

use client_tests::random::Random;

use crate::generate::Generator;

/// Blocks within blocks.
const DEEPEST: usize = 3;
/// No list is longer, so that loops within loops stay short.
const MOST_ROUNDS: usize = 3;

/// Sorts what has no order, and makes a list of RESP3's set.
const SORTED: &str = "\
local function sorted(reply)
  if type(reply) ~= 'table' or reply.err then return reply end
  local list = reply
  if reply.set then
    list = {}
    for member in pairs(reply.set) do list[#list + 1] = member end
  end
  table.sort(list)
  return list
end";

/// Of what differs from server to server only its kind is looked at.
const KIND: &str = "\
local function kind(reply)
  if type(reply) ~= 'table' then return type(reply) end
  return reply.err and 'error' or 'table'
end";

/// A script with its keys and arguments.
pub(super) struct Program {
    pub(super) source: Vec<u8>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) arguments: Vec<Vec<u8>>,
}

impl Program {
    pub(super) fn random(generator: &Generator, random: &mut Random) -> Self {
        let mut writer = Writer {
            generator,
            random,
            keys: Vec::new(),
            arguments: Vec::new(),
            scope: Scope::default(),
            lines: Vec::new(),
            depth: 0,
            named: 0,
        };
        if writer.random.once_in(8) {
            writer.line("redis.setresp(3)");
        }
        for _ in 0..=writer.random.below(7) {
            writer.statement();
        }
        let result = writer.result(3);
        writer.line(&format!("return {result}"));
        writer.finish()
    }
}

/// The variables that may be used, by what they are sure to hold.
#[derive(Clone, Default)]
pub(super) struct Scope {
    pub(super) numbers: Vec<String>,
    pub(super) texts: Vec<String>,
    pub(super) lists: Vec<String>,
    /// What commands replied: texts, numbers, tables, nothing.
    pub(super) replies: Vec<String>,
    /// Errors may be among these, whose words must not get into any key.
    pub(super) outcomes: Vec<String>,
}

pub(super) struct Writer<'parts> {
    pub(super) generator: &'parts Generator,
    pub(super) random: &'parts mut Random,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) arguments: Vec<Vec<u8>>,
    pub(super) scope: Scope,
    lines: Vec<String>,
    depth: usize,
    named: usize,
}

impl Writer<'_> {
    fn finish(self) -> Program {
        let body = self.lines.join("\n");
        let helpers = [("sorted(", SORTED), ("kind(", KIND)];
        let used = helpers.iter().filter(|(call, _)| body.contains(call));
        let mut parts: Vec<&str> = used.map(|(_, helper)| *helper).collect();
        parts.push(&body);
        let source = parts.join("\n").into_bytes();
        Program { source, keys: self.keys, arguments: self.arguments }
    }

    fn line(&mut self, line: &str) {
        self.lines.push(format!("{}{line}", "  ".repeat(self.depth)));
    }

    fn name(&mut self, prefix: &str) -> String {
        self.named += 1;
        format!("{prefix}{}", self.named)
    }

    fn statement(&mut self) {
        let most = if self.depth < DEEPEST { 22 } else { 14 };
        match self.random.below(most) {
            0..=3 | 13 => self.local_reply(),
            4..=5 => {
                let call = self.call();
                self.line(&call);
            }
            6 => self.local_number(),
            7 => self.local_text(),
            8 => self.local_list(),
            9 => self.change(),
            10 => self.change_list(),
            11 => self.protected_call(),
            12 => self.leave_early(),
            14..=15 => self.condition(),
            16 => self.counted_loop(),
            17 => self.loop_over(),
            18 => self.repeat_loop(),
            19 => self.protected_block(),
            20 => self.function(),
            _ => self.coroutine(),
        }
    }
}

impl Writer<'_> {
    fn local_reply(&mut self) {
        let call = self.call();
        let name = self.name("reply");
        self.line(&format!("local {name} = {call}"));
        self.scope.replies.push(name);
    }

    fn local_number(&mut self) {
        let number = self.number(2);
        let name = self.name("number");
        self.line(&format!("local {name} = {number}"));
        self.scope.numbers.push(name);
    }

    fn local_text(&mut self) {
        let text = self.text(2);
        let name = self.name("text");
        self.line(&format!("local {name} = {text}"));
        self.scope.texts.push(name);
    }

    fn local_list(&mut self) {
        let list = self.list(2);
        let name = self.name("list");
        self.line(&format!("local {name} = {list}"));
        self.scope.lists.push(name);
    }

    fn change(&mut self) {
        let is_number = self.random.once_in(2);
        let names = if is_number { &self.scope.numbers } else { &self.scope.texts };
        if names.is_empty() {
            return self.local_number();
        }
        let name = self.random.pick(names).clone();
        let value = if is_number { self.number(2) } else { self.text(2) };
        self.line(&format!("{name} = {value}"));
    }

    fn change_list(&mut self) {
        if self.scope.lists.is_empty() {
            return self.local_list();
        }
        let list = self.random.pick(&self.scope.lists).clone();
        let line = match self.random.below(5) {
            0 => format!("table.insert({list}, {})", self.scalar(1)),
            1 => format!("table.insert({list}, 1, {})", self.scalar(1)),
            2 => format!("table.remove({list})"),
            3 => format!("table.sort({list}, function(a, b) return tostring(a) < tostring(b) end)"),
            _ => format!("{list}[#{list}] = {}", self.scalar(1)),
        };
        self.line(&line);
    }

    fn protected_call(&mut self) {
        let (name, call) = (self.name("outcome"), self.call_in_parts());
        self.line(&format!("local {name} = {{pcall(redis.call, {call})}}"));
        self.scope.outcomes.push(name);
    }

    fn leave_early(&mut self) {
        let (condition, result) = (self.truth(), self.result(1));
        let end = match self.random.below(5) {
            0 => format!("error({})", self.scalar(1)),
            1 => format!("error({{err = 'MINE ' .. {}}})", self.scalar(1)),
            _ => format!("return {result}"),
        };
        self.line(&format!("if {condition} then {end} end"));
    }

    /// Statements with variables of their own.
    fn block(&mut self) {
        let scope = self.scope.clone();
        self.depth += 1;
        for _ in 0..=self.random.below(3) {
            self.statement();
        }
        self.depth -= 1;
        self.scope = scope;
    }

    fn condition(&mut self) {
        let condition = self.truth();
        self.line(&format!("if {condition} then"));
        self.block();
        if self.random.once_in(2) {
            self.line("else");
            self.block();
        }
        self.line("end");
    }

    fn counted_loop(&mut self) {
        let name = self.name("index");
        let last = 1 + self.random.below(MOST_ROUNDS);
        let range = *self.random.pick(&["1, LAST", "LAST, 1, -1", "0, LAST, 2"]);
        self.line(&format!("for {name} = {} do", range.replace("LAST", &last.to_string())));
        self.block_with(|scope| scope.numbers.push(name));
        self.line("end");
    }

    fn loop_over(&mut self) {
        let (index, item) = (self.name("index"), self.name("item"));
        let count = 1 + self.random.below(MOST_ROUNDS);
        let items: Vec<String> = (0..count).map(|_| self.text(1)).collect();
        let items = format!("{{{}}}", items.join(", "));
        let list = self.random.pick(&["KEYS", "ARGV", &items]).to_string();
        self.line(&format!("for {index}, {item} in ipairs({list}) do"));
        self.block_with(|scope| {
            scope.numbers.push(index);
            scope.texts.push(item);
        });
        self.line("end");
    }

    fn repeat_loop(&mut self) {
        let name = self.name("count");
        let last = 1 + self.random.below(MOST_ROUNDS);
        let condition = self.truth();
        let (head, tail) = if self.random.once_in(2) {
            (format!("while {name} < {last} do"), "end".to_owned())
        } else {
            ("repeat".to_owned(), format!("until {name} > {last} or {condition}"))
        };
        self.line(&format!("local {name} = 0"));
        self.line(&head);
        // It is no number that may be changed inside, or it would not end.
        self.depth += 1;
        self.line(&format!("{name} = {name} + 1"));
        self.depth -= 1;
        self.block();
        self.line(&tail);
    }

    fn protected_block(&mut self) {
        let (name, result) = (self.name("outcome"), self.scalar(1));
        self.line(&format!("local {name} = {{pcall(function()"));
        self.block();
        self.depth += 1;
        self.line(&format!("return {result}"));
        self.depth -= 1;
        self.line("end)}");
        self.scope.outcomes.push(name);
    }

    fn function(&mut self) {
        let (function, parameter, argument) =
            (self.name("function"), self.name("text"), self.text(1));
        self.line(&format!("local function {function}({parameter})"));
        self.block_with(|scope| scope.texts.push(parameter.clone()));
        self.line(&format!("  return {parameter}"));
        self.line("end");
        self.local_of_call(&format!("{function}({argument})"));
    }

    fn coroutine(&mut self) {
        let (name, first, second) = (self.name("routine"), self.scalar(1), self.call());
        self.line(&format!("local {name} = coroutine.wrap(function()"));
        self.line(&format!("  coroutine.yield({first})"));
        self.block();
        self.line(&format!("  return {second}"));
        self.line("end)");
        self.local_of_call(&format!("{{{name}(), {name}()}}"));
    }

    fn local_of_call(&mut self, call: &str) {
        let name = self.name("outcome");
        self.line(&format!("local {name} = {call}"));
        self.scope.outcomes.push(name);
    }

    fn block_with(&mut self, add: impl FnOnce(&mut Scope)) {
        let scope = self.scope.clone();
        add(&mut self.scope);
        self.block();
        self.scope = scope;
    }
}
