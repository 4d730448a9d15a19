//! Every error a client can see, with the exact text that goes on the wire.

use std::borrow::Cow;
use std::fmt;

/// An error reply. Its `Display` is the wire text without the leading `-` and the line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    Syntax,
    WrongType,
    NotInteger,
    NotFloat,
    Overflow,
    NoSuchKey,
    DbIndexOutOfRange,
    StringTooLong,
    NotANumberOrInfinity,
    BusyKey,
    SameObject,
    NoAuth,
    WrongPass,
    NoProto,
    Unblocked,
    /// `invalid expire time in 'set' command`.
    InvalidExpire(&'static str),
    /// The command's full name, as in `client|kill`.
    WrongArity(String),
    /// What the client sent, as Redis quotes it.
    UnknownCommand(Vec<u8>),
    UnknownSubcommand {
        container: String,
        subcommand: Vec<u8>,
    },
    /// Any other text that begins with `ERR`, written here without it.
    Err(Cow<'static, [u8]>),
    /// A whole text with a code of its own.
    Text(Cow<'static, [u8]>),
    /// The same, of an error within another request that statistics know of already.
    Counted(Vec<u8>),
}

impl Error {
    /// `ERR` and a fixed text.
    pub(crate) const fn err(text: &'static str) -> Self {
        Error::Err(Cow::Borrowed(text.as_bytes()))
    }

    /// A fixed text with a code of its own.
    pub(crate) const fn coded(text: &'static str) -> Self {
        Error::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// `ERR` and a text made for the occasion.
    pub(crate) fn format(text: fmt::Arguments<'_>) -> Self {
        Error::Err(Cow::Owned(text.to_string().into_bytes()))
    }

    /// `ERR` and a text that quotes bytes of the client's.
    pub(crate) fn quoting(before: &str, quoted: &[u8], after: &str) -> Self {
        let quoted = printable(quoted, usize::MAX);
        Error::Err(Cow::Owned([before.as_bytes(), quoted, after.as_bytes()].concat()))
    }

    /// `ERR` and a text that quotes one byte of the client's.
    pub(crate) fn quoting_byte(before: &str, quoted: u8, after: &str) -> Self {
        Error::Err(Cow::Owned([before.as_bytes(), &[quoted], after.as_bytes()].concat()))
    }

    /// What a request gets that names a consumer group which is not there: a text between and around
    /// two names of the client's.
    pub(crate) fn no_group(texts: [&str; 3], names: [&[u8]; 2]) -> Self {
        let [first, second] = names.map(|name| printable(name, usize::MAX));
        let [before, between, after] = texts.map(str::as_bytes);
        let parts: [&[u8]; 6] = [b"NOGROUP No such ", before, first, between, second, after];
        Error::Text(Cow::Owned(parts.concat()))
    }

    /// What a request for `name` with these arguments gets when there is no such command.
    pub(crate) fn unknown_command<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Self {
        const SHOWN: usize = 128;
        let name = printable(words.next().unwrap_or_default(), SHOWN);
        let mut arguments = Vec::new();
        for word in words {
            if arguments.len() >= SHOWN {
                break;
            }
            let room = SHOWN - arguments.len();
            arguments.extend_from_slice(&[b"'", printable(word, room), b"' "].concat());
        }
        let parts: [&[u8]; 4] = [b"'", name, b"', with args beginning with: ", &arguments];
        Error::UnknownCommand(parts.concat())
    }

    pub(crate) fn unknown_subcommand(container: &'static str, name: &[u8]) -> Self {
        const SHOWN: usize = 128;
        Error::UnknownSubcommand {
            container: container.to_ascii_uppercase(),
            subcommand: printable(name, SHOWN).to_vec(),
        }
    }

    /// What a subcommand gets that has too many arguments for what it found in them.
    pub(crate) fn subcommand_syntax(container: &str, name: &[u8]) -> Self {
        let before = "unknown subcommand or wrong number of arguments for '";
        Self::quoting(before, name, &format!("'. Try {} HELP.", container.to_ascii_uppercase()))
    }

    /// The word that counts in `INFO errorstats`. What does not begin with a short word of its own counts as `ERR`.
    pub(crate) fn code(&self) -> String {
        const LONGEST: usize = 30;
        const LINE_ENDS: [char; 2] = ['\r', '\n'];
        let text = self.to_string();
        // Line ends inside the text go out as spaces.
        let word = text.trim_end_matches(LINE_ENDS).split_once([' ', '\r', '\n']);
        let word = word.map(|(word, _)| word).filter(|word| word.len() <= LONGEST);
        word.unwrap_or("ERR").to_owned()
    }

    /// The text that goes on the wire, without the leading `-` and the line end.
    pub(crate) fn wire(&self) -> Vec<u8> {
        match self {
            Error::InvalidExpire(command) => {
                format!("ERR invalid expire time in '{command}' command").into_bytes()
            }
            Error::WrongArity(command) => {
                format!("ERR wrong number of arguments for '{command}' command").into_bytes()
            }
            Error::UnknownCommand(words) => [b"ERR unknown command ", &**words].concat(),
            Error::UnknownSubcommand { container, subcommand } => {
                let rest = format!("'. Try {container} HELP.");
                [b"ERR unknown subcommand '", &**subcommand, rest.as_bytes()].concat()
            }
            Error::Err(text) => [b"ERR ", &**text].concat(),
            Error::Text(text) => text.to_vec(),
            Error::Counted(text) => text.clone(),
            other => other.fixed_text().as_bytes().to_vec(),
        }
    }

    /// The text of the errors that are always the same.
    const fn fixed_text(&self) -> &'static str {
        match self {
            Error::Syntax => "ERR syntax error",
            Error::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Error::NotInteger => "ERR value is not an integer or out of range",
            Error::NotFloat => "ERR value is not a valid float",
            Error::Overflow => "ERR increment or decrement would overflow",
            Error::NoSuchKey => "ERR no such key",
            Error::DbIndexOutOfRange => "ERR DB index is out of range",
            Error::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Error::NotANumberOrInfinity => "ERR increment would produce NaN or Infinity",
            Error::BusyKey => "BUSYKEY Target key name already exists.",
            Error::SameObject => "ERR source and destination objects are the same",
            Error::NoAuth => "NOAUTH Authentication required.",
            Error::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            Error::Unblocked => "UNBLOCKED client unblocked via CLIENT UNBLOCK",
            Error::NoProto => "NOPROTO unsupported protocol version",
            _ => "ERR",
        }
    }
}

/// At most `limit` bytes of what a client sent, as they may stand in an error text: up to the
/// first zero byte.
fn printable(bytes: &[u8], limit: usize) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end.min(limit)]
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.wire()))
    }
}

impl std::error::Error for Error {}
