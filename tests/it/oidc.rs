//! OpenID Connect with tokens of an issuer on loopback. `tests/identity/oidc` tests it with other
//! libraries and providers.

mod browsers;
mod issuer;
mod keys;
mod load;
mod pages;
mod sessions;
mod settings;
mod tokens;
