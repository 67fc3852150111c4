//! The REST API over a real service, called without a socket.

mod application;
mod channels;
mod credentials;
mod errors;
mod fixture;
mod generated;
mod grants;
mod ingress;
mod openapi;
mod page_routes;
mod pages;
