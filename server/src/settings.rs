//! Every setting of the server: its name, default and meaning, once. A flag beats the environment beats the file beats the default.
//!
//! Below it: which values cannot be ([`check`]), those of the issuers, what each part of the server is told ([`derived`]), and the page of all
//! settings ([`page`]).

mod browserid;
mod check;
mod derived;
pub(crate) mod oidc;
mod page;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use url::Url;

use self::oidc::OidcIssuers;
use self::page::Described;
pub use self::page::page;

/// The prefix of environment variables: `--status-burst` is `PRESENCE_STATUS_BURST`.
const ENVIRONMENT: &str = "PRESENCE_";

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)+)])? $name:ident: $type:ty = $default:expr;)+) => {
        /// The effective settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// The settings that were given as flags.
        #[derive(Debug, Default, clap::Args, Serialize)]
        pub struct Flags {
            $(
                $(#[doc = $doc])+
                #[arg(long, global = true, $($($arg)+)?)]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }

        impl Settings {
            /// The names of all settings, as in the file.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// What is said of each.
            const DESCRIBED: &'static [Described] = &[$(
                Described {
                    name: stringify!($name),
                    kind: stringify!($type),
                    meaning: concat!($($doc,)+),
                },
            )+];
        }
    };
}

settings! {
    /// Address and port to listen on; port 0 takes a free one.
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
    /// The database, as a URL.
    database: String = "sqlite://presence.db?mode=rwc".to_owned();
    /// Where this server is reached from outside, such as `https://presence.example.org`: the audience of assertions. Empty: the
    /// address it listens on, which must then be a loopback address.
    public_url: String = String::new();
    /// The certificate chain to serve TLS with: a PEM file, the server's own certificate first. Needs `tls_key`. Empty: plain HTTP, for
    /// a proxy in front or for loopback.
    tls_certificate: String = String::new();
    /// The private key of the certificate: a PEM file.
    tls_key: String = String::new();
    /// How often the two files are looked at for a new certificate, in seconds; 0: only at SIGHUP.
    tls_reload_seconds: f64 = 10.0;
    /// How long a TLS handshake may take, in seconds.
    tls_handshake_seconds: f64 = 10.0;
    /// Where Prometheus finds `/metrics`, as an address and port of its own, in plain HTTP. Empty: beside everything else.
    metrics_listen: String = String::new();
    /// Addresses of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` is believed. From anybody else it is ignored.
    #[arg(value_delimiter = ',', num_args = 1)]
    trusted_proxies: Vec<String> = Vec::new();
    /// Origins beside that of the public URL whose pages may open sockets, such as `https://app.example.org`; `*` for all.
    #[arg(value_delimiter = ',', num_args = 1)]
    allowed_origins: Vec<String> = Vec::new();
    /// A file whose JSON object `/__version__` answers, as Dockerflow has it. Where there is none, what the build was told.
    version_file: String = "/app/version.json".to_owned();
    /// Development mode: anybody can be anyone of `dev.localhost`. Only on a loopback address.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    dev: bool = false;
    /// What is logged, as a `tracing` filter.
    log: String = "info,poem=warn,sea_orm_migration=warn,sqlx=warn".to_owned();
    /// How it is logged: `pretty` or `json`.
    log_format: LogFormat = LogFormat::Pretty;
    /// The most bytes of a frame from a device.
    device_frame_bytes: usize = 16 * 1024;
    /// The most bytes of a frame from an AppService.
    app_frame_bytes: usize = 1024 * 1024;
    /// The most bytes of a REST body.
    body_bytes: usize = 1024 * 1024;
    /// Status updates of a device at once.
    status_burst: u32 = 5;
    /// Status updates of a device a second, after those.
    status_per_second: u32 = 1;
    /// Notifications of an Application to one user at once.
    notify_burst: u32 = 100;
    /// Notifications of an Application to one user a second, after those.
    notify_per_second: u32 = 20;
    /// New sockets of one address a second.
    connects_per_second: u32 = 200;
    /// Sign-ins over REST of one address a second.
    sign_ins_per_second: u32 = 200;
    /// Refused credentials of one address at once.
    failed_credentials_burst: u32 = 200;
    /// Refused credentials of one address a second, after those.
    failed_credentials_per_second: u32 = 20;
    /// Connected devices of one user.
    sockets_per_user: usize = 20;
    /// Sockets of one Application.
    sockets_per_app: usize = 100;
    /// Applications of one developer.
    apps_per_developer: u64 = 200;
    /// Characters of an Application's name.
    app_name_characters: usize = 200;
    /// Characters of an Application's description.
    app_description_characters: usize = 2_000;
    /// Characters of an Application's domain; a host name has 253 at most.
    app_domain_characters: usize = 253;
    /// How long a new socket may stay unknown, in seconds.
    hello_seconds: f64 = 10.0;
    /// How long a connection may take until its first request is answered, in seconds.
    request_seconds: f64 = 30.0;
    /// How often a silent peer is pinged, in seconds; silent for two intervals it is dead.
    ping_seconds: f64 = 30.0;
    /// How long a peer may let what is written to it wait, in seconds.
    write_seconds: f64 = 10.0;
    /// How long a lost device keeps its presence, in seconds.
    grace_seconds: f64 = 10.0;
    /// How long a session lasts, in seconds.
    session_seconds: f64 = 86_400.0;
    /// Whether a socket's session ends with the assertion that opened it.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    session_ends_with_assertion: bool = false;
    /// How long an Application can resume its stream, in seconds.
    app_queue_seconds: f64 = 3_600.0;
    /// How many updates an Application can resume over.
    app_queue_updates: usize = 100_000;
    /// How many requests to the database are committed together at most; 1 is for comparisons.
    commit_group: usize = 1_000;
    /// How long the sockets are told to go when the server stops, in seconds.
    drain_seconds: f64 = 10.0;
    /// How long a restarted server waits for devices to come back before it says who is offline, in seconds.
    warm_up_seconds: f64 = 15.0;
    /// Which hosts are asked for the keys of BrowserID issuers.
    browserid_discovery: BrowserIdDiscovery = BrowserIdDiscovery::AllowListed;
    /// Hosts that may be asked for keys: BrowserID issuers, and domains that refer to one of these. Each speaks for its own e-mails
    /// and for those of domains that refer to it. In development mode also `localhost:PORT`, which is asked by plain http.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_issuers: Vec<String> = Vec::new();
    /// BrowserID issuers that may speak for e-mails of every domain, such as a server of Mozilla accounts. A strong setting.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_trusted_issuers: Vec<String> = Vec::new();
    /// The BrowserID issuer for domains that have none of their own; while only listed hosts are asked, for all others.
    browserid_fallback: String = String::new();
    /// Where not empty, the assertions of no other BrowserID issuers are accepted, whatever else is set.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_allowed_issuers: Vec<String> = Vec::new();
    /// Whether BrowserID issuers may sign with weak keys of the past: RSA of 1024 bits (RS128), DSA with SHA-1 (DS128).
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    browserid_legacy_issuers: bool = false;
    /// Whether trusted BrowserID issuers are believed about the e-mail behind an account (`fxa-verifiedEmail`).
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    browserid_verified_email: bool = false;
    /// OpenID Connect issuers whose ID tokens are accepted: in the file as tables `[[oidc_issuers]]`, elsewhere as JSON. What goes
    /// into them is told in server/SIGN-IN.md.
    oidc_issuers: OidcIssuers = OidcIssuers::default();
    /// Whether a domain may show its key over plain http.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    domain_http: bool = false;
    /// The SHA-256 of the operator's token, as `presence-server admin-token` makes both. Empty: no operator's pages.
    admin_token_digest: String = String::new();
    /// How long an operator stays signed in, in seconds.
    admin_session_seconds: f64 = 3_600.0;
    /// Schemes of app links that a notification's action may have, beside https.
    #[arg(value_delimiter = ',', num_args = 1)]
    action_schemes: Vec<String> = Vec::new();
}

/// Which hosts are asked for the keys of BrowserID issuers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BrowserIdDiscovery {
    /// None: only the development issuer's assertions are accepted.
    Off,
    /// Those that are named in the settings.
    AllowListed,
    /// The domain of every e-mail, and the hosts that it refers to.
    Open,
}

/// How it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines, an object a line.
    Json,
}

/// Settings that cannot be used; the text is one line.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there.
    #[error("the settings file {} cannot be read", .0.display())]
    NoFile(PathBuf),
    /// A setting is unknown or of the wrong type.
    #[error("{0}")]
    Wrong(String),
    /// An OpenID Connect issuer is described wrongly.
    #[error("oidc_issuers: {0}")]
    Issuer(String),
    /// A setting has a value that cannot be.
    #[error("{name} {problem}")]
    Impossible {
        /// Which setting.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Settings {
    /// Brings flags, environment, file and defaults together.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn load(flags: &Flags, file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(SettingsError::NoFile(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let settings: Self = figment
            .merge(Env::prefixed(ENVIRONMENT).only(Self::NAMES))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| SettingsError::Wrong(check::said(&error)))?;
        settings.check()?;
        Ok(settings)
    }

    /// All settings as lines of the file, secrets hidden.
    pub fn shown(&self) -> String {
        let digest = &self.admin_token_digest;
        let hidden = Self {
            admin_token_digest: digest.chars().take(3).map(|_| '*').collect(),
            database: without_password(&self.database),
            oidc_issuers: self.oidc_issuers.hidden(),
            ..self.clone()
        };
        let Ok(serde_json::Value::Object(values)) = serde_json::to_value(&hidden) else {
            return String::new();
        };
        let line =
            |name: &&str| values.get(*name).map(|value| format!("{name} = {}\n", toml(value)));
        Self::NAMES.iter().filter_map(line).collect()
    }
}

/// A value as the file has it, on one line.
fn toml(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Object(members) => {
            let member = |(name, value)| format!("{name} = {}", toml(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => value.to_string(),
    }
}

fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

fn without_password(database: &str) -> String {
    match Url::parse(database) {
        Ok(mut url) if url.password().is_some() => {
            let hidden = url.set_password(Some("***")).is_ok();
            if hidden { url.into() } else { "***".to_owned() }
        }
        Ok(_) | Err(_) => database.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_in_result, reason = "a test that cannot write its file has failed")]
    fn load(flags: &Flags, file: &str) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("presence.toml");
        std::fs::write(&path, file).unwrap();
        Settings::load(flags, Some(&path))
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let flags = Flags { status_burst: Some(7), ..Flags::default() };
        let settings = load(&flags, "status_burst = 9\nnotify_burst = 3").unwrap();
        assert_eq!((settings.status_burst, settings.notify_burst), (7, 3));
        assert_eq!(settings.sockets_per_user, 20);
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_type_are_told_in_one_line() {
        for file in ["status_bursts = 9", "status_burst = \"many\"", "status_burst = "] {
            let error = load(&Flags::default(), file).unwrap_err().to_string();
            assert!(!error.trim().is_empty(), "{error}");
        }
    }

    #[test]
    fn development_mode_is_for_loopback_addresses_only() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, dev: Some(true), ..Flags::default() };
        assert!(Settings::load(&flags, None).unwrap_err().to_string().starts_with("dev needs"));
    }

    #[test]
    fn a_server_for_others_must_know_its_name() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, ..Flags::default() };
        assert!(Settings::load(&flags, None).is_err());
        let public_url = Some("https://presence.example.org".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_ok());
        let public_url = Some("https://presence.example.org/path".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_err());
    }

    #[test]
    fn what_is_shown_can_be_read_again_and_holds_no_password() {
        let settings = Settings { action_schemes: vec!["myapp".to_owned()], ..Settings::default() };
        assert_eq!(load(&Flags::default(), &settings.shown()).unwrap(), settings);
        let database = "postgres://presence:secret@db.example/presence".to_owned();
        let shown = Settings { database, ..Settings::default() }.shown();
        assert!(shown.contains("***") && !shown.contains("secret"));
        let admin_token_digest = "beef".repeat(16);
        let shown = Settings { admin_token_digest, ..Settings::default() }.shown();
        assert!(shown.contains("admin_token_digest = \"***\"") && !shown.contains("beef"));
    }
}
