//! Writes the halves of the bindings that are made from the library, and the list of all that they export.

mod generate;
mod surface;

pub use generate::{Flavour, generate};
pub use surface::surface;

/// What went wrong, for people.
pub type Wrong = Box<dyn std::error::Error + Send + Sync>;
