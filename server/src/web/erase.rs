//! Erasing an account, once its owner has typed the e-mail address.

use askama::Template;
use presence_core::Email;

use crate::page::{Layout, LocalPath, Notice, PageResponse, Section};

use super::forms::UserForm;
use super::page_routes::PageResult;
use super::visitor::SignedIn;

#[derive(Template)]
#[template(path = "erase.html")]
struct ErasePage {
    layout: Layout,
    email: String,
    grants: usize,
    apps: usize,
    waiting: usize,
}

/// Shows what would be erased.
pub(super) async fn show(signed_in: SignedIn) -> PageResult {
    let account = signed_in.service().accounts().load(signed_in.user_id()).await?;
    let page = ErasePage {
        layout: signed_in.layout("Erase my account", Section::Presence),
        email: account.email.as_str().to_owned(),
        grants: account.grants.len(),
        apps: account.apps.len(),
        waiting: account.notifications.len(),
    };
    Ok(signed_in.show(&page))
}

/// Erases the account if its e-mail address was typed.
pub(super) async fn erase(form: UserForm) -> PageResult {
    let typed = form.fields().get("email").and_then(Email::parse);
    let own = form.visitor().caller().map(|caller| &caller.email);
    if typed.is_none() || typed.as_ref() != own {
        return Ok(PageResponse::redirect(&LocalPath::fixed("/sidebar/erase"), Notice::NotErased));
    }
    form.service().accounts().erase(form.user_id()).await?;
    let response = PageResponse::redirect(&LocalPath::fixed(LocalPath::HOME), Notice::Erased);
    Ok(form.clear_cookie().iter().fold(response, PageResponse::with_cookie))
}
