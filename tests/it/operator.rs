//! The operator: signing in, and blocked Applications.

mod block;
pub(crate) mod desk;
mod entrance;
