//! Tests of what is about PostgreSQL only.

mod checks;
mod commits;
mod copy;
mod delay;
mod epoch;
mod locks;
mod notes;
mod one_time;
mod open;
mod plans;
mod schema;
