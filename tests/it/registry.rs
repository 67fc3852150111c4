//! Every error and every close code of the registries can be reached from outside. The matches have
//! no wildcard: a new entry needs a scenario.

mod close_codes;
mod errors;
mod scenario;
