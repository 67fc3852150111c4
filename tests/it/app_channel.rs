//! The AppService Presence Channel, point by point.

mod auth;
mod endings;
mod limits;
mod notify;
mod query;
mod receipts;
mod resume;
mod stream;
