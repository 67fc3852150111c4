//! The use cases of a user's permissions.

use presence_core::model::{App, ApplicationState, Grant};
use presence_core::{UnixMillis, UserId};
use presence_protocol::{ApiError, AppId, Errno, Puid};
use presence_store::GrantedApp;

use crate::refusal::of_store;
use crate::rules;
use crate::service::PresenceService;

/// Where a user wants to go after a decision.
#[derive(Debug, Clone, Default)]
pub struct RedirectTarget {
    /// The page of the Application.
    pub redirect: Option<String>,
    /// What it wants to get back untouched.
    pub state: Option<String>,
}

/// A permission that was given.
#[derive(Debug)]
pub struct GrantOutcome {
    /// The name of the user for the Application.
    pub uid: Puid,
    /// Where to go, where that was asked for.
    pub redirect: Option<String>,
}

impl PresenceService {
    /// The Application that a user is asked to let see them: one whose domain was verified.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `application_not_active`, `storage_unavailable`.
    pub async fn grantable_app(&self, app: AppId) -> Result<App, ApiError> {
        let app = self.store.app(app).await.map_err(of_store)?;
        let app = app.ok_or(Errno::UnknownApplication)?;
        match app.state {
            ApplicationState::Active => Ok(app),
            ApplicationState::Registered
            | ApplicationState::Verified
            | ApplicationState::Inactive => Err(Errno::ApplicationNotActive.into()),
        }
    }

    /// Lets an Application see a user. Again, it answers the same.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::grantable_app`], and `redirect_not_allowed`; then nothing was granted.
    pub async fn grant(
        &self,
        user: UserId,
        app: AppId,
        target: &RedirectTarget,
    ) -> Result<GrantOutcome, ApiError> {
        let app = self.grantable_app(app).await?;
        self.redirect(&app, target, None)?;
        let fresh = Puid::from_bits(rand::random());
        let granted = self.writer.grant(user, app.id, fresh, self.now()).await.map_err(of_store)?;
        let uid = granted.ok_or(Errno::UnknownApplication)?.puid;
        let redirect = self.redirect(&app, target, Some(uid))?;
        Ok(GrantOutcome { uid, redirect })
    }

    /// Where a user goes who said no.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::grantable_app`], and `redirect_not_allowed`.
    pub async fn decline(
        &self,
        app: AppId,
        target: &RedirectTarget,
    ) -> Result<Option<String>, ApiError> {
        let app = self.grantable_app(app).await?;
        self.redirect(&app, target, None)
    }

    /// The permissions of a user, with when each Application last looked.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn grants_of(&self, user: UserId) -> Result<Vec<GrantedApp>, ApiError> {
        let mut granted = self.store.granted_apps(user).await.map_err(of_store)?;
        for entry in &mut granted {
            entry.last_looked_at = entry.last_looked_at.max(self.looked_now(entry.grant.app));
        }
        Ok(granted)
    }

    /// Pauses or resumes a permission.
    ///
    /// # Errors
    ///
    /// `unknown_application` where there is no such permission, `storage_unavailable`.
    pub async fn pause(&self, user: UserId, app: AppId, paused: bool) -> Result<Grant, ApiError> {
        let grant = self.writer.pause(user, app, paused).await.map_err(of_store)?;
        grant.ok_or(Errno::UnknownApplication.into())
    }

    /// Revokes a permission: the PUID is dead.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::pause`].
    pub async fn revoke(&self, user: UserId, app: AppId) -> Result<(), ApiError> {
        let grant = self.writer.revoke(user, app).await.map_err(of_store)?;
        grant.map(drop).ok_or(Errno::UnknownApplication.into())
    }

    fn looked_now(&self, app: AppId) -> Option<UnixMillis> {
        self.hub.find_topic(app).and_then(|room| room.last_access(self.now()))
    }

    fn redirect(
        &self,
        app: &App,
        to: &RedirectTarget,
        uid: Option<Puid>,
    ) -> Result<Option<String>, ApiError> {
        let Some(target) = &to.redirect else { return Ok(None) };
        let development = self.settings.development;
        let url = rules::redirect(target, &app.domain, development, uid, to.state.as_deref())?;
        Ok(Some(url.into()))
    }
}
