//! Whole-system tests against the real server binary. The name of each test states what the server
//! promises to its clients.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics if it cannot continue"
)]

mod acme;
mod app_channel;
mod bad_input;
mod browserid;
mod clients_of_2013;
mod device_channel;
mod durability;
mod examples;
mod imports;
#[cfg(target_os = "linux")]
mod leftovers;
mod model_based;
mod nodes;
mod notifications;
mod oidc;
mod operation;
mod operator;
mod presence_rules;
mod readme;
mod registry;
mod rest;
mod scenario_server;
mod sdk;
mod sdk_api;
mod surface;
