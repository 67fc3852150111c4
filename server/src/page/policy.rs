//! What a page may load and do, told to the browser.

/// A Content-Security-Policy: nothing inline, nothing from elsewhere, in nobody's frame.
#[derive(Debug, Clone)]
pub(crate) struct Policy(String);

impl Policy {
    /// Of a page whose forms stay on this server.
    pub(crate) fn new() -> Self {
        Self::with_form_targets("'self'")
    }

    /// Of a page with a form whose answer sends the browser on to another origin. Browsers hold the redirect against the policy.
    pub(crate) fn sending_to(origin: &str) -> Self {
        Self::with_form_targets(&format!("'self' {origin}"))
    }

    /// Of the page that shows the REST API: its viewer sets styles of its own, and shows pictures that it carries.
    pub(crate) fn of_viewer() -> Self {
        let policy = Self::new().0.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");
        Self(policy.replace("img-src 'self'", "img-src 'self' data:"))
    }

    /// As the header says it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn with_form_targets(targets: &str) -> Self {
        Self(format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
        ))
    }
}
