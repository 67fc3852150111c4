//! What the examples share: where the server is, and what takes the place of an identity provider and of a developer's own
//! domain during development.

pub mod development;
pub mod settings;
