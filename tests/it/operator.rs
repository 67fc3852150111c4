//! The operator: signing in, and blocked Applications.

mod block;
pub(crate) mod operator_session;
mod sign_in;
