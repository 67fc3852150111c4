//! The documents of one issuer: what it says of itself, and its keys.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::cached::{self, Answered, Cached, Source};
use super::key_set::KeySet;
use super::metadata::{Metadata, MetadataSource};
use crate::fetch::GuardedClient;
use crate::identity::{IdentityError, Millis};

/// What an issuer says of itself, remembered.
pub(super) type CachedMetadata = Cached<MetadataSource>;

/// Asks the issuer for its keys: where the operator says, or where the issuer says itself.
pub(super) struct KeySetSource {
    client: GuardedClient,
    pinned: Option<Url>,
    metadata: Arc<CachedMetadata>,
}

impl KeySetSource {
    pub(super) fn new(
        client: GuardedClient,
        pinned: Option<Url>,
        metadata: Arc<CachedMetadata>,
    ) -> Self {
        Self { client, pinned, metadata }
    }
}

#[async_trait]
impl Source for KeySetSource {
    type Document = KeySet;

    async fn ask(&self, now: Millis) -> Result<Answered<KeySet>, IdentityError> {
        let url = match &self.pinned {
            Some(url) => url.clone(),
            None => {
                let metadata: Arc<Metadata> = self.metadata.get(now).await?;
                metadata.jwks_uri.clone()
            }
        };
        cached::fetch(&self.client, &url, KeySet::read).await
    }
}
