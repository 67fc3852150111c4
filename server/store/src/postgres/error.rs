//! The errors of PostgreSQL that are handled differently.

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, sqlx};

use crate::error::{ErrorKind, sqlx_error};

/// Returns the kind of an error, `None` if it is not one of PostgreSQL or of the connection to it.
pub(crate) fn kind(error: &DbErr) -> Option<ErrorKind> {
    let error = sqlx_error(error)?;
    if let sqlx::Error::Database(error) = error {
        let error = error.try_downcast_ref::<PgDatabaseError>()?;
        // PgBouncer says so with the state of a violated protocol.
        let is_pooled = error.message().starts_with("unsupported startup parameter");
        return Some(if is_pooled { ErrorKind::Pooled } else { kind_of_state(error.code()) });
    }
    if is_of_tls(error) {
        return Some(ErrorKind::Tls);
    }
    let is_lost =
        matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed);
    is_lost.then_some(ErrorKind::Lost)
}

/// Returns true for an error of TLS. The driver passes those of a handshake, such as a certificate
/// of another authority, as invalid data.
fn is_of_tls(error: &sqlx::Error) -> bool {
    let is_invalid = |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData;
    matches!(error, sqlx::Error::Tls(_))
        || matches!(error, sqlx::Error::Io(error) if is_invalid(error))
}

/// Returns the kind of a SQLSTATE, see appendix A of PostgreSQL's documentation.
fn kind_of_state(state: &str) -> ErrorKind {
    match state {
        // Conflicts with other transactions, a lock that was not free in time, and "cached plan
        // must not change result type": the tables were migrated.
        "40001" | "40P01" | "55P03" | "0A000" => ErrorKind::Conflict,
        "57014" => ErrorKind::TimedOut,
        "25006" => ErrorKind::ReadOnly,
        "53100" => ErrorKind::Full,
        "28000" | "28P01" => ErrorKind::NotAuthenticated,
        "3D000" => ErrorKind::NoDatabase,
        "42501" => ErrorKind::NoRights,
        "53300" => ErrorKind::TooManyConnections,
        // The server stops or starts, or the transaction was ended by a timeout.
        "57P01" | "57P02" | "57P03" | "25P03" => ErrorKind::Lost,
        _ if state.starts_with("08") => ErrorKind::Lost,
        _ => ErrorKind::Other,
    }
}

/// Returns the SQLSTATE of an error, `None` if it is not one of PostgreSQL.
pub(crate) fn state(error: &DbErr) -> Option<String> {
    let sqlx::Error::Database(error) = sqlx_error(error)? else { return None };
    Some(error.try_downcast_ref::<PgDatabaseError>()?.code().to_owned())
}
