//! The client SDK against the real server.

mod app_service;
mod app_service_faults;
mod device;
mod device_faults;
mod parts;
mod patience;
mod secure;
mod strangers;
mod weather;
