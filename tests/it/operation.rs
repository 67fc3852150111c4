//! What who runs a server sees of it.

mod backups;
mod command_line;
mod running;
mod stopping;
