//! The source of an issuer's key set.

use presence_core::UnixMillis;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::cached_document::{
    self, CachedIssuerDocument, DocumentError, DocumentSource, FetchedDocument,
};
use super::key_set::KeySet;
use super::metadata::MetadataSource;
use crate::fetch::GuardedClient;

/// The cached metadata of an issuer.
pub(super) type CachedMetadata = CachedIssuerDocument<MetadataSource>;

/// Fetches the key set from the configured address or from the address in the metadata.
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
impl DocumentSource for KeySetSource {
    type Document = KeySet;

    async fn fetch(&self, now: UnixMillis) -> Result<FetchedDocument<KeySet>, DocumentError> {
        if let Some(url) = &self.pinned {
            return cached_document::fetch(&self.client, url, KeySet::read).await;
        }
        let metadata = self.metadata.get(now).await;
        let metadata =
            metadata.map_err(|_| self.metadata.last_error().unwrap_or(DocumentError::Busy))?;
        cached_document::fetch(&self.client, &metadata.jwks_uri, KeySet::read).await
    }
}
