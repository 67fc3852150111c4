//! Tests of the store against real databases. Those of `sqlite` and `postgres` are about one kind
//! of database; all others run on SQLite, and on PostgreSQL if `PRESENCE_TEST_STORAGE` is
//! `postgres`.

mod acme;
mod changes;
mod credentials;
mod domains;
mod ended_devices;
mod failures;
mod fixture;
mod generations;
mod notify;
mod postgres;
mod records;
mod release;
mod settle;
mod sqlite;
mod targets;
