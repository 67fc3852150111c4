//! The client SDK against the real server.

mod app_service;
mod app_service_faults;
mod device;
mod device_faults;
mod fault_injection;
mod fixtures;
mod newer_server;
mod other_servers;
mod proxies_of_others;
mod retry_rate;
mod secure;
