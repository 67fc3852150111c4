//! Tests of what is about SQLite only.

mod backup;
mod failures;
mod log_size;
mod open;
mod schemas;
