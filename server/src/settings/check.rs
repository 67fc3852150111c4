//! Checks the values of settings. An error is one line that names the setting.

use std::net::SocketAddr;

use presence_service::rules::action_scheme_problem;

use super::definition::Settings;
use super::error::{SettingsError, invalid};
use super::load::ADDRESS;
use super::values::{is_loopback, network, origin};
use super::{acme, browserid};
use crate::origin_pattern::OriginPattern;

/// The longest time of any setting, in seconds.
const MAX_SECONDS: f64 = 1e9;
/// The shortest times of settings that have no effect below, in seconds.
const MIN_SECONDS: &[(&str, f64)] = &[
    ("acme_retry_seconds", 1.0),
    ("admin_session_seconds", 1.0),
    ("browserid_assertion_seconds", 1.0),
    ("database_seconds", 0.1),
    ("frame_seconds", 0.1),
    ("hello_seconds", 0.1),
    ("id_token_seconds", 1.0),
    ("ping_seconds", 0.1),
    ("request_seconds", 0.1),
    ("session_seconds", 1.0),
    ("settle_seconds", 0.01),
    ("tls_handshake_seconds", 0.1),
    ("write_seconds", 0.1),
];
/// The endings of the names of settings that must be at least 1.
const COUNT_SUFFIXES: &[&str] = &[
    "_bytes",
    "_burst",
    "_per_second",
    "_per_user",
    "_per_app",
    "_per_address",
    "_characters",
    "_updates",
];

/// Returns true if no program can listen on both addresses.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}

impl Settings {
    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Invalid`] or [`SettingsError::Issuer`] for the first wrong setting.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        self.check_addresses()?;
        self.check_metrics()?;
        self.check_tls()?;
        acme::check(self)?;
        self.check_lists()?;
        self.check_numbers()?;
        self.check_traces()?;
        browserid::check(self)?;
        self.oidc_issuers.check(self.dev).map_err(SettingsError::Issuer)
    }

    /// Checks the addresses that the server listens on, and the URL by which it is reached.
    fn check_addresses(&self) -> Result<(), SettingsError> {
        let listens_on_loopback = self.listen.ip().is_loopback();
        if self.dev && !listens_on_loopback {
            let problem = format!(
                "needs a loopback address in listen, such as 127.0.0.1:8080, not {}: it lets anyone \
                 who reaches the server sign in as any user; OPERATION.md, Development mode, says \
                 how a phone reaches it",
                self.listen
            );
            return invalid("dev", problem);
        }
        if self.public_url.is_empty() && !listens_on_loopback {
            return invalid("public_url", "must be set if the address is not a loopback address");
        }
        if !self.public_url.is_empty() && origin(&self.public_url).is_none() {
            return invalid("public_url", "must be an origin such as https://presence.example.org");
        }
        let public = origin(&self.public_url);
        let is_public =
            public.is_some_and(|url| !url.host().is_some_and(|host| is_loopback(&host)));
        if self.dev && is_public {
            return invalid(
                "public_url",
                "must be a loopback address in development mode, such as http://localhost:8080: \
                 anyone who reaches the server can sign in as any user",
            );
        }
        let operator = &self.admin_token_digest;
        if !operator.is_empty() && self.admin_token_digest().is_none() {
            return invalid("admin_token_digest", "must be 64 hexadecimal digits");
        }
        Ok(())
    }

    /// Checks the address of the metrics.
    fn check_metrics(&self) -> Result<(), SettingsError> {
        let metrics = &self.metrics_listen;
        if !metrics.is_empty() && metrics.parse::<SocketAddr>().is_err() {
            return invalid("metrics_listen", format!("must be {ADDRESS}"));
        }
        if self.metrics_listen().is_some_and(|metrics| overlap(self.listen, metrics)) {
            let problem = format!(
                "must be another address than listen: they are {metrics} and {}",
                self.listen
            );
            return invalid("metrics_listen", problem);
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), SettingsError> {
        match (self.tls_certificate.is_empty(), self.tls_key.is_empty()) {
            (true, false) => return invalid("tls_certificate", "must be given with tls_key"),
            (false, true) => return invalid("tls_key", "must be given with tls_certificate"),
            (true, true) | (false, false) => {}
        }
        if self.scheme() == "https" && self.public_url.starts_with("http:") {
            return invalid("public_url", "must begin with https:// if the server uses TLS");
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), SettingsError> {
        if let Some(text) = self.trusted_proxies.iter().find(|text| network(text).is_none()) {
            let problem =
                format!("contains {text:?}, which is not an address or a network in CIDR form");
            return invalid("trusted_proxies", problem);
        }
        for text in self.allowed_origins.iter().filter(|text| *text != "*") {
            if let Err(problem) = OriginPattern::parse(text) {
                return invalid("allowed_origins", format!("contains {text:?}, which {problem}"));
            }
        }
        for text in &self.action_schemes {
            if let Some(problem) = action_scheme_problem(text) {
                return invalid("action_schemes", format!("contains {text:?}, which {problem}"));
            }
        }
        Ok(())
    }

    /// Checks where traces are sent. A secret does not belong into the URL, which is shown.
    fn check_traces(&self) -> Result<(), SettingsError> {
        if !(0.0..=1.0).contains(&self.traces_ratio) {
            return invalid("traces_ratio", "must be between 0 and 1");
        }
        if self.traces_service_name.trim().is_empty() {
            return invalid("traces_service_name", "must not be empty");
        }
        if !self.traces_endpoint.is_empty() && self.traces_endpoint().is_none() {
            return invalid(
                "traces_endpoint",
                "must be a URL such as http://localhost:4318/v1/traces, without a user name and a \
                 query: what is secret belongs into traces_headers_file",
            );
        }
        Ok(())
    }

    /// Checks numbers by the endings of their names.
    fn check_numbers(&self) -> Result<(), SettingsError> {
        let Ok(serde_json::Value::Object(values)) = serde_json::to_value(self) else {
            return Ok(());
        };
        for name in Self::NAMES {
            let Some(value) = values.get(*name) else { continue };
            if name.ends_with("_seconds") {
                let min = MIN_SECONDS.iter().find(|(known, _)| known == name);
                let min = min.map_or(0.0, |(_, seconds)| *seconds);
                // JSON has no NaN and no infinity: they become null here.
                if !value.as_f64().is_some_and(|value| (min..=MAX_SECONDS).contains(&value)) {
                    let problem = format!("must be between {min} and {MAX_SECONDS} seconds");
                    return invalid(name, problem);
                }
            } else if COUNT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
                && value.as_u64() == Some(0)
            {
                return invalid(name, "must be at least 1");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str, metrics_listen: &str) -> Settings {
        let public_url = "https://presence.example.org".to_owned();
        let (listen, metrics_listen) = (listen.parse().unwrap(), metrics_listen.to_owned());
        Settings { listen, public_url, metrics_listen, ..Settings::default() }
    }

    #[test]
    fn the_metrics_need_an_address_that_is_not_taken_by_the_server() {
        for (listen, metrics) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("127.0.0.1:9464", "[::]:9464"),
        ] {
            let error = settings(listen, metrics).check().unwrap_err().to_string();
            assert!(
                error.contains("metrics_listen must be another address than listen"),
                "{error}"
            );
            assert!(error.contains(listen) && error.contains(metrics), "{error}");
        }
        for (listen, metrics) in [
            ("127.0.0.1:8080", "127.0.0.1:9464"),
            ("127.0.0.1:9464", "127.0.0.2:9464"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert!(settings(listen, metrics).check().is_ok(), "{listen} {metrics}");
        }
    }
}
