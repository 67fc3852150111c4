//! Stands in for the presence server's own page of consent, which is not there yet: asks whether the room may see somebody, makes the
//! grant by REST, and sends the browser back with the answer, as that page will.
//!
//! It lets anybody be anyone, and so works with development servers only. No application may have such a page: a user's consent is
//! between them and the presence server.

use poem::http::StatusCode;
use poem::web::{Data, Form, Html, Query};
use poem::{Response, handler};
use presence_examples::development;
use serde::Deserialize;

use crate::html;
use crate::pages::{Member, RejectedUpgrade, Site, go_to};

/// The question, as it is to be put to the presence server's page.
#[derive(Deserialize)]
pub(crate) struct Question {
    redirect: String,
    state: String,
}

/// The answer of the user.
#[derive(Deserialize)]
pub(crate) struct Answer {
    name: String,
    redirect: String,
    state: String,
    decision: String,
}

/// Where the room sends a browser for its user's consent.
pub(crate) fn page(site: &Site, state: &str) -> String {
    format!("/consent?redirect={}/back&state={state}", site.url)
}

#[handler]
pub(crate) fn ask(Query(question): Query<Question>, Member { name, .. }: Member) -> Html<String> {
    let main = format!(
        "<main class=card><h1>May “The room” see whether you can be reached?</h1>\
         <p>It will see whether you are online, unavailable or offline, and your status text, under a name that no other \
         application knows. It may send you notifications. You can pause or end this at any time.</p>\
         <form method=post action=/consent class=stack>\
         <label for=name>You are (of dev.localhost)</label>\
         <input id=name name=name required maxlength=64 autocomplete=off value=\"{}\">\
         <input type=hidden name=redirect value=\"{}\"><input type=hidden name=state value=\"{}\">\
         <div class=choice><button name=decision value=no>No</button>\
         <button class=main name=decision value=yes>Yes</button></div></form>\
         <p class=note>This page stands in for the presence server’s own.</p></main>",
        html::escape(&name.to_lowercase()),
        html::escape(&question.redirect),
        html::escape(&question.state),
    );
    Html(html::page("Consent", &main))
}

#[handler]
pub(crate) async fn decide(
    Data(site): Data<&Site>,
    _member: Member,
    Form(answer): Form<Answer>,
) -> Result<Response, RejectedUpgrade> {
    let back = format!("{}/back", site.url);
    if answer.redirect != back {
        return Err(RejectedUpgrade(
            StatusCode::BAD_REQUEST,
            "The redirect is not the room's.".to_owned(),
        ));
    }
    // Of the form alone; what comes in is not put into a URL as it is.
    let state: String = answer.state.chars().filter(char::is_ascii_alphanumeric).collect();
    if answer.decision != "yes" {
        return Ok(go_to(&format!("{back}?state={state}")));
    }
    let email = format!("{}@dev.localhost", answer.name.trim());
    let user = development::sign_in(&site.api, &email).await?;
    let granted = user.grant_and_return(site.appid, &back, Some(&state)).await?;
    Ok(go_to(&granted.redirect.unwrap_or(back)))
}
