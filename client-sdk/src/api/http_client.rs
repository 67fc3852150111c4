//! How calls travel: over shared connections, within a time limit, never further than the server that was named.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Instrument;

use crate::error::Error;
use crate::net::{Connector, Unreachable};
use crate::server_url::ServerUrl;
use crate::timing::Timing;

use super::answer::Answer;
use super::call::Call;
use super::connection::{Good, Opener};

/// The most bytes of an answer.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How long a connection is kept for a further call: shorter than servers and proxies keep theirs, so that it is we who close it.
const IDLE: Duration = Duration::from_secs(15);
/// The most connections that are kept.
const IDLE_CONNECTIONS: usize = 4;

/// Makes calls. Clones share the connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<Opener, String>,
    server: Arc<ServerUrl>,
    within: Duration,
}

impl Http {
    pub(super) fn new(server: ServerUrl, connector: Connector, timing: &Timing) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(Opener::new(connector, timing.connect_timeout));
        Self { client, server: Arc::new(server), within: timing.request_timeout }
    }

    pub(super) fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Makes a call, and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let span =
            tracing::debug_span!("api.call", method = %call.method(), path = call.template());
        let answered = async {
            let answered = timeout(self.within, self.exchange(&call)).await;
            let read = answered.unwrap_or(Err(Error::TimedOut)).and_then(Answer::read);
            match &read {
                Ok(_) => tracing::debug!("api.answered"),
                Err(error) => tracing::debug!(%error, "api.failed"),
            }
            read
        };
        answered.instrument(span).await
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Error> {
        // Each round that is not the last uses up a kept connection.
        for _ in 0..IDLE_CONNECTIONS {
            match self.send(call.request(&self.server)?).await {
                Err(failed) if failed.stale && call.is_harmless_twice() => {}
                sent => return sent.map_err(|failed| failed.error),
            }
        }
        self.send(call.request(&self.server)?).await.map_err(|failed| failed.error)
    }

    async fn send(&self, request: Request<String>) -> Result<Answer, Failed> {
        let sent = self.client.request(request).await;
        let (head, body) = sent.map_err(|error| Failed::of(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| Failed::midway(&*error))?;
        if let Some(good) = head.extensions.get::<Good>() {
            good.prove();
        }
        Ok(Answer::new(&head, body.to_bytes().into()))
    }
}

/// An exchange that failed.
struct Failed {
    error: Error,
    /// Whether the connection had been kept from an earlier call, and did not give even the beginning of an answer.
    stale: bool,
}

impl Failed {
    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let stale = error.connect_info().is_some_and(Good::was);
        Self { error: Unreachable::new(error).into(), stale }
    }

    fn midway(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let error = if error.is::<LengthLimitError>() {
            Error::Unexpected(format!("an answer of more than {ANSWER_BYTES} bytes"))
        } else {
            Error::Unreachable(format!("the answer broke off: {error}"))
        };
        Self { error, stale: false }
    }
}
