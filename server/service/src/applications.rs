//! The Applications of developers: registration, changes, activation.

use std::sync::Arc;

use presence_core::model::{App, ApplicationState};
use presence_core::{Clock, UserId};
use presence_protocol::{ApiError, AppId, Errno};
use presence_store::{AppChanges, NewDomain, Store, Writer};

use crate::activation::ActivationLock;
use crate::api_keys::{ApiKeys, NewKey};
use crate::errors::from_store;
use crate::ownership::find_owned;
use crate::rules;
use crate::settings::ServiceSettings;
use crate::to_end::to_end;

/// The texts of an Application that is to be registered.
pub struct Registration {
    /// The name.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// The description.
    pub description: String,
}

/// The texts of an Application that are to be changed. `None` leaves a text as it is.
#[derive(Default)]
pub struct ApplicationChanges {
    /// The name.
    pub name: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// The description.
    pub description: Option<String>,
}

/// The Applications of developers.
pub struct Applications {
    store: Store,
    writer: Writer,
    clock: Arc<dyn Clock>,
    activation: Arc<ActivationLock>,
    keys: Arc<ApiKeys>,
    settings: Arc<ServiceSettings>,
}

impl Applications {
    pub(crate) fn new(
        (store, writer): (Store, Writer),
        clock: Arc<dyn Clock>,
        activation: Arc<ActivationLock>,
        keys: Arc<ApiKeys>,
        settings: Arc<ServiceSettings>,
    ) -> Self {
        Self { store, writer, clock, activation, keys, settings }
    }

    /// Registers an Application.
    ///
    /// # Errors
    ///
    /// `invalid_field`, `too_large` if the developer has too many, `storage_unavailable`.
    pub async fn register(
        &self,
        owner: UserId,
        registration: Registration,
    ) -> Result<App, ApiError> {
        let Registration { name, domain, description } = registration;
        self.check_texts(Some(&name), Some(&domain), Some(&description))?;
        let app = App {
            id: AppId::from_bits(rand::random()),
            owner,
            name,
            domain,
            description,
            state: ApplicationState::Registered,
            domain_key: generate_domain_key(),
            created_at: self.clock.now(),
            last_looked_at: None,
            blocked_at: None,
            previous_name: None,
        };
        let limit = self.settings.apps_per_developer;
        if self.store.insert_app(&app, limit).await.map_err(from_store)? {
            return Ok(app);
        }
        Err(ApiError::detailed(Errno::TooLarge, format_args!("at most {limit} applications")))
    }

    /// Returns the Applications of a developer.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn list(&self, owner: UserId) -> Result<Vec<App>, ApiError> {
        self.store.apps_of(owner).await.map_err(from_store)
    }

    /// Finds an Application of a developer.
    ///
    /// # Errors
    ///
    /// `unknown_application`, also if the Application belongs to another developer;
    /// `storage_unavailable`.
    pub async fn find(&self, owner: UserId, app: AppId) -> Result<App, ApiError> {
        find_owned(&self.store, owner, app).await
    }

    /// Changes an Application. A new domain has to be verified; until then the Application is
    /// stopped. Grants for another domain wait until the users agree again.
    ///
    /// # Errors
    ///
    /// As [`Applications::find`], and `invalid_field`.
    pub async fn update(
        &self,
        owner: UserId,
        app: AppId,
        changes: ApplicationChanges,
    ) -> Result<App, ApiError> {
        let ApplicationChanges { name, domain, description } = changes;
        self.check_texts(name.as_deref(), domain.as_deref(), description.as_deref())?;
        let activation = self.activation.acquire().await?;
        let before = self.find(owner, app).await?;
        let domain = domain.filter(|domain| *domain != before.domain).map(|domain| NewDomain {
            domain,
            domain_key: generate_domain_key(),
            state: ApplicationState::Registered,
        });
        let (changes, now) = (AppChanges { name, description }, self.clock.now());
        let (store, writer) = (self.store.clone(), self.writer.clone());
        to_end(async move {
            if let Some(domain) = domain {
                // The grants wait before the Application can be verified and activated again. The
                // commit deactivates it in the hub.
                writer.change_domain(app, domain).await.map_err(from_store)?;
            }
            let after = store.update_app(app, changes, now).await.map_err(from_store)?;
            activation.note_change();
            after.ok_or(Errno::UnknownApplication.into())
        })
        .await
    }

    /// Removes an Application with everything held about it.
    ///
    /// # Errors
    ///
    /// As [`Applications::find`].
    pub async fn remove(&self, owner: UserId, app: AppId) -> Result<(), ApiError> {
        self.find(owner, app).await?;
        self.writer.remove_app(app).await.map(drop).map_err(from_store)
    }

    /// Activates an Application. The first activation creates its first key, which is shown once.
    ///
    /// # Errors
    ///
    /// As [`Applications::find`], `domain_not_verified`, and `application_not_active` if the
    /// operator has blocked it.
    pub async fn activate(
        &self,
        owner: UserId,
        app: AppId,
    ) -> Result<(App, Option<NewKey>), ApiError> {
        let activation = self.activation.acquire().await?;
        let app = self.find(owner, app).await?;
        if app.state == ApplicationState::Registered {
            return Err(Errno::DomainNotVerified.into());
        }
        if app.blocked_at.is_some() {
            return Err(ApiError::detailed(
                Errno::ApplicationNotActive,
                "the operator has blocked it",
            ));
        }
        activation.set_state(app.id, ApplicationState::Active).await?;
        let is_first = app.state == ApplicationState::Verified;
        let key = if is_first { self.keys.create_first(app.id).await? } else { None };
        Ok((App { state: ApplicationState::Active, ..app }, key))
    }

    /// Deactivates an Application, and closes its sockets.
    ///
    /// # Errors
    ///
    /// As [`Applications::find`], and `application_not_active`.
    pub async fn deactivate(&self, owner: UserId, app: AppId) -> Result<App, ApiError> {
        let activation = self.activation.acquire().await?;
        let app = self.find(owner, app).await?;
        match app.state {
            // A blocked Application reads as inactive, and may be active once the block ends.
            ApplicationState::Inactive if app.blocked_at.is_none() => return Ok(app),
            ApplicationState::Registered | ApplicationState::Verified => {
                return Err(Errno::ApplicationNotActive.into());
            }
            ApplicationState::Active | ApplicationState::Inactive => {}
        }
        activation.set_state(app.id, ApplicationState::Inactive).await?;
        Ok(App { state: ApplicationState::Inactive, ..app })
    }

    /// Returns the number of users who let an Application of a developer see them, including paused
    /// grants.
    ///
    /// # Errors
    ///
    /// As [`Applications::find`].
    pub async fn count_grants(&self, owner: UserId, app: AppId) -> Result<u64, ApiError> {
        let app = self.find(owner, app).await?;
        self.store.count_grants_of(app.id).await.map_err(from_store)
    }

    fn check_texts(
        &self,
        name: Option<&str>,
        domain: Option<&str>,
        description: Option<&str>,
    ) -> Result<(), ApiError> {
        let limits = self.settings.texts;
        if let Some(name) = name {
            rules::check_display_text("name", name, limits.name, false)?;
        }
        if let Some(domain) = domain {
            rules::check_domain(domain, limits.domain, self.settings.development)?;
        }
        description.map_or(Ok(()), |text| {
            rules::check_display_text("description", text, limits.description, true)
        })
    }
}

fn generate_domain_key() -> String {
    format!("presence-domain-key-{:032x}", rand::random::<u128>())
}
