//! The syntax of hosts and e-mail addresses (rules 15 and 16).
//!
//! Deliberately no URL parser and no folding: a name that is not already in its one form is
//! refused.

/// How strict to be about hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// At least two labels, no port: what the public has.
    Public,
    /// A single label and a port are fine too: for development.
    Local,
}

/// Whether `text` is a host.
pub(crate) fn is_host(text: &str, hosts: Hosts) -> bool {
    match hosts {
        Hosts::Public => is_name(text) && text.contains('.'),
        Hosts::Local => match text.split_once(':') {
            Some((name, port)) => is_name(name) && is_port(port),
            None => is_name(text),
        },
    }
}

/// Whether `text` can be named as an issuer: a public host, or in development a port of this
/// machine.
pub fn is_issuer_host(text: &str, development: bool) -> bool {
    let on_this_machine = || {
        let port = text.strip_prefix("localhost:");
        port.is_some_and(is_port)
    };
    is_host(text, Hosts::Public) || (development && on_this_machine())
}

/// Whether a host is one that only development has: of this machine, or with a port.
pub(crate) fn is_local(host: &str) -> bool {
    host == "localhost" || host.contains(':')
}

/// Whether `text` is a port as one writes it: 1 to 65535, no leading zero.
pub(crate) fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// Whether `text` is made of lower-case LDH labels and cannot be read as an address: no parser
/// takes a last label that begins with a letter for a number, in whatever notation.
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

/// The host of `email`, if that is an address.
pub(crate) fn email_host(email: &str, hosts: Hosts) -> Option<&str> {
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
            assert!(is_host(host, Hosts::Public), "{host}");
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
            assert!(!is_host(host, Hosts::Public), "{host:?}");
        }
        assert!(!is_host(&format!("{}.example", "a".repeat(64)), Hosts::Public));
        assert!(!is_host(&format!("{}example", "a.".repeat(126)), Hosts::Public));
    }

    #[test]
    fn development_also_has_single_labels_and_ports() {
        for host in ["localhost", "localhost:8080", "idp.example", "idp.example:1"] {
            assert!(is_host(host, Hosts::Local), "{host}");
        }
        for host in [
            "127.0.0.1",
            "localhost:",
            "localhost:080",
            "localhost:+80",
            "localhost:65536",
            "a:1:2",
        ] {
            assert!(!is_host(host, Hosts::Local), "{host}");
        }
    }

    #[test]
    fn an_email_has_one_at_sign_and_an_ascii_local_part() {
        assert_eq!(email_host("Alice.o'b+x@idp.example", Hosts::Public), Some("idp.example"));
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
            assert_eq!(email_host(email, Hosts::Public), None, "{email:?}");
        }
        assert_eq!(email_host(&format!("{}@idp.example", "a".repeat(65)), Hosts::Public), None);
    }
}
