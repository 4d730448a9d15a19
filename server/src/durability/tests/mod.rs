//! What is on disk withstands disks that fail, power that fails, and files that are damaged.

mod damage;
mod faults;
mod history;
mod power;
mod world;
