//! Where support documents come from.
//!
//! Nothing here asks the network: these sources hold what the configuration gave them, or choose among others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::support_document::SupportDocument;
use crate::identity::IdentityError;

/// Gives the support document of a host.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The document of `host`, asked for because of an e-mail at `domain` (which discovery sends along); `None` if the host has
    /// none, or none that can be understood.
    ///
    /// # Errors
    /// If it cannot be told now. This is not the same as "none": a fallback issuer must not speak for a domain only because its
    /// own host is down (threat 23).
    async fn document(&self, host: &str, domain: &str)
    -> Result<Option<SupportDocument>, NoAnswer>;
}

/// Why a source cannot tell now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The host cannot be reached.
    #[error("the host cannot be reached")]
    Unreachable,
    /// Too many are asking.
    #[error("too many are asking")]
    Busy,
}

impl From<NoAnswer> for IdentityError {
    fn from(cause: NoAnswer) -> Self {
        match cause {
            NoAnswer::Unreachable => Self::Unavailable,
            NoAnswer::Busy => Self::Busy,
        }
    }
}

/// Documents held in memory. A host that is not held has none.
#[derive(Debug, Clone, Default)]
pub struct PinnedKeys {
    documents: BTreeMap<String, SupportDocument>,
}

impl PinnedKeys {
    /// Holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds `document` for `host`. To let an issuer speak for a domain, hold [`SupportDocument::Delegated`] for that domain.
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
        host: &str,
        _domain: &str,
    ) -> Result<Option<SupportDocument>, NoAnswer> {
        Ok(self.documents.get(host).cloned())
    }
}

/// Another source, asked only about hosts on a list.
#[derive(Debug, Clone)]
pub struct AllowListed<S> {
    hosts: BTreeSet<String>,
    inner: S,
}

impl<S: KeySource> AllowListed<S> {
    /// Asks `inner` about `hosts`, and answers for all others that they have no document.
    pub fn new(hosts: impl IntoIterator<Item = String>, inner: S) -> Self {
        Self { hosts: hosts.into_iter().collect(), inner }
    }
}

#[async_trait]
impl<S: KeySource> KeySource for AllowListed<S> {
    async fn document(
        &self,
        host: &str,
        domain: &str,
    ) -> Result<Option<SupportDocument>, NoAnswer> {
        if !self.hosts.contains(host) {
            return Ok(None);
        }
        self.inner.document(host, domain).await
    }
}

/// Several sources, asked in turn until one has a document.
#[derive(Clone, Default)]
pub struct FirstOf {
    sources: Vec<Arc<dyn KeySource>>,
}

impl FirstOf {
    /// Asks `sources` in this order.
    pub fn new(sources: Vec<Arc<dyn KeySource>>) -> Self {
        Self { sources }
    }
}

#[async_trait]
impl KeySource for FirstOf {
    async fn document(
        &self,
        host: &str,
        domain: &str,
    ) -> Result<Option<SupportDocument>, NoAnswer> {
        for source in &self.sources {
            if let Some(document) = source.document(host, domain).await? {
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
    async fn an_allow_list_hides_every_other_host() {
        let held = PinnedKeys::new()
            .with("a.example", SupportDocument::Disabled)
            .with("b.example", SupportDocument::Disabled);
        let source = AllowListed::new(["a.example".to_owned()], held);
        assert!(source.document("a.example", "a.example").await.unwrap().is_some());
        assert!(source.document("b.example", "a.example").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_first_source_with_a_document_is_believed() {
        let first = PinnedKeys::new().with("a.example", SupportDocument::Disabled);
        let other = SupportDocument::Delegated { authority: "c.example".to_owned() };
        let second =
            PinnedKeys::new().with("a.example", other.clone()).with("b.example", other.clone());
        let source = FirstOf::new(vec![Arc::new(first), Arc::new(second)]);
        assert_eq!(
            source.document("a.example", "a.example").await,
            Ok(Some(SupportDocument::Disabled))
        );
        assert_eq!(source.document("b.example", "b.example").await, Ok(Some(other)));
        assert_eq!(source.document("c.example", "c.example").await, Ok(None));
    }
}
