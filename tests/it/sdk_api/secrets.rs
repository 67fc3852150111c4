//! Logs and debug output hold no secrets.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use presence_client::{NewNotification, Scope};
use presence_tests::Server;
use secrecy::ExposeSecret;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level};

use super::{api_at, api_of};

/// A writer that keeps the log.
#[derive(Clone, Default)]
pub(crate) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLog {
    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Captures the log of this thread at the most detailed level from now on.
pub(crate) fn capture_log() -> (CapturedLog, tracing::subscriber::DefaultGuard) {
    // A second subscriber that lives for ever. With only one, a callsite that another thread
    // reaches first is disabled for all threads.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    LazyLock::force(&SECOND);
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn neither_the_log_nor_debug_output_holds_a_secret() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let api = api_of(&server);
    let (log, _logging) = capture_log();

    let assertion = api.dev_assertion("alice@dev.localhost").await.unwrap();
    let signed_in = api.sign_in(assertion.clone(), Scope::Account).await.unwrap();
    let alice = api.user(signed_in.token.clone());
    let (session, account) = (alice.session().await.unwrap(), alice.account().await.unwrap());
    let again = api.sign_in(assertion.clone(), Scope::Account).await.unwrap_err();
    let service = api.app_service(application.id(), application.api_key.as_str().into());
    service.notify_one(NewNotification::new(uid, "Hello")).await.unwrap();
    let owner = api.user(application.owner.token.as_str().into());
    let made = owner.create_key(application.id()).await.unwrap();
    let gone = api_at("http://127.0.0.1:1").user(signed_in.token.clone());
    let unreachable = gone.session().await.unwrap_err();
    let unsendable = api.user("my\nsecret".into()).session().await.unwrap_err();

    let printed = format!(
        "{api:?} {signed_in:?} {alice:?} {session:?} {account:?} {again:?} {service:?} {made:?} \
         {unreachable:?} {unsendable:?} {again} {unreachable} {unsendable}"
    );
    let logged = log.text();
    for shown in
        ["api.call", r#"method=POST path="/session""#, "/apps/{appid}/notifications", "api.failed"]
    {
        assert!(logged.contains(shown), "{shown} in {logged}");
    }
    for secret in [
        assertion.expose_secret(),
        signed_in.token.expose_secret(),
        &application.api_key,
        &application.owner.token,
        made.api_key.expose_secret(),
        "alice@dev.localhost",
        "my\nsecret",
    ] {
        assert!(!logged.contains(secret), "{secret} in {logged}");
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
