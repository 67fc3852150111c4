//! OpenID Connect with tokens of an issuer on loopback. `tests/identity/oidc` tests it with other
//! libraries and providers.

mod browsers;
mod crowd;
mod issuer;
mod keys;
mod pages;
mod sessions;
mod settings;
mod tokens;
