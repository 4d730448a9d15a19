//! What keys and members of sets lie in: pages of slots, and tables that find a slot by its key.
//!
//! Nothing here knows what the slots contain.

pub(crate) mod memory;
pub(crate) mod pages;
pub(crate) mod table;

pub(crate) use pages::{Handle, Pages, slot_bytes};
pub(crate) use table::{Found, Items, KeyHasher, Table};
