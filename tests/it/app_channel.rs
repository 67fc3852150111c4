//! Tests of the AppService Presence Channel.

mod auth;
mod closing;
mod limits;
mod notify;
mod query;
mod receipts;
mod resume;
mod stream;
