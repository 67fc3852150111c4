//! The Presence server: parse, call, answer.
//!
//! The modules in reading order: the command line, the lifecycle, the pages, the REST API, how pages look, the sockets,
//! and what they share.

pub mod cli;
pub mod lifecycle;

pub mod web;

pub mod http;

mod cookie;
mod form;
mod page;
pub mod route_table;

mod acceptor;
mod browserid;
mod oidc;
pub mod settings;
pub mod socket;

mod client_address;
mod tls;

pub mod context;
mod handover;
mod logging;
mod meter;
pub mod operator_console;
