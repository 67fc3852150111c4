//! Measures how the sources of the workspace are written, and finds what breaks the rules of
//! CONTRIBUTING.md: comments without a subject, wide comments, repeated type names, import circles.
//!
//! The binary prints the figures; `tests/rules.rs` holds the rules.

pub mod comments;
pub mod graph;
pub mod imports;
pub mod modules;
pub mod source;
pub mod statistics;
pub mod type_names;

use std::fmt;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the workspace.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The rule that is broken, with the text that breaks it.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}
