//! The server as its operator sees it.

mod addresses;
mod backups;
mod command_line;
mod limits;
mod logs;
mod metrics;
mod origins;
mod running;
mod stopping;
mod tls;
