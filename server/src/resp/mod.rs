//! The wire: requests in, replies out. Knows nothing of commands or keys.

pub(crate) mod inline;
mod output;
mod reply;
mod request;

pub(crate) use output::{Mark, Output};
pub(crate) use reply::{Protocol, Reply};
pub(crate) use request::{Decoder, Limits};
