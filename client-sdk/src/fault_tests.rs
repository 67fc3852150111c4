//! Channels against scripted servers on loopback that hang, refuse and disappear.

mod ends;
mod hints;
mod scripted_server;
mod wakes;
