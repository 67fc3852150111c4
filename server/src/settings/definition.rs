//! The definition of every setting: its name, type, default and description.
//!
//! The flags, the environment variables, the help text, `SETTINGS.md` and the settings file that
//! `presence-server init` writes are made from it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::oidc::OidcIssuers;

/// The texts of one setting's definition.
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// The heading of the settings that it belongs to.
    pub(super) group: &'static str,
    pub(super) rust_type: &'static str,
    pub(super) description: &'static str,
}

macro_rules! settings {
    ($(
        group $group:literal;
        $($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)+)])? $name:ident: $type:ty = $default:expr;)+
    )+) => {
        /// The effective settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $($($(#[doc = $doc])+ pub $name: $type,)+)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ }
            }
        }

        /// The settings that are given as flags.
        #[derive(Debug, Default, clap::Args, Serialize)]
        pub struct Flags {
            $($(
                $(#[doc = $doc])+
                #[arg(long, global = true, help_heading = $group, $($($arg)+)?)]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+)+
        }

        impl Settings {
            /// The names of all settings, as in the file.
            pub const NAMES: &'static [&'static str] = &[$($(stringify!($name),)+)+];

            /// The definitions of all settings, in the same order.
            pub(super) const DEFINITIONS: &'static [Definition] = &[$($(
                Definition {
                    name: stringify!($name),
                    group: $group,
                    rust_type: stringify!($type),
                    description: concat!($($doc,)+),
                },
            )+)+];
        }
    };
}

/// The directory of Let's Encrypt.
pub(super) const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

settings! {
    group "Server";
    /// Address and port to listen on; port 0 selects a free port.
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
    /// The URL by which clients reach this server, such as `https://presence.example.org`; it is
    /// the audience of assertions. Empty: the address it listens on, which must then be a loopback
    /// address.
    public_url: String = String::new();
    /// The database, as a URL.
    database: String = "sqlite://presence.db?mode=rwc".to_owned();
    /// OpenID Connect issuers whose ID tokens are accepted: in the file as tables
    /// `[[oidc_issuers]]`, elsewhere as JSON. Their fields are described in SIGN-IN.md.
    oidc_issuers: OidcIssuers = OidcIssuers::default();
    /// Development mode: anyone can sign in as any user of `dev.localhost`. Only on a loopback
    /// address.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    dev: bool = false;
    /// File with the JSON object that `/__version__` returns, as Dockerflow defines it. If it does
    /// not exist, the values of the build are returned.
    version_file: String = "/app/version.json".to_owned();
    group "TLS";
    /// The certificate chain for TLS: a PEM file with the server's own certificate first. Needs
    /// `tls_key`. Empty: plain HTTP, for a proxy in front or for loopback.
    tls_certificate: String = String::new();
    /// The private key of the certificate: a PEM file.
    tls_key: String = String::new();
    /// Interval of the checks of both files for a new certificate, in seconds; 0: only at SIGHUP.
    tls_reload_seconds: f64 = 10.0;
    /// Maximum duration of a TLS handshake, in seconds.
    tls_handshake_seconds: f64 = 10.0;
    /// Time for which browsers use only HTTPS after a response, in seconds
    /// (`Strict-Transport-Security`). It is announced if `public_url` begins with `https`, and not
    /// in development mode; 0: never.
    hsts_seconds: f64 = 31_536_000.0;
    group "Certificates by ACME";
    /// The names for which the server gets a certificate from a certificate authority by ACME, such
    /// as `presence.example.org`, instead of files. The authority connects to port 443 of each,
    /// which must lead to `listen` without another TLS in between. Empty: none.
    #[arg(value_delimiter = ',', num_args = 1)]
    acme_domains: Vec<String> = Vec::new();
    /// Must be true with `acme_domains`: the operator agrees to the terms of service of the
    /// certificate authority.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    acme_terms_agreed: bool = false;
    /// An e-mail address that the certificate authority may write to. Only the authority gets it.
    acme_contact: String = String::new();
    /// The URL of the directory of the certificate authority.
    acme_directory: String = DEFAULT_DIRECTORY.to_owned();
    /// The certificates that the directory's own TLS certificate must come from: a PEM file, for
    /// the authority of an organisation. Empty: those that the machine trusts.
    acme_directory_ca: String = String::new();
    /// The id of the key for external account binding, if the authority requires it.
    acme_eab_key_id: String = String::new();
    /// File with this key in base64url, as the authority gave it.
    acme_eab_key_file: String = String::new();
    /// Time after which an order that failed is tried again, in seconds. It is tripled with each
    /// further failure, up to six hours, and varies by a fifth at random.
    acme_retry_seconds: f64 = 60.0;
    group "Proxies and origins";
    /// Addresses or networks of proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` is trusted.
    /// The header is ignored if it comes from any other address.
    #[arg(value_delimiter = ',', num_args = 1)]
    trusted_proxies: Vec<String> = Vec::new();
    /// Origins whose pages may open sockets in addition to the public URL's, such as
    /// `https://app.example.org`, `https://*.example.org` for all names below a domain, or
    /// `capacitor://localhost`; `*` for all.
    #[arg(value_delimiter = ',', num_args = 1)]
    allowed_origins: Vec<String> = Vec::new();
    group "Log and metrics";
    /// Filter of the log, in the syntax of `tracing`. Libraries log nothing below `info`, since
    /// their lines could hold credentials and texts.
    log: String = "info,poem=warn,sea_orm_migration=warn,sqlx=warn".to_owned();
    /// Format of the log: `pretty` or `json`.
    log_format: LogFormat = LogFormat::Pretty;
    /// If true, each HTTP request is a line of the log: the method, the route, the status and the
    /// duration. It names no person, and no id but that of the request.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    access_log: bool = false;
    /// If true, these lines have the address of the client too.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    access_log_addresses: bool = false;
    /// Address and port on which only `/metrics` is served, over plain HTTP and without a
    /// credential; it should not be reachable by others. `listen` serves `/metrics` to the
    /// operator's token only.
    metrics_listen: String = String::new();
    group "Traces";
    /// The URL that traces are sent to by OTLP over HTTP, such as
    /// `http://localhost:4318/v1/traces`. Empty: there are no traces. The environment variables
    /// `OTEL_…` have no effect.
    traces_endpoint: String = String::new();
    /// File with the headers that are sent with traces, such as a token of the collector: lines of
    /// the form `name: value`. Empty: none.
    traces_headers_file: String = String::new();
    /// Share of the requests that are traced, between 0 and 1.
    traces_ratio: f64 = 0.01;
    /// The name of this service in traces.
    traces_service_name: String = "presence".to_owned();
    /// If true, the `traceparent` of a trusted proxy decides whether a request is traced, and as a
    /// part of which trace. Such a proxy must not pass on the header of its clients.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    traces_from_proxies: bool = false;
    group "Operator";
    /// The SHA-256 of the operator's token; `presence-server admin-token` creates both. Empty: the
    /// operator's pages do not exist, and `listen` does not serve `/metrics`.
    admin_token_digest: String = String::new();
    /// Time for which an operator stays signed in, in seconds.
    admin_session_seconds: f64 = 3_600.0;
    group "Database";
    /// File with a secret of at least 32 characters, the same for all servers of a PostgreSQL
    /// database, from which they derive the keys that they share. The keys of certificates by ACME
    /// are encrypted with it, also in SQLite. Empty: all of these keys are readable in the
    /// database.
    shared_secret_file: String = String::new();
    /// Time for which a call may wait for the database before it is answered with errno 51, in
    /// seconds.
    database_seconds: f64 = 5.0;
    /// Maximum number of requests that the database commits together; 1 is for comparisons.
    commit_group: usize = 1_000;
    group "Sign-in";
    /// Lifetime of a session, in seconds.
    session_seconds: f64 = 86_400.0;
    /// If true, the session of a socket ends with the assertion that opened it.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    session_ends_with_assertion: bool = false;
    /// Longest time after its issue (`iat`) for which an ID token is accepted, in seconds, unless
    /// it ends earlier.
    id_token_seconds: f64 = 900.0;
    group "BrowserID";
    /// The hosts that are asked for the keys of BrowserID issuers.
    browserid_discovery: BrowserIdDiscovery = BrowserIdDiscovery::AllowListed;
    /// Hosts that may be asked for keys: BrowserID issuers, and domains that delegate to one of
    /// these. Each may vouch for its own e-mails and for those of domains that delegate to it. In
    /// development mode also `localhost:PORT`, which is asked over plain HTTP.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_issuers: Vec<String> = Vec::new();
    /// BrowserID issuers that may vouch for e-mails of every domain, such as a server of Mozilla
    /// accounts. Such an issuer can sign in as any user.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_trusted_issuers: Vec<String> = Vec::new();
    /// The BrowserID issuer for domains that have none of their own; with `allow-listed`, for all
    /// domains that are not listed.
    browserid_fallback: String = String::new();
    /// If not empty, assertions of all other BrowserID issuers are rejected, whatever else is set.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_allowed_issuers: Vec<String> = Vec::new();
    /// If true, BrowserID issuers may sign with weak legacy keys: RSA of 1024 bits (RS128), DSA
    /// with SHA-1 (DS128).
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    browserid_legacy_issuers: bool = false;
    /// If true, the e-mail that a trusted BrowserID issuer reports for an account
    /// (`fxa-verifiedEmail`) is accepted.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    browserid_verified_email: bool = false;
    /// Longest time between now and the end (`exp`) of a BrowserID assertion, in seconds. One that
    /// ends later is refused.
    browserid_assertion_seconds: f64 = 900.0;
    group "Presence";
    /// Time for which a lost device keeps its presence, in seconds.
    grace_seconds: f64 = 10.0;
    /// Time for which a restarted server waits for devices to reconnect before it reports others as
    /// offline, in seconds.
    warm_up_seconds: f64 = 15.0;
    /// Time over which the sockets are closed when the server stops, in seconds.
    drain_seconds: f64 = 10.0;
    /// Longest time for which a change of presence waits before an Application sees it, in seconds;
    /// 0: none. The changes of all users are shown together at moments that are random for each
    /// Application, so that two Applications cannot match their PUIDs by the times of changes.
    update_delay_seconds: f64 = 0.0;
    group "Notifications and streams";
    /// URL schemes of app links that the action of a notification may have in addition to https,
    /// such as `myapp` for `myapp://chat/7`.
    #[arg(value_delimiter = ',', num_args = 1)]
    action_schemes: Vec<String> = Vec::new();
    /// Mean time between two writes of the settlements of notifications, in seconds. Each is up to
    /// half of it earlier or later, at random.
    settle_seconds: f64 = 1.0;
    /// Time for which an Application that begins to see a user gets none of the user's receipts, in
    /// seconds.
    receipt_hold_seconds: f64 = 30.0;
    /// Time for which an Application can resume its stream, in seconds.
    app_queue_seconds: f64 = 3_600.0;
    /// Maximum number of updates over which an Application can resume its stream.
    app_queue_updates: usize = 100_000;
    /// Maximum number of bytes of the updates over which one Application can resume its stream.
    app_queue_bytes: usize = 32 * 1024 * 1024;
    /// Maximum number of bytes of the updates over which all Applications together can resume their
    /// streams. Beyond it, the largest streams lose their oldest updates.
    app_queues_total_bytes: usize = 512 * 1024 * 1024;
    group "Times of connections";
    /// Time in which a new socket must authenticate, in seconds.
    hello_seconds: f64 = 10.0;
    /// Time in which the first request of a connection must be answered, in seconds; each KiB of it
    /// that arrives extends the time, up to `frame_seconds`.
    request_seconds: f64 = 30.0;
    /// Silence after which a peer is pinged, in seconds; after two intervals of silence its
    /// connection is lost.
    ping_seconds: f64 = 30.0;
    /// Time for which a peer may read nothing of what is written to it, in seconds.
    write_seconds: f64 = 10.0;
    /// Maximum duration of one frame or one request while its bytes arrive, in seconds.
    frame_seconds: f64 = 300.0;
    group "Limits of rates";
    /// Number of status updates that a device may send at once.
    status_burst: u32 = 5;
    /// Number of status updates that a device may send each second after the burst.
    status_per_second: u32 = 1;
    /// Number of changes that a user may make at once to what Applications see, by all devices,
    /// grants and pauses together; at least that of one device.
    user_changes_burst: u32 = 20;
    /// Number of such changes that a user may make each second after the burst.
    user_changes_per_second: u32 = 5;
    /// Number of notifications that an Application may send to one user at once.
    notify_burst: u32 = 100;
    /// Number of notifications that an Application may send to one user each second after the
    /// burst.
    notify_per_second: u32 = 20;
    /// Number of notifications that an Application may send to all users at once, at least that to
    /// one user.
    app_notify_burst: u32 = 50_000;
    /// Number of notifications that an Application may send to all users each second after the
    /// burst.
    app_notify_per_second: u32 = 5_000;
    /// Number of frames that no other rate limits that one user's devices, or one Application, may
    /// send at once: acknowledgements, queries, repeated `auth` and wrong frames.
    frame_burst: u32 = 200;
    /// Number of such frames that are handled each second after the burst. Wrong ones beyond it get
    /// errno 20; the others wait.
    frame_per_second: u32 = 100;
    /// Number of times at once that a developer may let domains be verified, and a domain may be
    /// asked for its key.
    verifications_burst: u32 = 10;
    /// Number of such times each second after the burst.
    verifications_per_second: u32 = 1;
    /// Number of new sockets that one address may open each second.
    connects_per_second: u32 = 200;
    /// Number of sign-ins over REST from one address each second.
    sign_ins_per_second: u32 = 200;
    /// Number of wrong credentials that one address may send at once.
    failed_credentials_burst: u32 = 200;
    /// Number of wrong credentials that one address may send each second after the burst.
    failed_credentials_per_second: u32 = 20;
    group "Limits of numbers";
    /// Number of connections that one address may have open whose clients have not yet proven who
    /// they are with a credential; an IPv6 address stands for its network of 64 bits.
    unproven_connections_per_address: usize = 256;
    /// Maximum number of connected devices of one user.
    sockets_per_user: usize = 20;
    /// Maximum number of sockets of one Application.
    sockets_per_app: usize = 100;
    /// Maximum number of used assertions and ID tokens of one user that are remembered until they
    /// end. A further one is refused until there is room.
    proofs_per_user: usize = 100;
    /// Maximum number of grants of one user.
    grants_per_user: u64 = 500;
    /// Maximum number of sessions of one user. One more ends the session that was unused for the
    /// longest time.
    sessions_per_user: usize = 50;
    /// Maximum number of API keys, of sessions, and of grants that are polled, that are cached for
    /// a minute, so that most requests need not ask the database for theirs. With 0 none is.
    cached_credentials: u64 = 10_000;
    /// Maximum number of Applications of one developer.
    apps_per_developer: u64 = 200;
    group "Limits of sizes";
    /// Maximum number of bytes of a frame from a device.
    device_frame_bytes: usize = 16 * 1024;
    /// Maximum number of bytes of a frame from an AppService.
    app_frame_bytes: usize = 1024 * 1024;
    /// Maximum number of bytes of a REST body.
    body_bytes: usize = 1024 * 1024;
    /// Maximum number of characters of an Application's name.
    app_name_characters: usize = 200;
    /// Maximum number of characters of an Application's description.
    app_description_characters: usize = 2_000;
    /// Maximum number of characters of an Application's domain; a host name has at most 253.
    app_domain_characters: usize = 253;
    group "Applications";
    /// If true, a domain may prove its ownership over plain HTTP.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    domain_http: bool = false;
}

/// The hosts that are asked for the keys of BrowserID issuers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BrowserIdDiscovery {
    /// None: only assertions of the development issuer are accepted.
    Off,
    /// Only the hosts of the settings.
    AllowListed,
    /// The domain of every e-mail, and the hosts that it delegates to.
    Open,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object on each line.
    Json,
}
