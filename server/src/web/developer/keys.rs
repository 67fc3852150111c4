//! The API keys of an Application: created, shown once, revoked.

use poem::http::StatusCode;
use poem::web::Path;
use presence_protocol::Errno;

use crate::page::{LocalPath, Notice, PageResponse};
use crate::web::forms::UserForm;
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;

use super::application::{ApplicationPage, FormResult};

/// Creates a key, and shows it.
pub(super) async fn create(form: UserForm, AppInPath(app): AppInPath) -> PageResult {
    let mut result = FormResult::default();
    let status = match form.service().api_keys().create(form.user_id(), app).await {
        Ok(created) => {
            result.new_key = Some(created.secret);
            StatusCode::OK
        }
        Err(error) if error.errno == Errno::TooLarge => {
            let problem = "You have reached the maximum number of keys. Delete one that you do \
                           not use.";
            result.key_problem = Some(problem.to_owned());
            StatusCode::CONFLICT
        }
        Err(error) => return Err(error.into()),
    };
    let app = form.service().applications().find(form.user_id(), app).await?;
    let page = ApplicationPage::of(form.visitor(), form.user_id(), app, result).await?;
    Ok(page.respond(form.visitor(), status))
}

/// Deletes a key.
pub(super) async fn delete(
    form: UserForm,
    AppInPath(app): AppInPath,
    Path((_, key)): Path<(String, i64)>,
) -> PageResult {
    let notice = match form.service().api_keys().delete(form.user_id(), app, key).await {
        Ok(()) => Notice::KeyDeleted,
        Err(error) if error.errno == Errno::NotFound => Notice::NoSuchKey,
        Err(error) => return Err(error.into()),
    };
    Ok(PageResponse::redirect(&LocalPath::of_application(app), notice))
}
