//! The Presence server: the WebSocket channels, the REST API, the pages, and the command line.
//!
//! The modules in reading order: the command line, the lifecycle, the pages, the REST API, the
//! layout of pages, the sockets, and the modules that all of them share.

pub mod cli;
pub mod lifecycle;

pub mod web;

pub mod http;

mod cookie;
mod form;
mod page;
pub mod route_table;

mod browserid;
mod connection;
mod oidc;
pub mod settings;
pub mod socket;

mod authorization;
mod client_address;
mod client_proof;
mod compression;
mod development_guard;
mod origin_pattern;
mod tls;

pub mod context;
mod logging;
mod meter;
pub mod operator_console;
mod request_id;
mod request_record;
pub mod supervisor;
mod traces;
