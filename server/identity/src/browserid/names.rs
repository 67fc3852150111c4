//! The syntax of hosts and e-mail addresses (rules 15 and 16).
//!
//! There is no URL parser and no case folding: a name that is not in its canonical form is
//! rejected.

/// The accepted syntax of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostSyntax {
    /// A public host: at least two labels and no port.
    Public,
    /// A host for development: a single label and a port are accepted too.
    Local,
}

/// Returns true if `text` is a host.
pub(crate) fn is_host(text: &str, hosts: HostSyntax) -> bool {
    match hosts {
        HostSyntax::Public => is_name(text) && text.contains('.'),
        HostSyntax::Local => match text.split_once(':') {
            Some((name, port)) => is_name(name) && is_port(port),
            None => is_name(text),
        },
    }
}

/// Returns true if `text` can be the host of an issuer: a public host, or `localhost` with a port
/// in development.
pub fn is_issuer_host(text: &str, development: bool) -> bool {
    let on_localhost = || {
        let port = text.strip_prefix("localhost:");
        port.is_some_and(is_port)
    };
    is_host(text, HostSyntax::Public) || (development && on_localhost())
}

/// Returns true if a host is accepted in development only: `localhost`, or with a port.
pub(crate) fn is_local(host: &str) -> bool {
    host == "localhost" || host.contains(':')
}

/// Returns true if `text` is a port: 1 to 65535 without a leading zero.
pub(crate) fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// Returns true if `text` consists of lower-case labels of letters, digits and hyphens, and cannot
/// be an IP address: a last label that begins with a letter is not a number in any notation.
pub(crate) fn is_name(text: &str) -> bool {
    let last_begins_with_letter = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.starts_with(|first: char| first.is_ascii_lowercase()));
    text.len() <= 253 && text.split('.').all(is_label) && last_begins_with_letter
}

fn is_label(text: &str) -> bool {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// Returns the host of `email`, if that is an e-mail address.
pub(crate) fn email_host(email: &str, hosts: HostSyntax) -> Option<&str> {
    if !(3..=254).contains(&email.len()) {
        return None;
    }
    let (local, host) = email.split_once('@')?;
    let fits =
        (1..=64).contains(&local.len()) && local.bytes().all(is_local_part) && is_host(host, hosts);
    fits.then_some(host)
}

fn is_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!#$%&'*+/=?^`{|}~.-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_host_has_two_plain_labels_and_cannot_be_an_address() {
        for host in ["idp.example", "a.b-c.xn--p1ai", "dev.localhost", "1.2.3.com"] {
            assert!(is_host(host, HostSyntax::Public), "{host}");
        }
        for host in [
            "",
            "localhost",
            ".",
            "a.",
            ".a",
            "a..b",
            "A.example",
            "a_b.example",
            "-a.example",
            "a-.example",
            "127.0.0.1",
            "0x7f.1",
            "127.0.0.0x1",
            "2130706433",
            "[::1]",
            "a.example:443",
            "x@a.example",
            "a.example\n",
            "ü.example",
        ] {
            assert!(!is_host(host, HostSyntax::Public), "{host:?}");
        }
        assert!(!is_host(&format!("{}.example", "a".repeat(64)), HostSyntax::Public));
        assert!(!is_host(&format!("{}example", "a.".repeat(126)), HostSyntax::Public));
    }

    /// Holds rule 16.
    #[test]
    fn development_also_has_single_labels_and_ports() {
        for host in ["localhost", "localhost:8080", "idp.example", "idp.example:1"] {
            assert!(is_host(host, HostSyntax::Local), "{host}");
        }
        for host in [
            "127.0.0.1",
            "localhost:",
            "localhost:080",
            "localhost:+80",
            "localhost:65536",
            "a:1:2",
        ] {
            assert!(!is_host(host, HostSyntax::Local), "{host}");
        }
    }

    /// Holds rule 15.
    #[test]
    fn an_email_has_one_at_sign_and_an_ascii_local_part() {
        assert_eq!(email_host("Alice.o'b+x@idp.example", HostSyntax::Public), Some("idp.example"));
        for email in [
            "",
            "@",
            "a@",
            "@idp.example",
            "a@b@idp.example",
            "a b@idp.example",
            "é@idp.example",
            "a@IDP.example",
            "a@idp.example\n",
            "a\0@idp.example",
            "a@idp",
            "a@idp.example:80",
            "\"a\"@idp.example",
        ] {
            assert_eq!(email_host(email, HostSyntax::Public), None, "{email:?}");
        }
        assert_eq!(
            email_host(&format!("{}@idp.example", "a".repeat(65)), HostSyntax::Public),
            None
        );
    }
}
