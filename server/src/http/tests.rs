//! The REST API over a real service, called without a socket.

mod application;
mod channels;
mod credentials;
mod described;
mod errors;
mod fixture;
mod generated;
mod grants;
mod page_routes;
mod pages;
