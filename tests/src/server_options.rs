//! The options of the server of a test.

use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::CertificateAuthority;

/// The flag that gives the metrics an address of their own.
pub(crate) const METRICS_FLAG: &str = "metrics-listen";

/// The options of a server. The default is development mode with short times: a grace time and a
/// warm-up of 0.5 seconds, a drain time of 0.2 seconds, settlements written each 0.05 seconds, and
/// receipts that are not held.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub(crate) flags: Vec<(String, String)>,
    pub(crate) production: bool,
    pub(crate) limits: Vec<String>,
    pub(crate) log: Option<Arc<OwnedFd>>,
    pub(crate) tls: Option<CertificateAuthority>,
    /// The URL of the database, if it is not one of the server's own.
    pub(crate) database: Option<String>,
    /// The program, if it is not the one that is tested.
    pub(crate) program: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let (flags, limits) = (Vec::new(), Vec::new());
        let (log, tls, database, program) = (None, None, None, None);
        Self { flags, production: false, limits, log, tls, database, program }
            .with("grace-seconds", 0.5)
            .with("drain-seconds", 0.2)
            .with("warm-up-seconds", 0.5)
            .with("settle-seconds", 0.05)
            .with("receipt-hold-seconds", 0)
            .with("log", "info")
    }
}

impl ServerOptions {
    /// Sets a setting by the name of its flag, without the dashes.
    #[must_use]
    pub fn with(mut self, flag: &str, value: impl Display) -> Self {
        self.flags.retain(|(name, _)| name != flag);
        self.flags.push((flag.to_owned(), value.to_string()));
        self
    }

    /// Serves the metrics, for [`Server::metrics`](crate::Server::metrics).
    #[must_use]
    pub fn with_metrics(self) -> Self {
        self.with(METRICS_FLAG, "127.0.0.1:0")
    }

    /// Starts the server without development mode.
    #[must_use]
    pub fn production(self) -> Self {
        Self { production: true, ..self }.with("browserid-issuers", "idp.example.org")
    }

    /// Starts the server in development mode, as by default.
    #[must_use]
    pub fn development(self) -> Self {
        Self { production: false, ..self }
    }

    /// Serves TLS with the files of an authority.
    #[must_use]
    pub fn over_tls(self, authority: &CertificateAuthority) -> Self {
        let (certificate, key) = (authority.certificate(), authority.key());
        let with_files =
            self.with("tls-certificate", certificate.display()).with("tls-key", key.display());
        Self { tls: Some(authority.clone()), ..with_files }
    }

    /// Limits the size of each file, the database included, to a number of blocks of 1024 bytes. A
    /// write beyond the limit fails with an error.
    #[must_use]
    pub fn files_of_at_most(self, blocks: u64) -> Self {
        self.limited(format!("-f {blocks}"))
    }

    /// Limits the number of open files, with all connections.
    #[must_use]
    pub fn open_files_at_most(self, files: u64) -> Self {
        self.limited(format!("-n {files}"))
    }

    /// Writes the log to an open file or pipe, instead of the file that
    /// [`Server::log_so_far`](crate::Server::log_so_far) reads.
    #[must_use]
    pub fn log_to(self, output: impl Into<OwnedFd>) -> Self {
        Self { log: Some(Arc::new(output.into())), ..self }
    }

    /// Uses the database at a URL.
    #[must_use]
    pub fn with_database(self, url: &str) -> Self {
        Self { database: Some(url.to_owned()), ..self }
    }

    /// Starts another program, such as an older version of the server.
    #[must_use]
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    fn limited(mut self, limit: String) -> Self {
        self.limits.push(limit);
        self
    }
}
