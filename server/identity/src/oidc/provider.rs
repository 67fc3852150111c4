//! The documents of one issuer: what it says of itself, and its keys.

use presence_core::UnixMillis;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::cached::{self, Answered, Cached, Source, Trouble};
use super::key_set::KeySet;
use super::metadata::MetadataSource;
use crate::fetch::GuardedClient;

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

    async fn ask(&self, now: UnixMillis) -> Result<Answered<KeySet>, Trouble> {
        if let Some(url) = &self.pinned {
            return cached::fetch(&self.client, url, KeySet::read).await;
        }
        let metadata = self.metadata.get(now).await;
        let metadata = metadata.map_err(|_| self.metadata.trouble().unwrap_or(Trouble::Busy))?;
        cached::fetch(&self.client, &metadata.jwks_uri, KeySet::read).await
    }
}
