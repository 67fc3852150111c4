//! Paths of this server, as targets of redirects.

use std::fmt;

use url::form_urlencoded::byte_serialize;

/// The maximum length of a path from a request, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// A path of this server. A redirect to it cannot lead to another site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// The start page.
    pub(crate) const HOME: &'static str = "/";

    /// Returns a path that is part of the program.
    pub(crate) fn fixed(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// Returns the page of an Application for its developer.
    pub(crate) fn of_application(app: presence_protocol::AppId) -> Self {
        Self(format!("/myapps/{app}"))
    }

    /// Parses a path from a request; `None` if it could lead to another site. Browsers
    /// read `//host` and `/\host` as another origin, and skip some control characters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain =
            text.len() <= MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let is_local = text.starts_with('/') && !text.starts_with("//");
        (is_plain && is_local).then(|| Self(text.to_owned()))
    }

    /// Returns this path with a query of one field.
    pub(crate) fn with_query(&self, name: &'static str, value: &str) -> Self {
        let value: String = byte_serialize(value.as_bytes()).collect();
        Self(format!("{}?{name}={value}", self.0))
    }

    /// Returns the sign-in page, which leads to a path afterwards.
    pub(crate) fn sign_in(return_path: &str) -> Self {
        Self::fixed("/sign-in").with_query("return", return_path)
    }

    /// Returns the path as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_accepted() {
        for good in ["/", "/sidebar", "/grant/1?redirect=https://a.example/&state=x"] {
            assert_eq!(LocalPath::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "//evil.example", "/\\evil.example", "\\\\evil", "https://evil.example", "x"]
        {
            assert_eq!(LocalPath::parse(bad), None, "{bad}");
        }
        for bad in ["/\t/evil.example", "/a\r\nSet-Cookie: x", "/\u{202e}", "/a b"] {
            assert_eq!(LocalPath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_return_path_is_one_value_of_the_query() {
        let path = LocalPath::sign_in("/grant/1?a=b&c=d");
        assert_eq!(path.as_str(), "/sign-in?return=%2Fgrant%2F1%3Fa%3Db%26c%3Dd");
    }
}
