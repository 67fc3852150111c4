//! Erasing an account, once its owner has typed whose it is.

use askama::Template;
use poem::{Response, handler};
use presence_core::Email;

use crate::http::ErrorResponse;
use crate::page::{Notice, Place, Shell};
use crate::web::visitor::{see_other, set_cookie};
use crate::web::{SignedForm, SignedIn};

#[derive(Template)]
#[template(path = "erase.html")]
struct ErasePage {
    shell: Shell,
    email: String,
    grants: usize,
    apps: usize,
    waiting: usize,
}

#[handler]
pub(in crate::web) async fn show(visitor: SignedIn) -> poem::Result<Response> {
    let account =
        visitor.service().accounts().load(visitor.me()).await.map_err(ErrorResponse::from)?;
    let page = ErasePage {
        shell: visitor.shell("Erase my account", Place::Presence),
        email: account.email.as_str().to_owned(),
        grants: account.grants.len(),
        apps: account.apps.len(),
        waiting: account.notifications.len(),
    };
    Ok(visitor.show(&page))
}

#[handler]
pub(in crate::web) async fn erase(form: SignedForm) -> poem::Result<Response> {
    let typed = form.fields.get("email").and_then(Email::parse);
    if typed.as_ref() != Some(&form.user.caller.email) {
        return Ok(see_other("/sidebar/erase", Notice::NotErased));
    }
    form.service().accounts().erase(form.me()).await.map_err(ErrorResponse::from)?;
    let mut response = see_other("/", Notice::Erased);
    if let Some(cookie) = form.user.clear_cookie() {
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}
