//! What an AppService says and hears, without a socket.

use std::time::Duration;

use presence_protocol::app::AppServiceAuth;
use presence_protocol::app::client::{self, ServerToAppService};
use presence_protocol::{ApiError, AppId, Errno, RetryAdvice};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::news::News;
use super::requests::{Answer, Requests};
use super::{AppServiceEvent, AppServiceOptions};
use crate::error::{Error, retry_after};
use crate::link::{Loss, Pulled, Talk, Verdict};
use crate::state::ConnectionState;

/// How long to wait with a request that the server could not take, where it does not say.
const A_WHILE: Duration = Duration::from_secs(1);

pub(super) struct AppServiceTalk {
    application: AppId,
    api_key: SecretString,
    /// The key was refused, and no other was given.
    refused: Option<ApiError>,
    receipts: bool,
    state: ConnectionState,
    news: News,
    requests: Requests,
    is_greeted: bool,
    is_accepted: bool,
}

impl AppServiceTalk {
    pub(super) fn new(options: &AppServiceOptions) -> Self {
        let state = ConnectionState::Connecting { attempt: 1 };
        Self {
            application: options.application,
            api_key: options.api_key.clone(),
            refused: None,
            receipts: options.receipts,
            news: News::new(state.clone(), options.cursor.clone()),
            state,
            requests: Requests::default(),
            is_greeted: false,
            is_accepted: false,
        }
    }

    pub(super) fn pull(&mut self) -> Option<Pulled<AppServiceEvent>> {
        self.news.pull()
    }

    pub(super) fn set_api_key(&mut self, api_key: SecretString) {
        self.api_key = api_key;
        self.refused = None;
    }

    /// Where requests can be put, unless none will ever be answered as things are.
    pub(super) fn requests(&mut self) -> Result<&mut Requests, Error> {
        match (&self.state, &self.refused) {
            (ConnectionState::Ended(end), _) => Err(Error::Ended(end.clone())),
            (_, Some(ko)) => Err(Error::Refused(ko.clone())),
            (_, None) => Ok(&mut self.requests),
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.requests.forget(id);
    }

    fn on_ko(&mut self, ko: ApiError, id: Option<u64>, now: Instant) -> Result<(), Loss> {
        if !self.is_accepted {
            return Err(Loss::Refused(ko));
        }
        if ko.errno.retry_advice() == RetryAdvice::AfterWaiting {
            self.requests.hold(id, now + retry_after(&ko).unwrap_or(A_WHILE));
        } else {
            self.requests.refuse(id, Error::Refused(ko));
        }
        Ok(())
    }
}

impl Talk for AppServiceTalk {
    const SUBPROTOCOL: Option<&'static str> = Some(presence_protocol::app::SUBPROTOCOL);

    fn path(&self) -> String {
        format!("/myapps/{}", self.application)
    }

    fn is_ready(&self) -> bool {
        self.refused.is_none()
    }

    fn on_open(&mut self) {
        (self.is_greeted, self.is_accepted) = (false, false);
        self.requests.unsend();
    }

    fn is_accepted(&self) -> bool {
        self.is_accepted
    }

    fn next_frame(&mut self, now: Instant) -> Option<String> {
        if self.is_accepted {
            return self.requests.next_frame(now);
        }
        if std::mem::replace(&mut self.is_greeted, true) {
            return None;
        }
        Some(client::auth(&AppServiceAuth {
            key: Some(self.api_key.expose_secret().to_owned()),
            cursor: self.news.cursor().map(str::to_owned),
            receipts: self.receipts,
        }))
    }

    fn wakes_at(&self) -> Option<Instant> {
        self.requests.wakes_at()
    }

    fn on_frame(&mut self, text: &str, now: Instant) -> Result<(), Loss> {
        let frame = client::parse_frame(text)
            .map_err(|error| Loss::Nonsense(format!("a frame cannot be read: {error}")))?;
        match frame {
            ServerToAppService::AuthOk => self.is_accepted = true,
            ServerToAppService::Notified(results, id) => {
                self.requests.answer(id, Answer::Notified(results))
            }
            ServerToAppService::Queried(presence, id) => {
                self.requests.answer(id, Answer::Queried(presence))
            }
            ServerToAppService::Error(ko, id) => self.on_ko(ko, id, now)?,
            ServerToAppService::Stream(batch) => self.news.add(batch),
            ServerToAppService::Unknown => {}
        }
        Ok(())
    }

    fn on_loss(&mut self, loss: Loss) -> Verdict {
        self.is_accepted = false;
        self.news.interrupt();
        if !loss.blames_the_credential() {
            return loss.verdict();
        }
        let ko = match loss {
            Loss::Refused(ko) => ko,
            Loss::Closed(_) | Loss::Broken(_) | Loss::Nonsense(_) | Loss::GivenUp => {
                Errno::InvalidApiKey.into()
            }
        };
        self.requests.refuse_all(&Error::Refused(ko.clone()));
        self.refused = Some(ko.clone());
        Verdict::Await(ConnectionState::SignedOut(ko))
    }

    fn state(&self) -> &ConnectionState {
        &self.state
    }

    fn set_state(&mut self, state: ConnectionState) {
        if self.state == state {
            return;
        }
        tracing::debug!(?state, "the channel's state");
        if let ConnectionState::Ended(end) = &state {
            self.requests.refuse_all(&Error::Ended(end.clone()));
        }
        self.state = state.clone();
        self.news.state(state);
    }
}

#[cfg(test)]
mod tests;
