//! Which values cannot be, and what is said of them: one line that names the setting.

use std::net::{IpAddr, SocketAddr};

use figment::error::{Actual, Kind};
use figment::{Metadata, Source};
use ipnet::IpNet;

use super::{ENVIRONMENT, Settings, SettingsError, browserid, origin};

/// The longest time that can be set, in seconds.
const LONGEST: f64 = 1e9;
/// The shortest times of settings that could not do what they are for with less, in seconds.
const SHORTEST: &[(&str, f64)] = &[
    ("admin_session_seconds", 1.0),
    ("hello_seconds", 0.1),
    ("ping_seconds", 0.1),
    ("request_seconds", 0.1),
    ("session_seconds", 1.0),
    ("tls_handshake_seconds", 0.1),
    ("write_seconds", 0.1),
];
/// What the names end with of which there must be at least one.
const COUNTED: &[&str] =
    &["_bytes", "_burst", "_per_second", "_per_user", "_per_app", "_characters", "_updates"];

type Checked = Result<(), SettingsError>;

impl Settings {
    pub(super) fn check(&self) -> Checked {
        self.check_reach()?;
        self.check_tls()?;
        self.check_lists()?;
        self.check_numbers()?;
        browserid::check(self)?;
        self.oidc_issuers.check(self.dev).map_err(SettingsError::Issuer)
    }

    /// Where it listens, and as what it is known.
    fn check_reach(&self) -> Checked {
        let loopback = self.listen.ip().is_loopback();
        if self.dev && !loopback {
            return wrong(
                "dev",
                "needs a loopback address to listen on: it lets anybody be anyone",
            );
        }
        if self.public_url.is_empty() && !loopback {
            return wrong("public_url", "must be given where the address is not a loopback one");
        }
        if !self.public_url.is_empty() && origin(&self.public_url).is_none() {
            return wrong("public_url", "must be an origin such as https://presence.example.org");
        }
        let metrics = &self.metrics_listen;
        if !metrics.is_empty() && metrics.parse::<SocketAddr>().is_err() {
            return wrong("metrics_listen", "must be an address and port such as 127.0.0.1:9100");
        }
        let operator = &self.admin_token_digest;
        if !operator.is_empty() && self.admin_token_digest().is_none() {
            return wrong("admin_token_digest", "must be 64 hexadecimal digits");
        }
        Ok(())
    }

    fn check_tls(&self) -> Checked {
        match (self.tls_certificate.is_empty(), self.tls_key.is_empty()) {
            (true, false) => return wrong("tls_certificate", "must be given with tls_key"),
            (false, true) => return wrong("tls_key", "must be given with tls_certificate"),
            (true, true) | (false, false) => {}
        }
        if self.scheme() == "https" && self.public_url.starts_with("http:") {
            return wrong("public_url", "must begin with https:// where TLS is served");
        }
        Ok(())
    }

    fn check_lists(&self) -> Checked {
        if let Some(text) = self.trusted_proxies.iter().find(|text| network(text).is_none()) {
            let problem =
                format!("holds {text:?}, which is no address and no network in CIDR form");
            return wrong("trusted_proxies", problem);
        }
        let known = |text: &&String| *text != "*" && origin(text).is_none();
        if let Some(text) = self.allowed_origins.iter().find(known) {
            let problem = format!("holds {text:?}, which is no origin such as https://example.org");
            return wrong("allowed_origins", problem);
        }
        Ok(())
    }

    /// The numbers, by what their names say of them.
    fn check_numbers(&self) -> Checked {
        let Ok(serde_json::Value::Object(values)) = serde_json::to_value(self) else {
            return Ok(());
        };
        for name in Self::NAMES {
            let Some(value) = values.get(*name) else { continue };
            if name.ends_with("_seconds") {
                let shortest = SHORTEST.iter().find(|(known, _)| known == name);
                let shortest = shortest.map_or(0.0, |(_, seconds)| *seconds);
                // What is no number at all is written as null.
                if !value.as_f64().is_some_and(|value| (shortest..=LONGEST).contains(&value)) {
                    return wrong(
                        name,
                        format!("must be between {shortest} and {LONGEST} seconds"),
                    );
                }
            } else if COUNTED.iter().any(|end| name.ends_with(end)) && value.as_u64() == Some(0) {
                return wrong(name, "must be at least 1");
            }
        }
        Ok(())
    }
}

fn wrong(name: &'static str, problem: impl Into<String>) -> Checked {
    Err(SettingsError::Impossible { name, problem: problem.into() })
}

/// A network, or an address as a network of one.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What cannot be read, in one line: the setting, what it must be, and where it was given.
pub(super) fn said(error: &figment::Error) -> String {
    let name = error.path.last().map_or("a setting", String::as_str).to_lowercase();
    let problem = match &error.kind {
        Kind::UnknownField(name, _) => format!("{name} is no setting"),
        Kind::UnknownVariant(given, known) => {
            format!("{name} must be one of {}, not {given}", known.join(", "))
        }
        Kind::InvalidType(given, wanted) | Kind::InvalidValue(given, wanted) => {
            format!("{name} must be {}, not {}", in_words(wanted), shown(given))
        }
        Kind::Message(text) => in_one_line(text),
        Kind::InvalidLength(..)
        | Kind::MissingField(_)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => format!("{name}: {}", error.kind),
    };
    format!(
        "{problem}{}",
        error.metadata.as_ref().map(|from| place(from, &name)).unwrap_or_default()
    )
}

/// Where a value was given; of a flag the parser of the command line has spoken already.
fn place(from: &Metadata, name: &str) -> String {
    if let Some(Source::File(path)) = &from.source {
        return format!(" (in {})", path.display());
    }
    if from.name.contains(ENVIRONMENT) {
        return format!(" (in {ENVIRONMENT}{})", name.to_uppercase());
    }
    String::new()
}

/// A type as a person says it.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list such as [\"one\", \"two\"]",
        other => other,
    }
}

fn shown(given: &Actual) -> String {
    if let Actual::Str(text) = given { format!("{text:?}") } else { given.to_string() }
}

/// The text of a parser in one line: where, what stands there, and what is wrong with it. Between them it draws a picture.
fn in_one_line(text: &str) -> String {
    let is_drawn = |line: &&str| line.trim_matches(['|', ' ', '^']).is_empty();
    let told = text.lines().map(str::trim).filter(|line| !is_drawn(line));
    told.map(|line| line.split_once(" | ").map_or(line, |(_, shown)| shown.trim()))
        .collect::<Vec<_>>()
        .join(": ")
}
