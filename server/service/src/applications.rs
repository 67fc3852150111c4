//! The use cases of an AppDeveloper: registration, activation, keys. Verification has a room of its own.

use presence_core::UserId;
use presence_core::model::{ApiKey, App, ApplicationState};
use presence_protocol::{ApiError, AppId, CloseCode, Errno};
use presence_store::{AppChanges, NewDomain};
use secrecy::{ExposeSecret, SecretString};

use crate::refusal::of_store;
use crate::rules;
use crate::secret::{self, Kind};
use crate::service::PresenceService;

/// The most keys of an Application.
const KEYS: usize = 20;

/// What a developer says of an Application.
pub struct Registration {
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// What it is.
    pub description: String,
}

/// What a developer changes of an Application.
#[derive(Default)]
pub struct ApplicationChanges {
    /// Its name.
    pub name: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
    /// What it is.
    pub description: Option<String>,
}

/// A key that was just made, shown once.
pub struct NewKey {
    /// What is kept of it.
    pub key: ApiKey,
    /// The key.
    pub secret: SecretString,
}

impl PresenceService {
    /// Registers an Application.
    ///
    /// # Errors
    ///
    /// `invalid_field`, `too_large` where the developer has too many, `storage_unavailable`.
    pub async fn register(&self, owner: UserId, wanted: Registration) -> Result<App, ApiError> {
        let Registration { name, domain, description } = wanted;
        self.check_texts(Some(&name), Some(&domain), Some(&description))?;
        let count = self.store.count_apps_of(owner).await.map_err(of_store)?;
        if count >= self.settings.apps_per_developer {
            let most = self.settings.apps_per_developer;
            return Err(ApiError::detailed(
                Errno::TooLarge,
                format_args!("at most {most} applications"),
            ));
        }
        let app = App {
            id: AppId::from_bits(rand::random()),
            owner,
            name,
            domain,
            description,
            state: ApplicationState::Registered,
            domain_key: domain_key(),
            created_at: self.now(),
            last_looked_at: None,
            blocked_at: None,
        };
        self.store.insert_app(&app).await.map_err(of_store)?;
        Ok(app)
    }

    /// The Applications of a developer.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn apps_of(&self, owner: UserId) -> Result<Vec<App>, ApiError> {
        self.store.apps_of(owner).await.map_err(of_store)
    }

    /// An Application of a developer.
    ///
    /// # Errors
    ///
    /// `unknown_application`, also for somebody else's; `storage_unavailable`.
    pub async fn own_app(&self, owner: UserId, app: AppId) -> Result<App, ApiError> {
        let app = self.store.app(app).await.map_err(of_store)?;
        app.filter(|app| app.owner == owner).ok_or(Errno::UnknownApplication.into())
    }

    /// Changes an Application. Another domain has to be verified again; until then the Application is stopped.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], and `invalid_field`.
    pub async fn change_app(
        &self,
        owner: UserId,
        app: AppId,
        change: ApplicationChanges,
    ) -> Result<App, ApiError> {
        let ApplicationChanges { name, domain, description } = change;
        self.check_texts(name.as_deref(), domain.as_deref(), description.as_deref())?;
        let _switching = self.switching.lock().await;
        let before = self.own_app(owner, app).await?;
        let domain = domain.filter(|domain| *domain != before.domain).map(|domain| NewDomain {
            domain,
            domain_key: domain_key(),
            state: ApplicationState::Registered,
        });
        let moved = domain.is_some();
        let changes = AppChanges { name, description, domain };
        let after = self.store.update_app(app, changes).await.map_err(of_store)?;
        if moved {
            self.hub.set_active(app, false);
        }
        after.ok_or(Errno::UnknownApplication.into())
    }

    /// Removes an Application with everything held of it.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`].
    pub async fn remove_app(&self, owner: UserId, app: AppId) -> Result<(), ApiError> {
        self.own_app(owner, app).await?;
        self.writer.remove_app(app).await.map(drop).map_err(of_store)
    }

    /// Starts an Application. Its first key is made with the first activation, and shown this once.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], `domain_not_verified`, and `application_not_active` where the operator has blocked it.
    pub async fn activate_app(
        &self,
        owner: UserId,
        app: AppId,
    ) -> Result<(App, Option<NewKey>), ApiError> {
        let _switching = self.switching.lock().await;
        let app = self.own_app(owner, app).await?;
        if app.state == ApplicationState::Registered {
            return Err(Errno::DomainNotVerified.into());
        }
        if app.blocked_at.is_some() {
            return Err(ApiError::detailed(
                Errno::ApplicationNotActive,
                "the operator has blocked it",
            ));
        }
        self.store.set_app_state(app.id, ApplicationState::Active).await.map_err(of_store)?;
        self.hub.set_active(app.id, true);
        let keys = self.store.keys_of(app.id).await.map_err(of_store)?;
        let first = app.state == ApplicationState::Verified && keys.is_empty();
        let made = if first { Some(self.insert_key(app.id).await?) } else { None };
        Ok((App { state: ApplicationState::Active, ..app }, made))
    }

    /// Stops an Application, and closes its sockets.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], and `application_not_active`.
    pub async fn deactivate_app(&self, owner: UserId, app: AppId) -> Result<App, ApiError> {
        let _switching = self.switching.lock().await;
        let app = self.own_app(owner, app).await?;
        match app.state {
            // Of a blocked one it is not known here whether it would be active otherwise.
            ApplicationState::Inactive if app.blocked_at.is_none() => return Ok(app),
            ApplicationState::Registered | ApplicationState::Verified => {
                return Err(Errno::ApplicationNotActive.into());
            }
            ApplicationState::Active | ApplicationState::Inactive => {}
        }
        self.store.set_app_state(app.id, ApplicationState::Inactive).await.map_err(of_store)?;
        self.hub.set_active(app.id, false);
        Ok(App { state: ApplicationState::Inactive, ..app })
    }

    /// How many users let an Application of a developer see them, pausing ones too.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`].
    pub async fn count_grants_of(&self, owner: UserId, app: AppId) -> Result<u64, ApiError> {
        let app = self.own_app(owner, app).await?;
        self.store.count_grants_of(app.id).await.map_err(of_store)
    }

    /// Makes a further key.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], `domain_not_verified`, and `too_large` where there are too many.
    pub async fn make_key(&self, owner: UserId, app: AppId) -> Result<NewKey, ApiError> {
        let app = self.own_app(owner, app).await?;
        if app.state == ApplicationState::Registered {
            return Err(Errno::DomainNotVerified.into());
        }
        if self.store.keys_of(app.id).await.map_err(of_store)?.len() >= KEYS {
            return Err(ApiError::detailed(Errno::TooLarge, format_args!("at most {KEYS} keys")));
        }
        self.insert_key(app.id).await
    }

    /// The keys of an Application, without their secrets.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`].
    pub async fn keys(&self, owner: UserId, app: AppId) -> Result<Vec<ApiKey>, ApiError> {
        let app = self.own_app(owner, app).await?;
        self.store.keys_of(app.id).await.map_err(of_store)
    }

    /// Deletes a key, and closes its sockets.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], and `not_found`.
    pub async fn delete_key(&self, owner: UserId, app: AppId, key: i64) -> Result<(), ApiError> {
        let app = self.own_app(owner, app).await?;
        if !self.store.delete_key(app.id, key).await.map_err(of_store)? {
            return Err(Errno::NotFound.into());
        }
        if let Some(room) = self.hub.find_topic(app.id) {
            room.close(Some(key), CloseCode::ApplicationClosed);
        }
        Ok(())
    }

    async fn insert_key(&self, app: AppId) -> Result<NewKey, ApiError> {
        let kind = if self.settings.development { Kind::TestKey } else { Kind::LiveKey };
        let made = secret::mint(kind);
        let text = made.expose_secret();
        let prefix = secret::shown_part(text).ok_or(Errno::Internal)?;
        let digest = secret::sha256(text);
        let key = self.store.insert_key(app, prefix, digest, self.now()).await.map_err(of_store)?;
        Ok(NewKey { key, secret: made })
    }

    fn check_texts(
        &self,
        name: Option<&str>,
        domain: Option<&str>,
        description: Option<&str>,
    ) -> Result<(), ApiError> {
        let most = self.settings.texts;
        if let Some(name) = name {
            rules::display_text("name", name, most.name, false)?;
        }
        if let Some(domain) = domain {
            rules::domain(domain, most.domain, self.settings.development)?;
        }
        description
            .map_or(Ok(()), |text| rules::display_text("description", text, most.description, true))
    }
}

fn domain_key() -> String {
    format!("presence-domain-key-{:032x}", rand::random::<u128>())
}
