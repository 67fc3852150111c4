//! The REST API: one file for each subject, as in the paths.

mod account;
mod apps;
mod dev;
mod devices;
mod grant;
mod grants;
mod keys;
mod notifications;
mod ops;
mod pages;
mod presence;
mod production;
mod session;
