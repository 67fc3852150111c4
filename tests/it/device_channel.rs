//! Tests of the Device Presence Channel.

mod closing;
mod early_frames;
mod frames;
mod limits;
mod proof;
mod session;
