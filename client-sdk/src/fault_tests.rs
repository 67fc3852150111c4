//! Channels against scripted servers and proxies on loopback that hang, refuse and disappear.

mod credentials;
mod ends;
mod environment;
mod hints;
mod observed;
mod proxies;
mod recording_server;
mod refusals;
mod requests;
mod scripted_proxy;
mod scripted_server;
mod stored;
mod tls_failures;
mod wakes;
