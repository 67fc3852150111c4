//! Tests of the store against real files.

mod backup;
mod changes;
mod domains;
mod ended_devices;
mod failures;
mod fixture;
mod generations;
mod log_size;
mod notify;
mod open;
mod records;
mod release;
mod schemas;
mod settle;
mod targets;
