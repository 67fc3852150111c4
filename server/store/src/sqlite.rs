//! SQLite: one server, and one file.

pub(crate) mod backup;
pub(crate) mod inspection;
pub(crate) mod size;

pub(crate) mod connection;
