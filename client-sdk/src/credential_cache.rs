//! A cache of one user's credential, and the source that fills it.

mod cache;
mod cached_credentials;

pub use cache::{
    CachedCredential, CredentialCache, CredentialFetch, CredentialLookup, ExpiringCredential,
};
pub use cached_credentials::{CachedCredentials, CachedProvider, CredentialSource};
