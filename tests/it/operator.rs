//! The operator: who is let in, and what a blocked Application can still do.

mod block;
pub(crate) mod desk;
mod entrance;
