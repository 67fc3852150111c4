//! OpenID Connect: tokens of an issuer on loopback. What others' libraries and providers make of it
//! is in `tests/identity/oidc`.

mod browsers;
mod crowd;
mod issuer;
mod keys;
mod pages;
mod sessions;
mod settings;
mod tokens;
