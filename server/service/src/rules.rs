//! Rules for texts that others display or follow: names, domains, redirects, and the actions of
//! notifications.

use presence_protocol::text::{TEXT_RULE, displays_as_written};
use presence_protocol::{ApiError, Errno, Puid};
use url::{Host, Url, form_urlencoded};

/// The maximum length of a host name, in characters.
const MAX_HOST_CHARS: usize = 253;
/// The query field of a redirect that holds the PUID.
const UID_FIELD: &str = "Presence-UID";
/// The schemes that no action can have.
const UNSAFE_SCHEMES: [&str; 6] = ["javascript", "data", "file", "vbscript", "blob", "about"];

/// Checks an Application's domain: a lower-case host name of at least two labels and at most
/// `chars` characters. Development mode also allows a loopback host with or without a port.
///
/// # Errors
///
/// `invalid_field`.
pub fn check_domain(text: &str, chars: usize, development: bool) -> Result<(), ApiError> {
    if text.len() > chars {
        let expected = format_args!("domain must be a host name of at most {chars} characters");
        return Err(ApiError::detailed(Errno::InvalidField, expected));
    }
    if is_host_name(text) || (development && is_loopback(text)) {
        return Ok(());
    }
    let expected = if development {
        "domain must be a lower-case host name such as app.example.org, or localhost or 127.0.0.1 \
         with or without a port, and without scheme or path"
    } else {
        "domain must be a lower-case host name such as app.example.org, without scheme, port or path"
    };
    Err(ApiError::detailed(Errno::InvalidField, expected))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = text.split('.').collect();
    // A name whose last label begins with a letter is no IP address in any notation.
    let last_begins_with_letter =
        labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
    text.len() <= MAX_HOST_CHARS
        && labels.len() >= 2
        && labels.into_iter().all(is_label)
        && last_begins_with_letter
}

/// Returns true if a domain is a loopback host, which only development mode allows.
pub fn is_loopback(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').unwrap_or((domain, "80"));
    let is_decimal = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    matches!(host, "localhost" | "127.0.0.1") && is_decimal && port.parse::<u16>().is_ok()
}

/// Checks a text that others see: at most `chars` characters that follow the rule of texts, and
/// not empty unless allowed.
///
/// # Errors
///
/// `invalid_field`.
pub fn check_display_text(
    field: &str,
    text: &str,
    chars: usize,
    may_be_empty: bool,
) -> Result<(), ApiError> {
    let too_long = text.chars().nth(chars).is_some();
    let is_empty = text.trim().is_empty() && !may_be_empty;
    if too_long || is_empty || !displays_as_written(text) {
        let expected =
            format!("{field} must be a string of at most {chars} characters, {TEXT_RULE}");
        return Err(ApiError::detailed(Errno::InvalidField, expected));
    }
    Ok(())
}

/// Checks the action of a notification: empty, an `https` URL, an `http` URL on loopback in
/// development mode, or an app link with an allowed scheme.
///
/// # Errors
///
/// `invalid_field`.
pub fn check_action(text: &str, development: bool, schemes: &[String]) -> Result<(), ApiError> {
    if text.is_empty() || is_action(text, development, schemes) {
        return Ok(());
    }
    Err(ApiError::detailed(Errno::InvalidField, "action must be empty or an https URL"))
}

fn is_action(text: &str, development: bool, schemes: &[String]) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    if text.contains(char::is_whitespace) || !displays_as_written(text) || has_user_info(&url) {
        return false;
    }
    match url.scheme() {
        "https" => url.has_host(),
        "http" => development && is_on_loopback(&url),
        scheme if UNSAFE_SCHEMES.contains(&scheme) => false,
        scheme => schemes.iter().any(|allowed| allowed == scheme),
    }
}

/// Returns the reason why no action can have a scheme of the settings, if there is one.
pub fn action_scheme_problem(scheme: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins_with_letter = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins_with_letter || !scheme.chars().all(is_allowed) {
        return Some("is not a scheme in lower case without ://, such as myapp");
    }
    let is_unsafe = scheme == "http" || UNSAFE_SCHEMES.contains(&scheme);
    is_unsafe.then_some("is never allowed, since it is not safe to open")
}

/// The fields that the server itself adds to a redirect.
const REDIRECT_FIELDS: [&str; 3] = [UID_FIELD, STATE_FIELD, ERROR_FIELD];
const STATE_FIELD: &str = "state";
const ERROR_FIELD: &str = "error";
/// The value of the field `error` if the user has declined.
const ACCESS_DENIED: &str = "access_denied";

/// Returns the URL to which a user returns after the decision about a grant: on exactly the
/// Application's domain, with the PUID of the grant or the error of a user who declined, and with
/// the unchanged state. None of these may be in the target before.
///
/// # Errors
///
/// `redirect_not_allowed`.
pub fn redirect_url(
    target: &str,
    domain: &str,
    development: bool,
    uid: Option<Puid>,
    state: Option<&str>,
) -> Result<Url, ApiError> {
    let mut url = application_url(target, domain, development)?;
    if holds_redirect_field(&url) {
        let text = "The redirect must not hold Presence-UID, state or error";
        return Err(ApiError { text: text.into(), ..Errno::RedirectNotAllowed.into() });
    }
    match uid {
        Some(uid) => url.query_pairs_mut().append_pair(UID_FIELD, &uid.to_string()),
        None => url.query_pairs_mut().append_pair(ERROR_FIELD, ACCESS_DENIED),
    };
    if let Some(state) = state {
        url.query_pairs_mut().append_pair(STATE_FIELD, state);
    }
    Ok(url)
}

/// Parses the URL of a page on exactly the Application's domain.
///
/// # Errors
///
/// `redirect_not_allowed`.
pub fn application_url(target: &str, domain: &str, development: bool) -> Result<Url, ApiError> {
    let not_allowed = || ApiError::from(Errno::RedirectNotAllowed);
    let url = Url::parse(target).map_err(|_| not_allowed())?;
    let is_secure = match url.scheme() {
        "https" => true,
        "http" => development && is_on_loopback(&url),
        _ => false,
    };
    let is_clean = !has_user_info(&url)
        && url.fragment().is_none()
        && !target.contains(['\\', '\t', '\n', '\r']);
    if !is_secure || !is_clean || authority(&url).as_deref() != Some(domain) {
        return Err(not_allowed());
    }
    Ok(url)
}

/// Returns true if a query holds a field of the server, in any spelling that an Application may
/// take for it: in any case, after a semicolon, or as an element of a list.
fn holds_redirect_field(url: &Url) -> bool {
    let query = url.query().unwrap_or_default().replace(';', "&");
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| {
        let name = name.split('[').next().unwrap_or_default().trim();
        REDIRECT_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
    })
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_on_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_host_name_and_nothing_else() {
        for good in ["app.example.org", "xn--bcher-kva.example", "a.b"] {
            assert!(check_domain(good, MAX_HOST_CHARS, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "App.example",
            "a..b",
            "-a.b",
            "a.b-",
            "127.0.0.1",
            "0x7f.1",
            "127.0x1",
            "[::1]",
            "a.b:80",
            "a.b/c",
            "u@a.b",
            "a b.c",
            "example.com.",
            "bücher.example",
        ] {
            assert!(check_domain(bad, MAX_HOST_CHARS, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_not_longer_than_its_limit() {
        let longest = format!("{}.example", "a".repeat(10));
        assert!(check_domain(&longest, longest.len(), false).is_ok());
        let error = check_domain(&longest, longest.len() - 1, false).unwrap_err();
        assert!(error.to_json(None).contains("at most 17 characters"), "{}", error.to_json(None));
    }

    #[test]
    fn a_text_that_others_see_is_one_line_of_visible_characters() {
        let check = |text: &str| check_display_text("name", text, 9, false);
        assert!(check("Chess ♟").is_ok() && check_display_text("name", "", 9, true).is_ok());
        for bad in ["", "  ", "ten letters", "a\nb", "Ba\u{200b}nk", "\u{3164}", "\u{2067}a"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn development_mode_allows_loopback_domains_with_ports() {
        for good in ["localhost", "localhost:3000", "127.0.0.1:8000"] {
            assert!(check_domain(good, MAX_HOST_CHARS, true).is_ok(), "{good}");
        }
        for bad in [
            "localhost:0",
            "localhost:99999",
            "127.0.0.2",
            "localhost:80:80",
            "localhost:",
            "localhost:+80",
            "localhost:080",
            "http://localhost:80",
        ] {
            let error = check_domain(bad, MAX_HOST_CHARS, true).unwrap_err().to_json(None);
            assert!(error.contains("127.0.0.1 with or without a port"), "{bad}: {error}");
        }
    }

    #[test]
    fn only_actions_that_are_safe_to_open_are_accepted() {
        let schemes = ["myapp".to_owned(), "javascript".to_owned()];
        for good in ["", "https://a.example/x?y#z", "myapp://chat/7"] {
            assert!(check_action(good, false, &schemes).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "http://a.example",
            "intent:x",
            "//a.example",
            "x",
            "https://u:p@a.example",
            " https://a.example",
            "https://a.example/\u{202e}",
            "java\nscript:alert(1)",
            "HTTPS://",
            "http://localhost:1",
        ] {
            assert!(check_action(bad, false, &schemes).is_err(), "{bad}");
        }
        assert!(check_action("http://localhost:3000/x", true, &[]).is_ok());
        assert!(check_action("http://a.example", true, &[]).is_err());
    }

    #[test]
    fn a_scheme_that_no_action_can_have_is_named() {
        for good in ["myapp", "com.example.app", "web+chat", "https"] {
            assert_eq!(action_scheme_problem(good), None, "{good}");
        }
        for bad in ["", "MyApp", "myapp://", "myapp:", "my app", "1app", "http", "javascript"] {
            assert!(action_scheme_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_redirect_is_on_exactly_the_verified_domain() {
        let to = |target: &str| redirect_url(target, "app.example", false, None, None);
        assert!(to("https://app.example/back?x=1").is_ok());
        assert!(to("https://app.example:443/").is_ok());
        for bad in [
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://evil.example/app.example",
            "https://u@app.example/",
            "https://app.example/#f",
            "https://app.example:8443/",
            "//app.example/",
            "https:\\\\app.example",
            "https://app.example\\@evil.example/",
            "https://sub.app.example/",
            "javascript:x",
            "",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_puid_and_the_state_are_percent_encoded() {
        let uid = Puid::from_bits(1);
        let url =
            redirect_url("https://a.b/c?d=e", "a.b", false, Some(uid), Some("x&y=z")).unwrap();
        assert_eq!(url.as_str(), format!("https://a.b/c?d=e&Presence-UID={uid}&state=x%26y%3Dz"));
    }

    #[test]
    fn a_user_who_declines_returns_with_an_error() {
        let url = redirect_url("http://localhost:3000/", "localhost:3000", true, None, Some("s"))
            .unwrap();
        assert_eq!(url.as_str(), "http://localhost:3000/?error=access_denied&state=s");
    }

    #[test]
    fn a_redirect_with_a_field_of_the_server_is_refused() {
        let to = |query: &str| {
            redirect_url(&format!("https://a.b/c?{query}"), "a.b", false, None, Some("s"))
        };
        for good in ["", "d=e", "d=state", "my-state=1", "d=Presence-UID", "errors=0"] {
            assert!(to(good).is_ok(), "{good}");
        }
        for bad in [
            "Presence-UID=0",
            "d=e&presence-uid=0",
            "%50resence-UID=0",
            "state=forged",
            "state",
            "d=e;state=forged",
            "STATE=x",
            "state[]=x",
            "+state=x",
            "error=access_denied",
        ] {
            assert_eq!(to(bad).unwrap_err().errno, Errno::RedirectNotAllowed, "{bad}");
        }
    }
}
