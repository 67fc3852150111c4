//! Scenarios that cause every error and every close code of the registries. The matches have no
//! wildcard, so that a new entry needs a scenario.

mod close_codes;
mod errors;
mod scenario;
