//! The Presence server: parse, call, answer.
//!
//! The modules in reading order: the command line, the lifecycle, the REST API, the sockets, and what they share.

pub mod cli;
pub mod lifecycle;

pub mod http;

mod acceptor;
pub mod settings;
pub mod socket;

pub mod context;
mod handover;
mod meter;
mod telemetry;
