//! The API keys of an Application: several at once, so that one can be changed without a gap.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use presence_core::ApiKey;
use presence_core::UnixMillis;
use secrecy::ExposeSecret;

use super::ApiTag;
use super::credential::AccountAuth;
use super::error_response::ErrorResponse;
use super::views::{Done, Id, example};

pub(super) struct KeysApi;

/// A new key.
#[derive(Object)]
#[oai(rename = "MadeKey", example)]
struct MadeKeyView {
    /// Its name.
    id: i64,
    /// The key, shown this once.
    api_key: String,
    /// Its first characters, by which lists show it.
    prefix: String,
    /// When it was made.
    created_at: u64,
}

impl Example for MadeKeyView {
    fn example() -> Self {
        Self {
            id: 2,
            api_key: example::API_KEY.to_owned(),
            prefix: example::PREFIX.to_owned(),
            created_at: example::BEGINNING,
        }
    }
}

/// A key, without its secret.
#[derive(Object)]
#[oai(rename = "Key", skip_serializing_if_is_none)]
struct KeyView {
    /// Its name.
    id: i64,
    /// Its first characters.
    prefix: String,
    /// When it was made.
    created_at: u64,
    /// When it was last used, to the minute.
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
        let (prefix, created_at) = (example::PREFIX.to_owned(), example::BEGINNING);
        let last_used_at = Some(created_at + example::HOUR);
        Self { keys: vec![KeyView { id: 2, prefix, created_at, last_used_at }] }
    }
}

/// A key that was made.
#[derive(ApiResponse)]
enum KeyMade {
    /// The key works.
    #[oai(status = 201)]
    Created(
        Json<MadeKeyView>,
        /// Where the key is.
        #[oai(header = "Location")]
        String,
        /// No cache keeps it.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi(tag = "ApiTag::Applications")]
impl KeysApi {
    /// Make a further API key.
    ///
    /// It works beside the others, so that a key can be changed without a gap. It is shown this once.
    #[oai(path = "/apps/:appid/keys", method = "post", operation_id = "create_key")]
    async fn create(&self, user: AccountAuth, appid: Path<Id>) -> Result<KeyMade, ErrorResponse> {
        let app = appid.app()?;
        let made = user.service().api_keys().create(user.caller.user, app).await?;
        let location = format!("/apps/{app}/keys/{}", made.key.id);
        let view = MadeKeyView {
            id: made.key.id,
            api_key: made.secret.expose_secret().to_owned(),
            prefix: made.key.prefix,
            created_at: made.key.created_at.get(),
        };
        Ok(KeyMade::Created(Json(view), location, "no-store".to_owned()))
    }

    /// List the API keys.
    ///
    /// By their first characters: the keys themselves are not kept.
    #[oai(path = "/apps/:appid/keys", method = "get", operation_id = "list_keys")]
    async fn list(
        &self,
        user: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<KeyList>, ErrorResponse> {
        let keys = user.service().api_keys().list(user.caller.user, appid.app()?).await?;
        Ok(Json(KeyList { keys: keys.into_iter().map(KeyView::from).collect() }))
    }

    /// Delete an API key.
    ///
    /// Only the sockets that use it are closed.
    #[oai(path = "/apps/:appid/keys/:id", method = "delete", operation_id = "delete_key")]
    async fn delete(
        &self,
        user: AccountAuth,
        appid: Path<Id>,
        id: Path<i64>,
    ) -> Result<Json<Done>, ErrorResponse> {
        user.service().api_keys().delete(user.caller.user, appid.app()?, id.0).await?;
        Ok(Done::new())
    }
}
