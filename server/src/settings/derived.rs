//! Turns the settings into those of each part of the server, in its own types and units.

use std::net::SocketAddr;
use std::time::Duration;

use poem::http::HeaderValue;
use presence_core::stream::Retention;
use presence_service::ServiceSettings;
use presence_service::operator_access::OperatorTokenDigest;
use presence_service::settings::{Rate, TextLimits};
use url::Url;

use super::definition::Settings;
use super::values::{is_without_secrets, network, origin};
use crate::client_address::TrustedProxies;
use crate::connection::deadline::ConnectionTimeouts;
use crate::socket::registry::SocketLimits;
use crate::tls::PreparedTls;
use crate::tls::acme::setup::{AcmeOptions, AcmeSetup};
use crate::tls::files::{FileTls, TlsFiles};

impl Settings {
    /// Returns the URL by which clients reach a server that listens on this address.
    pub fn public_url(&self, listen_address: SocketAddr) -> Option<Url> {
        if self.public_url.is_empty() {
            Url::parse(&format!("{}://{listen_address}", self.scheme())).ok()
        } else {
            origin(&self.public_url)
        }
    }

    /// Returns the digest of the operator's token, if an operator is configured.
    pub fn admin_token_digest(&self) -> Option<OperatorTokenDigest> {
        OperatorTokenDigest::parse(&self.admin_token_digest)
    }

    /// Returns the URL scheme of the server itself: `https` if it has a certificate, or gets one.
    pub fn scheme(&self) -> &'static str {
        if self.tls_certificate.is_empty() && self.acme_domains.is_empty() {
            "http"
        } else {
            "https"
        }
    }

    /// Returns the value of the header `Strict-Transport-Security`, if it is sent. On `localhost`
    /// it would apply to every other server of a developer, so development mode sends none.
    pub(crate) fn strict_transport_security(&self) -> Option<HeaderValue> {
        let is_sent = !self.dev && self.public_url.starts_with("https:") && self.hsts_seconds > 0.0;
        let value = is_sent.then(|| format!("max-age={:.0}", self.hsts_seconds.ceil()))?;
        HeaderValue::from_str(&value).ok()
    }

    /// Prepares TLS, if it is configured: reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// The reason in one line, if they cannot be used.
    pub(crate) fn prepare_tls(&self) -> Result<Option<PreparedTls>, String> {
        if !self.acme_domains.is_empty() {
            let setup = AcmeSetup::load(self.acme_options()?)?;
            return Ok(Some(PreparedTls::Acme(Box::new(setup))));
        }
        if self.tls_certificate.is_empty() {
            return Ok(None);
        }
        let reload = self.tls_reload_seconds;
        let files = TlsFiles {
            certificate: self.tls_certificate.clone().into(),
            key: self.tls_key.clone().into(),
            reload: (reload > 0.0).then(|| Duration::from_secs_f64(reload)),
        };
        Ok(Some(PreparedTls::Files(FileTls::load(files)?)))
    }

    fn acme_options(&self) -> Result<AcmeOptions, String> {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let key_id = set(&self.acme_eab_key_id);
        Ok(AcmeOptions {
            domains: self.acme_domains.clone(),
            contact: set(&self.acme_contact).map(Into::into),
            directory: self.acme_directory.clone(),
            directory_ca: set(&self.acme_directory_ca).map(Into::into),
            external_account: key_id.map(|id| (id, self.acme_eab_key_file.clone().into())),
            retry: seconds(self.acme_retry_seconds),
            secret: self.shared_secret()?,
        })
    }

    /// Returns the address of the metrics, if they have one of their own.
    pub(crate) fn metrics_listen(&self) -> Option<SocketAddr> {
        self.metrics_listen.parse().ok()
    }

    /// Returns the URL that traces are sent to, if they are.
    pub(crate) fn traces_endpoint(&self) -> Option<Url> {
        Url::parse(&self.traces_endpoint).ok().filter(is_without_secrets)
    }

    /// Returns the trusted proxies.
    pub(crate) fn proxies(&self) -> TrustedProxies {
        self.trusted_proxies.iter().filter_map(|text| network(text)).collect()
    }

    /// Returns the settings of the service.
    pub fn service_settings(&self) -> ServiceSettings {
        ServiceSettings {
            development: self.dev,
            common_public_url: self.common_public_url(),
            further_common: self.common_issuers(),
            session: seconds(self.session_seconds),
            session_ends_with_assertion: self.session_ends_with_assertion,
            grace: seconds(self.grace_seconds),
            stream_bytes: self.app_queues_total_bytes,
            receipt_hold: seconds(self.receipt_hold_seconds),
            settle_interval: seconds(self.settle_seconds),
            warm_up: seconds(self.warm_up_seconds),
            update_delay: seconds(self.update_delay_seconds),
            sockets_per_user: self.sockets_per_user,
            proofs_per_user: self.proofs_per_user,
            sockets_per_app: self.sockets_per_app,
            database_deadline: seconds(self.database_seconds),
            grants_per_user: self.grants_per_user,
            sessions_per_user: self.sessions_per_user,
            cached_credentials: self.cached_credentials,
            apps_per_developer: self.apps_per_developer,
            retention: Retention {
                entries: self.app_queue_updates,
                age: seconds(self.app_queue_seconds),
                bytes: self.app_queue_bytes,
            },
            status_rate: Rate { burst: self.status_burst, per_second: self.status_per_second },
            user_change_rate: Rate {
                burst: self.user_changes_burst.max(self.status_burst),
                per_second: self.user_changes_per_second.max(self.status_per_second),
            },
            notify_rate: Rate { burst: self.notify_burst, per_second: self.notify_per_second },
            app_notify_rate: Rate {
                burst: self.app_notify_burst.max(self.notify_burst),
                per_second: self.app_notify_per_second.max(self.notify_per_second),
            },
            frame_rate: Rate { burst: self.frame_burst, per_second: self.frame_per_second },
            verification_rate: Rate {
                burst: self.verifications_burst,
                per_second: self.verifications_per_second,
            },
            connect_rate: even_rate(self.connects_per_second),
            sign_in_rate: even_rate(self.sign_ins_per_second),
            failure_rate: Rate {
                burst: self.failed_credentials_burst,
                per_second: self.failed_credentials_per_second,
            },
            texts: TextLimits {
                name: self.app_name_characters,
                description: self.app_description_characters,
                domain: self.app_domain_characters,
            },
            commit_group: self.commit_group,
            domain_http: self.domain_http,
            action_schemes: self.action_schemes.clone(),
        }
    }

    /// Returns the limits of sockets.
    pub fn socket_limits(&self) -> SocketLimits {
        SocketLimits {
            device_frame: self.device_frame_bytes,
            app_frame: self.app_frame_bytes,
            authentication: seconds(self.hello_seconds),
            ping: seconds(self.ping_seconds),
            write: seconds(self.write_seconds),
            frame: seconds(self.frame_seconds),
        }
    }

    /// Returns the longest time between now and the end of a BrowserID assertion.
    pub(crate) fn browserid_assertion_age(&self) -> Duration {
        seconds(self.browserid_assertion_seconds)
    }

    /// Returns the time after its issue for which an ID token is accepted.
    pub(crate) fn id_token_age(&self) -> Duration {
        seconds(self.id_token_seconds)
    }

    /// Returns the lifetime of an operator's session.
    pub(crate) fn admin_session(&self) -> Duration {
        seconds(self.admin_session_seconds)
    }

    /// Returns the time over which all sockets are closed when the server stops.
    pub fn drain_time(&self) -> Duration {
        seconds(self.drain_seconds)
    }

    /// Returns the timeouts of connections that are not a WebSocket.
    pub(crate) fn connection_timeouts(&self) -> ConnectionTimeouts {
        let first_request = seconds(self.request_seconds);
        ConnectionTimeouts {
            handshake: seconds(self.tls_handshake_seconds),
            first_request,
            request: seconds(self.frame_seconds).max(first_request),
            keep_alive: first_request.max(seconds(self.ping_seconds) * 2 + Duration::from_secs(5)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in bounds"
)]
fn seconds(seconds: f64) -> Duration {
    Duration::from_millis((seconds * 1000.0).round() as u64)
}

/// Returns a rate whose burst lasts a second.
fn even_rate(per_second: u32) -> Rate {
    Rate { burst: per_second, per_second }
}
