//! Tests of the Device Presence Channel.

mod early_frames;
mod endings;
mod frames;
mod limits;
mod proof;
mod session;
