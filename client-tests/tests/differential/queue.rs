//! What a connection has queued since MULTI, as its replies tell it.

use client_tests::reply::Reply;

use crate::generate::Command;

/// Empty until MULTI, and again after EXEC or DISCARD.
#[derive(Default)]
pub(crate) struct Queue {
    commands: Option<Vec<Command>>,
}

impl Queue {
    /// Takes note of a command and its reply; gives the commands whose replies this one holds.
    pub(crate) fn follow(&mut self, command: &Command, reply: &Reply) -> Vec<Command> {
        let is = |name: &[u8]| command.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        match &mut self.commands {
            None if is(b"multi") && !reply.is_error() => self.commands = Some(Vec::new()),
            Some(queued) if *reply == Reply::Simple(b"QUEUED".to_vec()) => {
                queued.push(command.clone());
            }
            Some(_) if is(b"exec") => return self.commands.take().unwrap_or_default(),
            Some(_) if is(b"discard") && !reply.is_error() => self.commands = None,
            _ => {}
        }
        Vec::new()
    }
}
