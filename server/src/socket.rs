//! The two sockets: the parts that both share, and a protocol for each.
//!
//! The modules in reading order: the upgrade of a request ([`upgrade`]), the loop that owns a
//! socket ([`socket_loop`]) with its progress ([`progress`]) and its errors ([`read_error`]), over
//! counted bytes ([`counted_stream`]), the contract of the protocols ([`protocol_state`]), the
//! protocols ([`device`], [`app_service`]), and the parts that all sockets share ([`registry`],
//! [`origins`], [`timer_wheel`], [`outgoing`], [`log`]).

pub mod upgrade;

mod socket_loop;

mod progress;

mod counted_stream;
mod read_error;

mod app_service;
mod device;

mod protocol_state;

mod log;
pub mod origins;
mod outgoing;
pub mod registry;
mod timer_wheel;
