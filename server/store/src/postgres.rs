//! PostgreSQL.

pub(crate) mod inspection;

pub(crate) mod connection;
pub(crate) mod lock;

pub(crate) mod error;
