//! The server as its operator sees it.

mod addresses;
mod backups;
mod command_line;
mod copies;
mod generated;
mod limits;
mod json_lines;
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
