//! Private PostgreSQL clusters for tests, and poolers of their connections, from the programs that
//! are installed.
//!
//! Each has a folder of its own, listens on a free port of 127.0.0.1, and is stopped and removed
//! when the test process ends, however it ends: a script waits for the end of a pipe. The programs
//! refuse to run as root, so those of root run as the user `postgres`.
#![expect(clippy::unwrap_used, reason = "a cluster that cannot be started fails the test")]
#![expect(clippy::panic, reason = "a cluster that cannot be started fails the test")]

mod pooler;

mod cluster;

pub use cluster::Cluster;
pub use pooler::Pooler;
