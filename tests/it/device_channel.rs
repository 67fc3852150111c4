//! The Device Presence Channel, point by point.

mod early;
mod endings;
mod frames;
mod limits;
mod proof;
mod session;
