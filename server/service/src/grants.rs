//! The grants of users, by which they let Applications see them.

use std::sync::Arc;

use presence_core::model::{App, ApplicationState, Grant};
use presence_core::{Clock, UnixMillis, UserId};
use presence_protocol::{ApiError, AppId, Errno, Puid, Status};
use presence_store::{GrantError, GrantedApp, Store, Writer};

use crate::errors::from_store;
use crate::hub::{Hub, SeenByApplication};
use crate::rules;
use crate::settings::ServiceSettings;
use crate::to_end::to_end;
use crate::user_changes::UserChanges;

/// The page to which a user returns after the decision about a grant.
#[derive(Debug, Clone, Default)]
pub struct RedirectTarget {
    /// The URL, on the Application's domain.
    pub redirect: Option<String>,
    /// The text that the Application gets back unchanged.
    pub state: Option<String>,
    /// The domain of the Application that the user was shown, if the request tells it.
    pub shown_domain: Option<String>,
}

/// The outcome of a grant.
#[derive(Debug)]
pub struct GrantOutcome {
    /// The name of the user for the Application.
    pub uid: Puid,
    /// The URL to which the user returns, if one was given.
    pub redirect: Option<String>,
}

/// A grant, with what its Application sees of the user.
#[derive(Debug, Clone)]
pub struct SeenGrant {
    /// The grant, with the details of its Application.
    pub app: GrantedApp,
    /// Set if the Application gets each change now.
    pub is_checking: bool,
    /// The status that the Application sees.
    pub visible_status: Status,
}

/// The grants of users.
pub struct Grants {
    store: Store,
    writer: Writer,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    changes: Arc<UserChanges>,
    development: bool,
    /// The maximum number of grants of a user.
    limit: u64,
}

impl Grants {
    pub(crate) fn new(
        (store, writer): (Store, Writer),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        changes: Arc<UserChanges>,
        settings: &ServiceSettings,
    ) -> Self {
        let ServiceSettings { development, grants_per_user: limit, .. } = *settings;
        Self { store, writer, hub, clock, changes, development, limit }
    }

    /// Finds an Application to which a user can give a grant: an active one.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `application_not_active`, `storage_unavailable`.
    pub async fn find_application(&self, app: AppId) -> Result<App, ApiError> {
        let app = self.store.app(app).await.map_err(from_store)?;
        let app = app.ok_or(Errno::UnknownApplication)?;
        match app.state {
            ApplicationState::Active => Ok(app),
            ApplicationState::Registered
            | ApplicationState::Verified
            | ApplicationState::Inactive => Err(Errno::ApplicationNotActive.into()),
        }
    }

    /// Lets an Application see a user under its domain of today. A second call has the same
    /// outcome.
    ///
    /// # Errors
    ///
    /// As [`Grants::find_application`], `redirect_not_allowed`, `slow_down`, `too_large` if the
    /// user has too many grants, and `invalid_field` if the user was shown another domain: then
    /// nothing was granted.
    pub async fn grant(
        &self,
        user: UserId,
        app: AppId,
        target: &RedirectTarget,
    ) -> Result<GrantOutcome, ApiError> {
        let app = self.find_application(app).await?;
        if target.shown_domain.as_ref().is_some_and(|shown| *shown != app.domain) {
            let detail = "domain is no longer the domain of the application";
            return Err(ApiError::detailed(Errno::InvalidField, detail));
        }
        self.redirect(&app, target, None)?;
        self.changes.show(user)?;
        let (fresh, now) = (Puid::from_bits(rand::random()), self.clock.now());
        let granted = self.writer.grant(user, (app.id, &app.domain), fresh, now).await;
        let uid = granted.map_err(from_store)?.map_err(|error| self.refusal(error))?.puid;
        let redirect = self.redirect(&app, target, Some(uid))?;
        Ok(GrantOutcome { uid, redirect })
    }

    /// Returns the URL to which a user returns who gives no grant: with `error=access_denied`.
    ///
    /// # Errors
    ///
    /// As [`Grants::find_application`], and `redirect_not_allowed`.
    pub async fn decline(
        &self,
        app: AppId,
        target: &RedirectTarget,
    ) -> Result<Option<String>, ApiError> {
        let app = self.find_application(app).await?;
        self.redirect(&app, target, None)
    }

    /// Returns the grants of a user, with the time at which each Application last checked the user.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn list(&self, user: UserId) -> Result<Vec<GrantedApp>, ApiError> {
        Ok(self.list_seen(user).await?.into_iter().map(|seen| seen.app).collect())
    }

    /// Returns the grants of a user, with what each Application sees of the user.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn list_seen(&self, user: UserId) -> Result<Vec<SeenGrant>, ApiError> {
        let mut granted = self.store.granted_apps(user).await.map_err(from_store)?;
        let now = self.clock.now();
        let stored: Vec<(Grant, Option<UnixMillis>)> =
            granted.iter().map(|entry| (entry.grant, entry.last_looked_at)).collect();
        let seen = self.hub.seen_by(&stored).await.map_err(from_store)?;
        for (entry, seen) in granted.iter_mut().zip(&seen) {
            entry.previous_name.take_if(|previous| !previous.is_displayed(now));
            let granted_at = entry.grant.granted_at;
            entry.last_looked_at = seen.last_check.filter(|last| *last >= granted_at);
        }
        let seen_grant = |(app, seen): (GrantedApp, SeenByApplication)| SeenGrant {
            app,
            is_checking: seen.is_checking,
            visible_status: seen.status,
        };
        Ok(granted.into_iter().zip(seen).map(seen_grant).collect())
    }

    /// Pauses or resumes a grant. Pausing is never refused for its rate.
    ///
    /// # Errors
    ///
    /// `unknown_application` if there is no such grant, `slow_down`, `storage_unavailable`.
    pub async fn pause(&self, user: UserId, app: AppId, paused: bool) -> Result<Grant, ApiError> {
        if !paused {
            self.changes.show(user)?;
        }
        let (writer, changes) = (self.writer.clone(), Arc::clone(&self.changes));
        to_end(async move {
            let grant = writer.pause(user, app, paused).await.map_err(from_store)?;
            let grant = grant.ok_or(Errno::UnknownApplication)?;
            if paused {
                changes.hide(user);
            }
            Ok(grant)
        })
        .await
    }

    /// Revokes a grant. Its PUID is never used again.
    ///
    /// # Errors
    ///
    /// As [`Grants::pause`], without `slow_down`.
    pub async fn revoke(&self, user: UserId, app: AppId) -> Result<(), ApiError> {
        let (writer, changes) = (self.writer.clone(), Arc::clone(&self.changes));
        to_end(async move {
            let grant = writer.revoke(user, app).await.map_err(from_store)?;
            grant.ok_or(Errno::UnknownApplication)?;
            changes.hide(user);
            Ok(())
        })
        .await
    }

    fn refusal(&self, error: GrantError) -> ApiError {
        match error {
            GrantError::Unknown => Errno::UnknownApplication.into(),
            GrantError::TooMany => ApiError::detailed(
                Errno::TooLarge,
                format_args!("at most {} grants of one user", self.limit),
            ),
        }
    }

    /// Returns the URL to which a user returns after revoking a grant, if one is asked for. The
    /// Application need not be active.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `redirect_not_allowed`, `storage_unavailable`.
    pub async fn revoke_redirect(
        &self,
        app: AppId,
        redirect: Option<String>,
    ) -> Result<Option<String>, ApiError> {
        let app = self.store.app(app).await.map_err(from_store)?;
        let app = app.ok_or(Errno::UnknownApplication)?;
        let Some(url) = redirect else { return Ok(None) };
        if app.state == ApplicationState::Registered {
            return Err(Errno::RedirectNotAllowed.into());
        }
        Ok(Some(rules::application_url(&url, &app.domain, self.development)?.into()))
    }

    fn redirect(
        &self,
        app: &App,
        target: &RedirectTarget,
        uid: Option<Puid>,
    ) -> Result<Option<String>, ApiError> {
        let Some(url) = &target.redirect else { return Ok(None) };
        let state = target.state.as_deref();
        let url = rules::redirect_url(url, &app.domain, self.development, uid, state)?;
        Ok(Some(url.into()))
    }
}
