//! How servers are told to keep their data, and whether they can.

use crate::Result;
use crate::disk::Directory;
use crate::servers::{Contender, Server};

/// What becomes of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// No file has it, unless somebody asks for a snapshot.
    InMemory,
    /// It is appended to a file, which is synced as this value of `appendfsync` says.
    Appended(&'static str),
}

/// Nothing is written unless somebody asks for it: neither snapshots after so many changes, nor files that are written
/// anew when they have grown.
const ALWAYS: [&str; 4] = ["--save", "", "--auto-aof-rewrite-percentage", "0"];

impl Keeping {
    /// The name of a line or a table.
    pub(crate) fn label(self) -> String {
        match self {
            Keeping::InMemory => "no file".to_owned(),
            Keeping::Appended(policy) => format!("appendfsync {policy}"),
        }
    }

    pub(crate) fn flags(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Keeping::InMemory => &["--appendonly", "no"],
            Keeping::Appended(policy) => &["--appendonly", "yes", "--appendfsync", policy],
        };
        [&ALWAYS, own].concat()
    }

    /// Whether a server keeps its data in this way, and has these commands. One is started to be asked, as some of the
    /// commands write a file, and ends by itself, so that no child process of it goes on writing.
    pub(crate) fn is_known_to(self, contender: &Contender, commands: &[&str]) -> Result<bool> {
        let directory = Directory::new()?;
        let server = Server::start_in(directory.path(), contender, &self.flags())?;
        let Some(server) = server else { return Ok(false) };
        let is_known = server.knows(commands)?;
        server.shut_down()?;
        Ok(is_known)
    }

    /// Starts a server that can keep its data in this way, in a directory without files.
    pub(crate) fn start(self, directory: &Directory, contender: &Contender) -> Result<Server> {
        let server = Server::start_in(directory.path(), contender, &self.flags())?;
        Ok(server.ok_or("a server refuses flags that it accepted before")?)
    }
}

/// The flags that the servers of a section have in common, as the page shows them.
pub(crate) fn common_flags() -> String {
    ALWAYS.map(|flag| if flag.is_empty() { "\"\"" } else { flag }).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_keeping_has_its_flags() {
        let flags = Keeping::Appended("always").flags();
        assert!(flags.ends_with(&["--appendonly", "yes", "--appendfsync", "always"]));
        assert!(flags.starts_with(&ALWAYS));
        assert!(Keeping::InMemory.flags().ends_with(&["--appendonly", "no"]));
    }
}
