//! Clients that mean harm, or do not know what they do. After each of them the server answers
//! the next one, and its memory has not grown with what they only announced.

mod accepting;
mod fragments;
mod garbage;
mod limits;
mod numbers;
mod patterns;
mod payloads;
mod readers;
