//! The API keys of an Application: made, shown once, revoked.

use poem::http::StatusCode;
use poem::web::Path;
use poem::{Response, handler};
use presence_protocol::Errno;

use crate::http::ErrorResponse;
use crate::page::Notice;
use crate::web::visitor::see_other;
use crate::web::{SignedForm, Visitor};

use super::Named;
use super::application::{ApplicationPage, Once};

#[handler]
pub(super) async fn make(
    visitor: Visitor,
    form: SignedForm,
    Named(app): Named,
) -> poem::Result<Response> {
    let (status, once) = match form.service().api_keys().create(form.me(), app).await {
        Ok(made) => (StatusCode::OK, Once { made: Some(made.secret), ..Once::default() }),
        Err(ko) if ko.errno == Errno::TooLarge => {
            let no_key = "There are as many keys as there may be. Revoke one that is not used.";
            (StatusCode::CONFLICT, Once { no_key: Some(no_key.to_owned()), ..Once::default() })
        }
        Err(ko) => return Err(ErrorResponse::from(ko).into()),
    };
    let app =
        form.service().applications().find(form.me(), app).await.map_err(ErrorResponse::from)?;
    Ok(ApplicationPage::of(&visitor, form.me(), app, once).await?.answer(&visitor, status))
}

#[handler]
pub(super) async fn delete(
    form: SignedForm,
    Named(app): Named,
    Path((_, key)): Path<(String, i64)>,
) -> poem::Result<Response> {
    let notice = match form.service().api_keys().delete(form.me(), app, key).await {
        Ok(()) => Notice::KeyDeleted,
        Err(ko) if ko.errno == Errno::NotFound => Notice::NoSuchKey,
        Err(ko) => return Err(ErrorResponse::from(ko).into()),
    };
    Ok(see_other(&format!("/myapps/{app}"), notice))
}
