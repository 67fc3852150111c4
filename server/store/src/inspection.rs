//! The result of a check of a database.

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Is true if a running server uses the database.
    pub in_use: bool,
    /// The newest migration of its tables, `None` if the database has no tables yet.
    pub schema: Option<String>,
    /// The newest migration that this server knows.
    pub newest: String,
}
