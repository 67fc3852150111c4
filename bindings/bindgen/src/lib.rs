//! Generates the Kotlin, Swift and Python code of the bindings from the library, and lists what it
//! exports.

mod generate;
mod surface;

pub use generate::{Language, generate};
pub use surface::surface;

/// Any error of this crate. It has a text for people.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
