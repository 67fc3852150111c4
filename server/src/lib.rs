//! The Presence server: parse, call, answer.
//!
//! The modules in reading order.

pub mod http;

pub mod context;
