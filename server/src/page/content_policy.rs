//! The Content-Security-Policy of pages: what a page may load and do.

/// A Content-Security-Policy. It allows nothing inline, nothing from other origins, and no frames.
#[derive(Debug, Clone)]
pub(crate) struct ContentPolicy(String);

impl ContentPolicy {
    /// Returns the policy of a page whose forms stay on this server.
    pub(crate) fn page() -> Self {
        Self::with_form_targets("'self'")
    }

    /// Returns the policy of a page with a form that redirects to another origin. Browsers check
    /// the target of the redirect too.
    pub(crate) fn redirecting_to(origin: &str) -> Self {
        Self::with_form_targets(&format!("'self' {origin}"))
    }

    /// Returns the policy of a response that is no page.
    pub(crate) fn nothing() -> Self {
        Self("default-src 'none'; frame-ancestors 'none'".to_owned())
    }

    /// Returns the text of the header.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn with_form_targets(targets: &str) -> Self {
        Self(format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
        ))
    }
}
