//! The sources of support documents.
//!
//! The sources in this file do not use the network: they contain pinned documents, or choose among
//! other sources.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::support_document::SupportDocument;
use crate::identity::IdentityError;

/// A query for the support document of a host.
#[derive(Debug, Clone, Copy)]
pub struct DocumentQuery<'a> {
    /// The host of the document.
    pub host: &'a str,
    /// The domain of the e-mail that is verified, which discovery sends with the request.
    pub domain: &'a str,
    /// The address of the client that presents the e-mail, if known.
    pub client: Option<IpAddr>,
}

/// A source of support documents.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Returns the document of the host, or `None` if it has none that can be parsed.
    ///
    /// # Errors
    /// [`LookupError`] if this is unknown now. That is not the same as `None`: the fallback issuer
    /// must not certify for a domain only because its own host is down (see threat 5 in
    /// SECURITY.md).
    async fn document(
        &self,
        query: DocumentQuery<'_>,
    ) -> Result<Option<SupportDocument>, LookupError>;
}

/// The error of a source that has no result now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The host cannot be reached.
    #[error("the host cannot be reached")]
    Unreachable,
    /// Too many lookups are waiting.
    #[error("too many lookups are waiting")]
    Busy,
}

impl From<LookupError> for IdentityError {
    fn from(cause: LookupError) -> Self {
        match cause {
            LookupError::Unreachable => Self::Unavailable,
            LookupError::Busy => Self::Busy,
        }
    }
}

/// A source of documents in memory. All other hosts have none.
#[derive(Debug, Clone, Default)]
pub struct PinnedKeys {
    documents: BTreeMap<String, SupportDocument>,
}

impl PinnedKeys {
    /// Creates a source without documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `document` for `host`. To let an issuer certify for a domain, add
    /// [`SupportDocument::Delegated`] for that domain.
    #[must_use]
    pub fn with(mut self, host: impl Into<String>, document: SupportDocument) -> Self {
        self.documents.insert(host.into(), document);
        self
    }
}

#[async_trait]
impl KeySource for PinnedKeys {
    async fn document(
        &self,
        query: DocumentQuery<'_>,
    ) -> Result<Option<SupportDocument>, LookupError> {
        Ok(self.documents.get(query.host).cloned())
    }
}

/// Several sources in order: the first one that has a document gives the result.
#[derive(Clone, Default)]
pub struct KeySourceChain {
    sources: Vec<Arc<dyn KeySource>>,
}

impl KeySourceChain {
    /// Creates a chain of `sources` in this order.
    pub fn new(sources: Vec<Arc<dyn KeySource>>) -> Self {
        Self { sources }
    }
}

#[async_trait]
impl KeySource for KeySourceChain {
    async fn document(
        &self,
        query: DocumentQuery<'_>,
    ) -> Result<Option<SupportDocument>, LookupError> {
        for source in &self.sources {
            if let Some(document) = source.document(query).await? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_source_with_a_document_gives_the_result() {
        let first = PinnedKeys::new().with("a.example", SupportDocument::Disabled);
        let other = SupportDocument::Delegated { authority: "c.example".to_owned() };
        let second =
            PinnedKeys::new().with("a.example", other.clone()).with("b.example", other.clone());
        let source = KeySourceChain::new(vec![Arc::new(first), Arc::new(second)]);
        let lookup =
            async |host| source.document(DocumentQuery { host, domain: host, client: None }).await;
        assert_eq!(lookup("a.example").await, Ok(Some(SupportDocument::Disabled)));
        assert_eq!(lookup("b.example").await, Ok(Some(other)));
        assert_eq!(lookup("c.example").await, Ok(None));
    }
}
