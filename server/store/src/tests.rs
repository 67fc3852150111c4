//! Tests of the store against real files.

mod backup;
mod changes;
mod domains;
mod failures;
mod fixture;
mod generations;
mod notify;
mod open;
mod records;
mod release;
mod schemas;
mod settle;
mod targets;
