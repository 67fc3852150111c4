//! Channels against scripted servers and proxies on loopback that hang, refuse and disappear.

mod ends;
mod environment;
mod hints;
mod proxies;
mod recording_server;
mod refusals;
mod requests;
mod scripted_proxy;
mod scripted_server;
mod tls_failures;
mod wakes;
