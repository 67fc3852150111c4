//! Channels against scripted servers on loopback that hang, refuse and disappear.

mod ends;
mod hints;
mod refusals;
mod scripted_server;
mod wakes;
