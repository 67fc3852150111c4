//! The server as its operator sees it.

mod access_log;
mod addresses;
mod backups;
mod clients;
mod command_line;
mod copies;
mod generated;
mod json_lines;
mod limits;
mod log_output;
mod logs;
pub(crate) mod metrics;
mod origins;
mod poolers;
mod postgres_backups;
mod request_ids;
mod running;
mod stopping;
mod strangers;
mod tls;
mod traces;
