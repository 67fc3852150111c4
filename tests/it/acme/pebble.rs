//! A certificate authority for tests: Pebble, with a name server that leads each name to this
//! machine, and a proxy in the place of port 443.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use presence_tests::{
    CertificateAuthority, FaultProxy, ServerOptions, TIMEOUT, child_command, free_address,
};
use reqwest::{Certificate, Client};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// The folder with the programs, which `tests/acme/run` installs.
const PROGRAMS: &str = "PRESENCE_TEST_PEBBLE";
/// The name that is ordered.
pub(super) const NAME: &str = "presence.pebble.test";
/// The name that the authority refuses.
pub(super) const REFUSED_NAME: &str = "refused.pebble.test";
/// The address that nobody may see.
pub(super) const CONTACT: &str = "operator@contact.pebble.test";

/// A certificate authority, which may not run yet.
pub(super) struct Pebble {
    folder: TempDir,
    /// The authority of the directory's own certificate.
    authority: CertificateAuthority,
    directory: SocketAddr,
    management: SocketAddr,
    names: SocketAddr,
    /// The address to which the authority connects for each name.
    pub(super) port_443: FaultProxy,
    config: Value,
    environment: Vec<(&'static str, &'static str)>,
    running: Vec<Child>,
}

impl Pebble {
    /// Returns one that does not run, and whose certificates have this lifetime.
    pub(super) async fn stopped(lifetime: Duration) -> Self {
        let authority = CertificateAuthority::default();
        let port_443 = FaultProxy::to_address(free_address()).await;
        let (directory, management) = (free_address(), free_address());
        let profile = json!({"description": "of the tests", "validityPeriod": lifetime.as_secs()});
        let config = json!({
            "listenAddress": directory,
            "managementListenAddress": management,
            "certificate": authority.certificate(),
            "privateKey": authority.key(),
            "httpPort": 1,
            "tlsPort": port_443.address().port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "domainBlocklist": [REFUSED_NAME],
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": profile},
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority,
            directory,
            management,
            names: free_address(),
            port_443,
            config,
            environment: vec![("PEBBLE_WFE_NONCEREJECT", "0"), ("PEBBLE_AUTHZREUSE", "0")],
            running: Vec::new(),
        }
    }

    /// Starts one whose certificates are valid for a long time.
    pub(super) async fn start() -> Self {
        let mut pebble = Self::stopped(Duration::from_hours(90 * 24)).await;
        pebble.run().await;
        pebble
    }

    /// Changes the configuration of one that does not run.
    pub(super) fn configure(&mut self, name: &str, value: Value) {
        self.config[name] = value;
    }

    /// Sets an environment variable of one that does not run.
    pub(super) fn set(&mut self, name: &'static str, value: &'static str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value));
    }

    /// Starts the programs, and waits until the directory can be read.
    pub(super) async fn run(&mut self) {
        let path = self.folder.path().join("config.json");
        std::fs::write(&path, json!({"pebble": self.config}).to_string()).unwrap();
        let names = self.names.to_string();
        let mut names_command = child_command(program("pebble-challtestsrv"));
        names_command.args(["-dnsserver", &names, "-defaultIPv6", ""]);
        for unused in ["-http01", "-https01", "-tlsalpn01", "-doh", "-management"] {
            names_command.args([unused, ""]);
        }
        let mut pebble = child_command(program("pebble"));
        pebble.arg("-config").arg(&path).args(["-dnsserver", &names]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").envs(self.environment.iter().copied());
        for mut command in [names_command, pebble] {
            let log = std::fs::File::options().create(true).append(true).open(self.log_path());
            let log = log.unwrap();
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            self.running.push(command.spawn().unwrap());
        }
        let ready = async {
            while TcpStream::connect(self.management).await.is_err()
                || TcpStream::connect(self.names).await.is_err()
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(TIMEOUT, ready).await.unwrap_or_else(|_| panic!("no Pebble: {}", self.log()));
    }

    /// Ends the programs.
    pub(super) async fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            child.kill().await.unwrap();
        }
    }

    /// Returns the options of a server that gets its certificate here.
    pub(super) fn server_options(&self) -> ServerOptions {
        let ca = self.folder.path().join("directory-ca.pem");
        std::fs::write(&ca, self.authority.root_pem()).unwrap();
        ServerOptions::default()
            .production()
            .with("public-url", format!("https://{NAME}"))
            .with("acme-domains", NAME)
            .with("acme-terms-agreed", true)
            .with("acme-contact", CONTACT)
            .with("acme-directory", format!("https://{}/dir", self.directory))
            .with("acme-directory-ca", ca.display())
            .with("acme-retry-seconds", 1)
    }

    /// Writes a file into the folder of this authority, and returns its path.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Returns the configuration of a client that trusts the certificates of this authority only.
    pub(super) async fn client(&self) -> Arc<ClientConfig> {
        let trusted = Certificate::from_der(self.authority.root()).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
        let url = format!("https://{}/roots/0", self.management);
        let root = client.get(url).send().await.unwrap().bytes().await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// Returns the number of orders that were made.
    pub(super) fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os(PROGRAMS);
    let folder = folder.unwrap_or_else(|| panic!("tests/acme/run sets {PROGRAMS}"));
    PathBuf::from(folder).join(name)
}
