//! What the store promises, against real files.

mod backup;
mod changes;
mod failures;
mod generations;
mod house;
mod notify;
mod open;
mod records;
mod schemas;
mod settle;
mod targets;
