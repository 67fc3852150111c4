//! The parts that both channels share: one task that connects, exchanges frames and reconnects.
//!
//! A [`ProtocolState`] parses and creates the frames, without input or output. [`reconnect_loop`]
//! opens sockets, [`socket_loop`] owns one socket, and [`shared_state`] holds the state that the
//! task and the handles of the application share.

mod backoff;
mod channel_task;
mod connection_meters;
mod disconnect;
mod protocol_state;
mod recent_states;
mod reconnect_loop;
mod restart_limit;
mod shared_state;
mod socket;
mod socket_loop;
mod state_watch;
mod unreadable;

pub(crate) use backoff::{Backoff, Jitter};
pub(crate) use channel_task::ChannelTask;
pub(crate) use disconnect::{Disconnect, NextStep};
pub(crate) use protocol_state::{ProtocolState, Pulled};
pub(crate) use recent_states::RecentStates;
pub(crate) use reconnect_loop::{Endpoint, run, runtime};
pub(crate) use shared_state::{ChannelHandle, SharedState};
pub use state_watch::StateWatch;
pub(crate) use unreadable::UnreadableFrames;
