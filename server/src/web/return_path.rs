//! Where a visitor goes after signing in: a path of this server, and nothing else.

use url::form_urlencoded::byte_serialize;

/// The most bytes of such a path.
const LONGEST: usize = 8 * 1024;

/// The page that signs somebody in and then goes to a path.
pub(super) fn sign_in(back: &str) -> String {
    let back: String = byte_serialize(back.as_bytes()).collect();
    format!("/sign-in?return={back}")
}

/// A path of this server, or none: browsers read `//host` and `/\host` as another origin, and skip some control characters.
pub(super) fn parse(text: &str) -> Option<&str> {
    let plain = text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = text.starts_with('/') && !text.starts_with("//");
    (plain && local).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_returned_to() {
        for good in ["/", "/sidebar", "/grant/1?redirect=https://a.example/&state=x"] {
            assert_eq!(parse(good), Some(good));
        }
        for bad in
            ["", "//evil.example", "/\\evil.example", "\\\\evil", "https://evil.example", "x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for bad in ["/\t/evil.example", "/a\r\nSet-Cookie: x", "/\u{202e}", "/a b"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_path_is_one_value_of_the_query() {
        assert_eq!(sign_in("/grant/1?a=b&c=d"), "/sign-in?return=%2Fgrant%2F1%3Fa%3Db%26c%3Dd");
    }
}
