//! The two sockets: what is common to both, then a conversation each.
//!
//! The modules in reading order: how a request becomes a socket ([`upgrade`]), the loop that all sockets run ([`socket_loop`]), what is
//! said on them ([`device`], [`app`], [`outgoing`]), and what they share ([`registry`], [`origins`], [`timer_wheel`]).

pub mod upgrade;

mod app;
mod device;

mod outgoing;

mod socket_loop;

pub mod origins;
pub mod registry;
mod timer_wheel;
