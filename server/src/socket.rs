//! The two sockets: what is common to both, then a conversation each.
//!
//! The modules in reading order: how a request becomes a socket ([`upgrade`]), the loop that all sockets run ([`driver`]), what is
//! said on them ([`device`], [`app`], [`outbox`]), and what they share ([`shared`], [`origins`], [`wheel`]).

pub mod upgrade;

mod app;
mod device;

mod outbox;

mod driver;

pub mod origins;
pub mod shared;
mod wheel;
