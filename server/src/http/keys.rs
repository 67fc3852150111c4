//! The API keys of an Application. An Application can have several at once, so that it can replace
//! one without an interruption.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use presence_core::ApiKey;
use presence_core::UnixMillis;
use secrecy::ExposeSecret;

use super::credential::AccountAuth;
use super::operation_error::{ApplicationErrors, DeclaredErrors, OperationError, declared_errors};
use super::tag::ApiTag;
use super::views::{Done, Id, example};

pub(super) struct KeysApi;

declared_errors! {
    /// The errors of creating a key.
    CreateKeyErrors: [TooLarge, UnknownApplication, DomainNotVerified, StorageUnavailable];
    /// The errors of deleting a key.
    DeleteKeyErrors: [UnknownApplication, NotFound, StorageUnavailable];
}

/// A new key.
#[derive(Object)]
#[oai(rename = "MadeKey", example)]
struct NewKeyView {
    /// The number of the key.
    id: i64,
    /// The key itself, which is shown only once.
    api_key: String,
    /// The first characters of the key, which lists show in its place.
    prefix: String,
    /// The time at which the key was created.
    created_at: u64,
}

impl Example for NewKeyView {
    fn example() -> Self {
        Self {
            id: 2,
            api_key: example::API_KEY.to_owned(),
            prefix: example::PREFIX.to_owned(),
            created_at: example::START_TIME,
        }
    }
}

/// A key, without its secret.
#[derive(Object)]
#[oai(rename = "Key", skip_serializing_if_is_none)]
struct KeyView {
    /// The number of the key.
    id: i64,
    /// The first characters of the key.
    prefix: String,
    /// The time at which the key was created.
    created_at: u64,
    /// The time of the last use, to the minute.
    last_used_at: Option<u64>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, prefix, created_at, last_used_at, .. } = key;
        let last_used_at = last_used_at.map(UnixMillis::get);
        Self { id, prefix, created_at: created_at.get(), last_used_at }
    }
}

/// The keys of an Application.
#[derive(Object)]
#[oai(example)]
struct KeyList {
    /// The keys.
    keys: Vec<KeyView>,
}

impl Example for KeyList {
    fn example() -> Self {
        let (prefix, created_at) = (example::PREFIX.to_owned(), example::START_TIME);
        let last_used_at = Some(created_at + example::HOUR);
        Self { keys: vec![KeyView { id: 2, prefix, created_at, last_used_at }] }
    }
}

/// The response to the creation of a key.
#[derive(ApiResponse)]
enum KeyCreated {
    /// The key is valid from now on.
    #[oai(status = 201)]
    Created(
        Json<NewKeyView>,
        /// The path of the key.
        #[oai(header = "Location")]
        String,
        /// `no-store`, since the body has a secret.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi(tag = "ApiTag::Applications")]
impl KeysApi {
    /// Create an API key.
    ///
    /// It is valid beside the others, so that a key can be replaced without an interruption. It is
    /// shown only once.
    #[oai(path = "/apps/:appid/keys", method = "post", operation_id = "create_key")]
    async fn create(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<KeyCreated, OperationError<CreateKeyErrors>> {
        let app = appid.app()?;
        let created = auth.service().api_keys().create(auth.caller.user, app).await?;
        let location = format!("/apps/{app}/keys/{}", created.key.id);
        let view = NewKeyView {
            id: created.key.id,
            api_key: created.secret.expose_secret().to_owned(),
            prefix: created.key.prefix,
            created_at: created.key.created_at.get(),
        };
        Ok(KeyCreated::Created(Json(view), location, "no-store".to_owned()))
    }

    /// List the API keys.
    ///
    /// The list has their first characters only: the server does not store the keys themselves.
    #[oai(path = "/apps/:appid/keys", method = "get", operation_id = "list_keys")]
    async fn list(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<KeyList>, OperationError<ApplicationErrors>> {
        let keys = auth.service().api_keys().list(auth.caller.user, appid.app()?).await?;
        Ok(Json(KeyList { keys: keys.into_iter().map(KeyView::from).collect() }))
    }

    /// Delete an API key.
    ///
    /// The server closes the sockets that use this key, and no others.
    #[oai(path = "/apps/:appid/keys/:id", method = "delete", operation_id = "delete_key")]
    async fn delete(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
        id: Path<i64>,
    ) -> Result<Json<Done>, OperationError<DeleteKeyErrors>> {
        auth.service().api_keys().delete(auth.caller.user, appid.app()?, id.0).await?;
        Ok(Done::new())
    }
}
