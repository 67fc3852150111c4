//! The room over HTTP: its pages, what is done there, and who does it.

use std::sync::Arc;

use poem::endpoint::make_sync;
use poem::http::{Method, StatusCode, header};
use poem::middleware::{SetHeader, SizeLimit};
use poem::web::{Data, Form, Html, Query};
use poem::{
    Body, Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Response, Route,
    get, handler, post,
};
use presence_client::{AppId, AppServiceChannel, PresenceApi, Puid};
use serde::Deserialize;

use crate::room::{MemberId, Refusal, Room};
use crate::{consent, html, live, presence};

/// Only what comes from here is shown, run or asked for, and in no other site's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const COOKIE: &str = "room";
const LARGEST_BODY: usize = 8 * 1024;

/// What the pages work with.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) room: Arc<Room>,
    pub(crate) channel: AppServiceChannel,
    pub(crate) api: PresenceApi,
    pub(crate) appid: AppId,
    /// Where browsers find the room, without a slash at the end.
    pub(crate) url: String,
}

/// Everything that the room serves.
pub(crate) fn routes(site: Site) -> impl Endpoint {
    let small = || SizeLimit::new(LARGEST_BODY);
    Route::new()
        .at("/", get(home))
        .at("/join", post(join.with(small())))
        .at("/share", get(share))
        .at("/back", get(back))
        .at("/consent", get(consent::ask).post(consent::decide.with(small())))
        .at("/say", post(say.with(small())))
        .at("/ping", post(ping.with(small())))
        .at("/events", get(events))
        .at("/room.css", fixed("text/css; charset=utf-8", include_str!("room.css")))
        .at("/room.js", fixed("text/javascript; charset=utf-8", include_str!("room.js")))
        .at("/icon.svg", fixed("image/svg+xml", include_str!("icon.svg")))
        .before(only_own_pages_post)
        .data(site)
        .with(
            SetHeader::new()
                .overriding(header::CONTENT_SECURITY_POLICY, POLICY)
                .overriding(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
                // Not `no-referrer`, with which a page's own forms would come without an origin.
                .overriding(header::REFERRER_POLICY, "same-origin")
                .appending(header::CACHE_CONTROL, "no-store"),
        )
}

/// Refuses what another site's page makes a member's browser post.
async fn only_own_pages_post(request: Request) -> poem::Result<Request> {
    let host = request.header(header::HOST).unwrap_or_default();
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, origin)| origin == host);
    if request.method() == Method::POST && !request.header(header::ORIGIN).is_none_or(own) {
        let text = "This was not asked for by the room's own page.".to_owned();
        return Err(RejectedUpgrade(StatusCode::FORBIDDEN, text).into());
    }
    Ok(request)
}

fn fixed(kind: &'static str, text: &'static str) -> impl Endpoint<Output = Response> {
    make_sync(move |_| text.with_content_type(kind).into_response())
}

/// The member who asks, known by the cookie.
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) name: String,
}

impl<'a> FromRequest<'a> for Member {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let room = request.data::<Site>().map(|site| &site.room);
        let member = room.zip(cookie(request)).and_then(|(room, key)| room.member(key));
        let text = || "You are no member, or not any more.".to_owned();
        let (id, name) = member.ok_or_else(|| RejectedUpgrade(StatusCode::UNAUTHORIZED, text()))?;
        Ok(Self { id, name })
    }
}

fn cookie(request: &Request) -> Option<&str> {
    let cookies = request.headers().get_all(header::COOKIE).iter();
    let mut pairs =
        cookies.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// A refusal as a page.
#[derive(Debug)]
pub(crate) struct RejectedUpgrade(pub(crate) StatusCode, pub(crate) String);

impl From<RejectedUpgrade> for poem::Error {
    fn from(RejectedUpgrade(status, text): RejectedUpgrade) -> Self {
        let page = Html(html::message("That did not work", &text)).with_status(status);
        Self::from_response(page.into_response())
    }
}

impl From<Refusal> for RejectedUpgrade {
    fn from(refusal: Refusal) -> Self {
        Self(StatusCode::BAD_REQUEST, refusal.to_string())
    }
}

impl From<presence_client::Error> for RejectedUpgrade {
    fn from(error: presence_client::Error) -> Self {
        Self(StatusCode::BAD_GATEWAY, format!("Presence: {error}"))
    }
}

/// On to another page, also after a post.
pub(crate) fn go_to(url: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, url).finish()
}

#[handler]
fn home(Data(site): Data<&Site>, request: &Request) -> Html<String> {
    let member = cookie(request).and_then(|key| site.room.member(key));
    Html(member.map_or_else(html::join, |(id, _)| html::room(&site.room.view(id))))
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[handler]
fn join(
    Data(site): Data<&Site>,
    Form(Name { name }): Form<Name>,
) -> Result<Response, RejectedUpgrade> {
    let key = site.room.join(&name)?;
    let cookie = format!("{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax");
    Ok(go_to("/").with_header(header::SET_COOKIE, cookie).into_response())
}

/// Sends a member to where they say whether the room may see them.
#[handler]
fn share(Data(site): Data<&Site>, Member { id, .. }: Member) -> Response {
    go_to(&consent::page(site, &site.room.asks(id)))
}

/// What comes back from there. Without a PUID the answer was no.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Presence-UID")]
    uid: Option<Puid>,
    state: String,
}

#[handler]
fn back(
    Data(site): Data<&Site>,
    Member { id, .. }: Member,
    Query(Answer { uid, state }): Query<Answer>,
) -> Result<Response, RejectedUpgrade> {
    site.room.answered(id, &state, uid)?;
    Ok(go_to("/"))
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[handler]
fn say(
    Data(site): Data<&Site>,
    Member { id, .. }: Member,
    Form(Text { text }): Form<Text>,
) -> Result<Response, RejectedUpgrade> {
    site.room.say(id, &text)?;
    Ok(go_to("/"))
}

#[derive(Deserialize)]
struct Whom {
    whom: MemberId,
}

#[handler]
async fn ping(
    Data(site): Data<&Site>,
    Member { id, .. }: Member,
    Form(Whom { whom }): Form<Whom>,
) -> Result<Response, RejectedUpgrade> {
    let ping = site.room.ping(id, whom)?;
    let queued = presence::ping(&site.channel, ping, &site.url).await?;
    site.room.pinged(id, whom, queued.id);
    Ok(go_to("/"))
}

#[handler]
fn events(Data(site): Data<&Site>, Member { id, .. }: Member) -> Result<Response, RejectedUpgrade> {
    let news = live::news(site.room.enter(id)?);
    Ok(Response::builder().content_type("text/event-stream").body(Body::from_bytes_stream(news)))
}
