//! Makes scripts: small Lua programs that call random commands and return what they find, and the commands that run them.

mod calls;
mod expressions;
mod program;

use client_tests::{random::Random, sha1};

use crate::generate::{Command, Generator};
use program::Program;

/// The scripts of a round, which can be run again by their names.
#[derive(Default)]
pub(crate) struct Scripts {
    known: Vec<Vec<u8>>,
}

impl Scripts {
    /// A command that runs a script, or that has to do with those that were run.
    pub(crate) fn command(&mut self, generator: &Generator, random: &mut Random) -> Command {
        match random.below(30) {
            0 => words(&["SCRIPT", "FLUSH"]),
            1 => [words(&["SCRIPT", "EXISTS"]), vec![self.digest(random), self.digest(random)]]
                .concat(),
            2..=6 => self.run_again(generator, random),
            number => {
                let program = Program::random(generator, random);
                self.known.push(program.source.clone());
                match number {
                    7 => [words(&["SCRIPT", "LOAD"]), vec![program.source]].concat(),
                    8..=9 => run("EVAL_RO", program.source, program.keys, program.arguments),
                    _ => run("EVAL", program.source, program.keys, program.arguments),
                }
            }
        }
    }

    fn run_again(&self, generator: &Generator, random: &mut Random) -> Command {
        let name = if random.once_in(10) { "EVALSHA_RO" } else { "EVALSHA" };
        let keys = (0..random.below(3)).map(|_| generator.word("key", random)).collect();
        let arguments = (0..random.below(3)).map(|_| generator.word("value", random)).collect();
        run(name, self.digest(random), keys, arguments)
    }

    /// The name of a script, mostly of one that there is.
    fn digest(&self, random: &mut Random) -> Vec<u8> {
        let script =
            if self.known.is_empty() { b"return 1" } else { &**random.pick(&self.known[..]) };
        let digest = sha1::hexadecimal(script);
        if random.once_in(8) { digest.to_uppercase() } else { digest }.into_bytes()
    }
}

fn run(name: &str, script: Vec<u8>, keys: Vec<Vec<u8>>, arguments: Vec<Vec<u8>>) -> Command {
    let number = keys.len().to_string().into_bytes();
    [words(&[name]), vec![script, number], keys, arguments].concat()
}

fn words(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
