//! Cookies of this server. The attributes of a cookie belong to its type, so that none can be set
//! without them.

use poem::Request;
use poem::http::{HeaderValue, header};

/// A cookie, known by its name.
pub(crate) struct Cookie {
    /// The name without TLS.
    plain: &'static str,
    /// The name over TLS, which makes browsers keep the cookie to this host.
    secure: &'static str,
    /// The value of the attribute `SameSite`.
    same_site: &'static str,
}

impl Cookie {
    /// The token of a user's session. It is sent when the user follows a link to this server.
    pub(crate) const SESSION: Self =
        Self { plain: "presence", secure: "__Host-presence", same_site: "Lax" };
    /// The secret of a sign-in in progress. It is `Lax` because the provider's redirect, which
    /// comes from another site, must carry it.
    pub(crate) const SIGN_IN: Self =
        Self { plain: "presence-sign-in", secure: "__Host-presence-sign-in", same_site: "Lax" };
    /// The token of an operator's session. It is sent by pages of this server only.
    pub(crate) const OPERATOR: Self = Self {
        plain: "presence-operator",
        secure: "__Host-presence-operator",
        same_site: "Strict",
    };
    /// The name of the notice that the next page shows. It is no secret.
    pub(crate) const NOTICE: Self =
        Self { plain: "presence-notice", secure: "presence-notice", same_site: "Lax" };

    /// Returns the value that a request carries. `is_secure` is true if browsers use TLS.
    pub(crate) fn read(&self, request: &Request, is_secure: bool) -> Option<String> {
        let values = request.headers().get_all(header::COOKIE).iter();
        let pairs = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.name(is_secure))
            .map(|(_, value)| value.to_owned())
    }

    /// Returns the header that sets the cookie for a number of seconds.
    pub(crate) fn set(&self, is_secure: bool, value: &str, seconds: u64) -> SetCookie {
        let (name, same_site) = (self.name(is_secure), self.same_site);
        let is_host_only = name.starts_with("__Host-");
        let secure = if is_host_only { "; Secure" } else { "" };
        SetCookie(format!(
            "{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}"
        ))
    }

    /// Returns the header that removes the cookie.
    pub(crate) fn remove(&self, is_secure: bool) -> SetCookie {
        self.set(is_secure, "", 0)
    }

    fn name(&self, is_secure: bool) -> &'static str {
        if is_secure { self.secure } else { self.plain }
    }
}

/// A `Set-Cookie` header. Only [`Cookie`] makes one.
pub(crate) struct SetCookie(String);

impl SetCookie {
    /// Returns the text of the header.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the header; `None` if the value holds what no header may hold.
    pub(crate) fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cookie_is_set_with_its_attributes() {
        let set = |cookie: Cookie, is_secure| cookie.set(is_secure, "x", 7).0;
        let plain = "presence=x; Path=/; Max-Age=7; HttpOnly; SameSite=Lax";
        assert_eq!(set(Cookie::SESSION, false), plain);
        let operator =
            "__Host-presence-operator=x; Path=/; Max-Age=7; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(set(Cookie::OPERATOR, true), operator);
        assert!(set(Cookie::SIGN_IN, true).ends_with("SameSite=Lax; Secure"));
        assert!(
            Cookie::SESSION.remove(true).as_str().contains("__Host-presence=; Path=/; Max-Age=0")
        );
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        let request = Request::builder().header("cookie", "a=b; presence-x=1").finish();
        assert_eq!(Cookie::SESSION.read(&request, false), None);
        let request = Request::builder().header("cookie", "a=b;presence=1; c=d").finish();
        assert_eq!(Cookie::SESSION.read(&request, false).as_deref(), Some("1"));
        assert_eq!(Cookie::SESSION.read(&request, true), None);
    }
}
