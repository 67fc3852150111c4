//! Where support documents come from.
//!
//! Nothing here asks the network: these sources hold what the configuration gave them, or choose
//! among others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::support_document::SupportDocument;
use crate::identity::IdentityError;

/// Whose document is asked for, and why.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The host whose document it is.
    pub host: &'a str,
    /// The domain of the e-mail for whose sake it is asked, which discovery sends along.
    pub domain: &'a str,
    /// Where the client is who presents that e-mail, as far as known.
    pub client: Option<IpAddr>,
}

/// Gives the support document of a host.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The document of the host; `None` if it has none, or none that can be understood.
    ///
    /// # Errors
    /// If it cannot be told now. This is not the same as "none": a fallback issuer must not speak
    /// for a domain only because its own host is down (threat 23).
    async fn document(&self, question: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer>;
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

    /// Holds `document` for `host`. To let an issuer speak for a domain, hold
    /// [`SupportDocument::Delegated`] for that domain.
    #[must_use]
    pub fn with(mut self, host: impl Into<String>, document: SupportDocument) -> Self {
        self.documents.insert(host.into(), document);
        self
    }
}

#[async_trait]
impl KeySource for PinnedKeys {
    async fn document(&self, question: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer> {
        Ok(self.documents.get(question.host).cloned())
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
    async fn document(&self, question: Question<'_>) -> Result<Option<SupportDocument>, NoAnswer> {
        for source in &self.sources {
            if let Some(document) = source.document(question).await? {
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
    async fn the_first_source_with_a_document_is_believed() {
        let first = PinnedKeys::new().with("a.example", SupportDocument::Disabled);
        let other = SupportDocument::Delegated { authority: "c.example".to_owned() };
        let second =
            PinnedKeys::new().with("a.example", other.clone()).with("b.example", other.clone());
        let source = FirstOf::new(vec![Arc::new(first), Arc::new(second)]);
        let asked =
            async |host| source.document(Question { host, domain: host, client: None }).await;
        assert_eq!(asked("a.example").await, Ok(Some(SupportDocument::Disabled)));
        assert_eq!(asked("b.example").await, Ok(Some(other)));
        assert_eq!(asked("c.example").await, Ok(None));
    }
}
