//! Tests of the AppService Presence Channel.

mod auth;
mod endings;
mod limits;
mod notify;
mod query;
mod receipts;
mod resume;
mod stream;
