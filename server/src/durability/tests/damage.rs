//! Files that are damaged.
