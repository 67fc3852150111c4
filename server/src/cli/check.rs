//! The command `check`, which checks that the certificate, the shared secret, the collector of
//! traces, the database and the issuers can be used.

use std::sync::Arc;

use presence_core::Clock as _;
use presence_identity::browserid::{DocumentQuery, KeySource};
use presence_service::clock::SystemClock;

use super::database;
use super::output::{CommandError, failure, print, usage_error};
use crate::lifecycle::error::with_causes;
use crate::settings::Settings;
use crate::tls::PreparedTls;
use crate::tls::files::FileTls;
use crate::traces::Traces;
use crate::{browserid, oidc, traces};

/// Checks everything that the settings name. Asks no other party than the database if it is
/// `offline`. Changes nothing.
pub(super) async fn run(settings: Settings, offline: bool) -> Result<(), CommandError> {
    for warning in settings.warnings() {
        print(&format!("warning: {warning}"))?;
    }
    check_tls(&settings, offline).await?;
    // The start fails with the same code and words.
    settings.check_sign_in().map_err(usage_error)?;
    if settings.shared_secret().map_err(failure)?.is_some() {
        print("shared secret: ok")?;
    }
    Traces::configured(&settings).map_err(usage_error)?;
    if traces::check(&settings, offline).await.map_err(failure)? {
        print(if offline { "traces: not asked (--offline)" } else { "traces: ok" })?;
    }
    database::check(&settings).await?;
    if offline {
        print("issuers: not asked (--offline)")?;
    } else {
        check_browserid(&settings).await?;
        check_oidc(&settings).await?;
    }
    if settings.dev {
        print("issuer dev.localhost: ok, created at start")?;
    }
    Ok(())
}

/// Checks the certificate. An authority that cannot be reached is a warning: a server starts
/// without it, and may have a certificate already.
async fn check_tls(settings: &Settings, offline: bool) -> Result<(), CommandError> {
    match settings.prepare_tls().map_err(usage_error)? {
        Some(PreparedTls::Files(files)) => check_certificate(settings, &files, offline),
        Some(PreparedTls::Acme(_)) if offline => {
            print("certificate authority: not asked (--offline)")
        }
        Some(PreparedTls::Acme(setup)) => match setup.directory_problem().await {
            None => print("certificate authority: ok"),
            Some(problem) => print(&format!("warning: acme_directory cannot be read: {problem}")),
        },
        None => Ok(()),
    }
}

/// Checks that clients accept a certificate now. One for another host is a warning, since clients
/// may reach this server by another name than others do. `offline`, before each start of the
/// service, one that is not valid now is a warning too: a server starts with it, and takes the next
/// one without a restart.
fn check_certificate(
    settings: &Settings,
    files: &FileTls,
    offline: bool,
) -> Result<(), CommandError> {
    let url = settings.public_url(settings.listen);
    if let Some(problem) = url.and_then(|url| files.name_problem(&url)) {
        print(&format!("warning: {problem}"))?;
    }
    match files.validity_problem(SystemClock::default().now()) {
        None => print("certificate: ok"),
        Some(problem) if offline => print(&format!("warning: {problem}")),
        Some(problem) => Err(failure(problem)),
    }
}

/// Checks that each BrowserID issuer of the settings has a support document.
async fn check_browserid(settings: &Settings) -> Result<(), CommandError> {
    let discovery = browserid::discovery(settings, Arc::new(SystemClock::default()))
        .map_err(|error| failure(with_causes(&error)))?;
    // The settings name no host if discovery is off.
    let Some(discovery) = discovery else { return Ok(()) };
    for issuer in &settings.browserid_hosts() {
        let query = DocumentQuery { host: issuer, domain: issuer, client: None };
        let problem = match discovery.document(query).await {
            Ok(Some(_)) => None,
            Ok(None) => Some("has no support document".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            return Err(failure(format!("issuer {issuer}: {problem}")));
        }
        print(&format!("issuer {issuer}: ok"))?;
    }
    Ok(())
}

/// Checks that each OpenID Connect issuer can be reached, and reports all that cannot.
async fn check_oidc(settings: &Settings) -> Result<(), CommandError> {
    let Some(oidc) = oidc::verifier(settings).map_err(failure)? else { return Ok(()) };
    let mut problems = Vec::new();
    for (name, result) in oidc.check(SystemClock::default().now()).await {
        match result {
            Ok(0) => problems.push(format!("issuer {name}: has no key that can be used")),
            Ok(keys) => print(&format!("issuer {name}: ok, {keys} usable keys"))?,
            Err(error) => problems.push(format!("issuer {name}: {error}")),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(failure(problems.join("; "))) }
}
