//! Channels against scripted servers on loopback that hang, refuse and disappear.

mod credentials;
mod ends;
mod hints;
mod observed;
mod refusals;
mod scripted_server;
mod stored;
mod wakes;
