//! The Device Presence Channel, point by point.

mod endings;
mod frames;
mod limits;
mod proof;
mod session;
