//! Tests of what is about PostgreSQL only.

mod open;
