//! Forms, and the check against cross-site request forgery (CSRF) that each must pass before its
//! fields can be read.

use presence_protocol::{ApiError, Errno};
use presence_service::sessions::is_csrf_token;
use url::form_urlencoded;

/// The name of the field that carries the CSRF token of a session.
const TOKEN_FIELD: &str = "csrf_token";

/// The part of a request that decides whether it may change something.
pub(crate) enum CsrfCheck<'a> {
    /// The request is authenticated by its `Authorization` header, which no browser adds by itself.
    Bearer,
    /// The request is authenticated by a session cookie, which browsers add to every request.
    Cookie {
        /// The secret of the session, as in the cookie.
        session: &'a str,
        /// Indicates that the request comes from a page of this server.
        same_origin: bool,
        /// The CSRF token in a header.
        header: Option<&'a str>,
    },
    /// The request has no session.
    Anonymous {
        /// Indicates that the request comes from a page of this server.
        same_origin: bool,
    },
}

impl CsrfCheck<'_> {
    /// Accepts a request without a form.
    ///
    /// # Errors
    ///
    /// Returns `Forbidden` if another site could have sent the request.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        self.check_token(None)
    }

    /// Accepts a request by the token in its form, or else by the token in its header.
    fn check_token(&self, field: Option<&str>) -> Result<(), ApiError> {
        let (same_origin, has_token) = match *self {
            Self::Bearer => (true, true),
            Self::Cookie { session, same_origin, header } => {
                let given = field.or(header);
                (same_origin, given.is_some_and(|given| is_csrf_token(session, given)))
            }
            Self::Anonymous { same_origin } => (same_origin, true),
        };
        let forbidden = |cause| Err(ApiError::detailed(Errno::Forbidden, cause));
        match (same_origin, has_token) {
            (true, true) => Ok(()),
            (false, _) => forbidden("the Origin must be the one of this server"),
            (true, false) => forbidden("the CSRF token of the session is missing or wrong"),
        }
    }
}

/// A form as it was received. Its fields cannot be read: [`UnverifiedForm::verify`] is the only
/// way to them.
pub(crate) struct UnverifiedForm(Vec<(String, String)>);

impl UnverifiedForm {
    /// Parses a body of the type `application/x-www-form-urlencoded`.
    pub(crate) fn parse(body: &str) -> Self {
        Self(form_urlencoded::parse(body.as_bytes()).into_owned().collect())
    }

    /// Gives access to the fields.
    ///
    /// # Errors
    ///
    /// Returns `Forbidden` if another site could have sent the form.
    pub(crate) fn verify(self, csrf: &CsrfCheck<'_>) -> Result<VerifiedForm, ApiError> {
        let form = VerifiedForm(self.0);
        csrf.check_token(form.get(TOKEN_FIELD))?;
        Ok(form)
    }
}

/// A form that was sent by a page of this server, or by a client that is no browser.
pub(crate) struct VerifiedForm(Vec<(String, String)>);

impl VerifiedForm {
    /// Returns a field as it was sent, even if it is empty.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str())
    }

    /// Returns a field as it was sent; `None` if it is empty or missing.
    pub(crate) fn untrimmed(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// Returns a field without the white space around it; `None` if it is empty or missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Returns a field that must be present.
    ///
    /// # Errors
    ///
    /// Returns `MissingField` if the field is empty or missing.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::detailed(Errno::MissingField, name))
    }
}

#[cfg(test)]
mod tests {
    use presence_service::sessions::csrf_token;

    use super::*;

    const SESSION: &str = "prt_session";

    fn is_accepted(body: &str, csrf: &CsrfCheck<'_>) -> bool {
        UnverifiedForm::parse(body).verify(csrf).is_ok()
    }

    fn by_cookie(same_origin: bool, header: Option<&str>) -> CsrfCheck<'_> {
        CsrfCheck::Cookie { session: SESSION, same_origin, header }
    }

    #[test]
    fn a_form_by_cookie_needs_the_token_of_its_session_and_the_same_origin() {
        let token = csrf_token(SESSION);
        let body = format!("a=b&csrf_token={token}");
        assert!(is_accepted(&body, &by_cookie(true, None)));
        assert!(is_accepted("a=b", &by_cookie(true, Some(&token))));
        assert!(!is_accepted(&body, &by_cookie(false, None)));
        assert!(!is_accepted("a=b", &by_cookie(true, None)));
        assert!(!is_accepted("a=b&csrf_token=", &by_cookie(true, None)));
        let other = format!("csrf_token={}", csrf_token("prt_other"));
        assert!(!is_accepted(&other, &by_cookie(true, None)));
        assert!(!is_accepted(&other, &by_cookie(true, Some(&token))));
    }

    #[test]
    fn a_form_without_a_session_needs_the_same_origin() {
        assert!(is_accepted("a=b", &CsrfCheck::Anonymous { same_origin: true }));
        assert!(!is_accepted("a=b", &CsrfCheck::Anonymous { same_origin: false }));
        assert!(is_accepted("a=b", &CsrfCheck::Bearer));
    }

    #[test]
    fn fields_are_trimmed_and_an_empty_one_counts_as_missing() {
        let form = UnverifiedForm::parse("a=+b+&c=++").verify(&CsrfCheck::Bearer).unwrap();
        assert_eq!((form.get("a"), form.raw("a")), (Some("b"), Some(" b ")));
        assert_eq!((form.get("c"), form.get("d")), (None, None));
        assert_eq!((form.untrimmed("c"), form.untrimmed("d")), (Some("  "), None));
        assert_eq!(form.required("c").unwrap_err().errno, Errno::MissingField);
    }
}
