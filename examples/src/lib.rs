//! Code that the examples share: the settings, and replacements for an identity provider and for a
//! domain during development.

pub mod development;
pub mod settings;
