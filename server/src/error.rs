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
    NotPositive,
    NoSuchKey,
    IndexOutOfRange,
    DbIndexOutOfRange,
    StringTooLong,
    NotANumberOrInfinity,
    BusyKey,
    SameObject,
    NoAuth,
    WrongPass,
    NoProto,
    OutOfMemory,
    /// `invalid expire time in 'set' command`.
    InvalidExpire(&'static str),
    /// The command's full name, as in `client|kill`.
    WrongArity(String),
    UnknownCommand(String),
    UnknownSubcommand {
        container: String,
        subcommand: String,
    },
    /// Any other text that begins with `ERR`, written here without it.
    Err(Cow<'static, str>),
    /// A whole text with a code of its own.
    Text(Cow<'static, str>),
}

impl Error {
    /// `ERR` and a fixed text.
    pub(crate) const fn err(text: &'static str) -> Self {
        Error::Err(Cow::Borrowed(text))
    }

    /// `ERR` and a text made for the occasion.
    pub(crate) fn format(text: fmt::Arguments<'_>) -> Self {
        Error::Err(Cow::Owned(text.to_string()))
    }

    /// What a request for `name` with these arguments gets when there is no such command.
    pub(crate) fn unknown_command<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Self {
        const SHOWN: usize = 128;
        let name = printable(words.next().unwrap_or_default(), SHOWN);
        let mut arguments = String::new();
        for word in words {
            if arguments.len() >= SHOWN {
                break;
            }
            let room = SHOWN - arguments.len();
            arguments.push_str(&format!("'{}' ", printable(word, room)));
        }
        Error::UnknownCommand(format!("'{name}', with args beginning with: {arguments}"))
    }

    pub(crate) fn unknown_subcommand(container: &'static str, name: &[u8]) -> Self {
        const SHOWN: usize = 128;
        Error::UnknownSubcommand {
            container: container.to_ascii_uppercase(),
            subcommand: printable(name, SHOWN),
        }
    }

    /// The word that counts in `INFO errorstats`.
    pub(crate) fn code(&self) -> String {
        let text = self.to_string();
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// At most `limit` bytes of what a client sent, as they may stand in an error text.
fn printable(bytes: &[u8], limit: usize) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()).min(limit);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Error::Syntax => "ERR syntax error",
            Error::WrongType => {
                "WRONGTYPE Operation against a key holding the wrong kind of value"
            }
            Error::NotInteger => "ERR value is not an integer or out of range",
            Error::NotFloat => "ERR value is not a valid float",
            Error::Overflow => "ERR increment or decrement would overflow",
            Error::NotPositive => "ERR value is out of range, must be positive",
            Error::NoSuchKey => "ERR no such key",
            Error::IndexOutOfRange => "ERR index out of range",
            Error::DbIndexOutOfRange => "ERR DB index is out of range",
            Error::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Error::NotANumberOrInfinity => "ERR increment would produce NaN or Infinity",
            Error::BusyKey => "BUSYKEY Target key name already exists.",
            Error::SameObject => "ERR source and destination objects are the same",
            Error::NoAuth => "NOAUTH Authentication required.",
            Error::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            Error::NoProto => "NOPROTO unsupported protocol version",
            Error::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Error::InvalidExpire(command) => {
                return write!(f, "ERR invalid expire time in '{command}' command");
            }
            Error::WrongArity(command) => {
                return write!(f, "ERR wrong number of arguments for '{command}' command");
            }
            Error::UnknownCommand(words) => return write!(f, "ERR unknown command {words}"),
            Error::UnknownSubcommand { container, subcommand } => {
                return write!(f, "ERR unknown subcommand '{subcommand}'. Try {container} HELP.");
            }
            Error::Err(text) => return write!(f, "ERR {text}"),
            Error::Text(text) => text,
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}
