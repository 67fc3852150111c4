//! The HTTP routes of the chat room.

use std::sync::Arc;

use poem::endpoint::make_sync;
use poem::http::{Method, StatusCode, header};
use poem::middleware::{SetHeader, SizeLimit};
use poem::web::{Data, Form, Html, Query};
use poem::{
    Body, Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Response, Route,
    get, handler, post,
};
use presence_client::{AppId, AppServiceChannel, Puid, ServerUrl};
use serde::Deserialize;

use crate::chat_room::{ChatRoom, ChatRoomError, MemberId};
use crate::grant::{GRANT_RESULT_PATH, GrantLink};
use crate::{html, presence, updates};

/// The content security policy: everything is loaded from the chat room, and no other site can show
/// it in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The name of the cookie that identifies a member.
const COOKIE_NAME: &str = "chatroom";
/// The maximum size of a request body, in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// The state of the web server.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) room: Arc<ChatRoom>,
    pub(crate) channel: AppServiceChannel,
    pub(crate) server: ServerUrl,
    pub(crate) appid: AppId,
    /// The URL of the chat room, without a slash at the end.
    pub(crate) url: String,
}

/// Returns all routes.
pub(crate) fn routes(site: Site) -> impl Endpoint {
    let limited = || SizeLimit::new(MAX_BODY_BYTES);
    Route::new()
        .at("/", get(home))
        .at("/join", post(join.with(limited())))
        .at("/share", get(share))
        .at(GRANT_RESULT_PATH, get(grant_result))
        .at("/messages", post(send_message.with(limited())))
        .at("/ping", post(ping.with(limited())))
        .at("/events", get(events))
        .at("/chatroom.css", asset("text/css; charset=utf-8", include_str!("chatroom.css")))
        .at("/chatroom.js", asset("text/javascript; charset=utf-8", include_str!("chatroom.js")))
        .at("/icon.svg", asset("image/svg+xml", include_str!("icon.svg")))
        .before(check_origin)
        .data(site)
        .with(
            SetHeader::new()
                .overriding(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)
                .overriding(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
                // With `no-referrer` the forms of the page would be sent without an origin.
                .overriding(header::REFERRER_POLICY, "same-origin")
                .appending(header::CACHE_CONTROL, "no-store"),
        )
}

/// Refuses a form that the page of another site has posted.
async fn check_origin(request: Request) -> poem::Result<Request> {
    let host = request.header(header::HOST).unwrap_or_default();
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, origin)| origin == host);
    if request.method() == Method::POST && !request.header(header::ORIGIN).is_none_or(is_own) {
        let text = "This request did not come from the page of the chat room.".to_owned();
        return Err(ErrorPage(StatusCode::FORBIDDEN, text).into());
    }
    Ok(request)
}

fn asset(content_type: &'static str, text: &'static str) -> impl Endpoint<Output = Response> {
    make_sync(move |_| text.with_content_type(content_type).into_response())
}

/// The member who sends the request, identified by the cookie.
pub(crate) struct CurrentMember {
    pub(crate) id: MemberId,
    pub(crate) name: String,
}

impl<'a> FromRequest<'a> for CurrentMember {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let room = request.data::<Site>().map(|site| &site.room);
        let member = room.zip(cookie(request)).and_then(|(room, cookie)| room.member(cookie));
        let text = || "You are not a member of the chat room. Please join again.".to_owned();
        let (id, name) = member.ok_or_else(|| ErrorPage(StatusCode::UNAUTHORIZED, text()))?;
        Ok(Self { id, name })
    }
}

fn cookie(request: &Request) -> Option<&str> {
    let cookies = request.headers().get_all(header::COOKIE).iter();
    let mut pairs =
        cookies.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// An error, shown as a page.
#[derive(Debug)]
pub(crate) struct ErrorPage(pub(crate) StatusCode, pub(crate) String);

impl From<ErrorPage> for poem::Error {
    fn from(ErrorPage(status, text): ErrorPage) -> Self {
        let page = Html(html::message("Error", &text)).with_status(status);
        Self::from_response(page.into_response())
    }
}

impl From<ChatRoomError> for ErrorPage {
    fn from(error: ChatRoomError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<presence_client::Error> for ErrorPage {
    fn from(error: presence_client::Error) -> Self {
        Self(StatusCode::BAD_GATEWAY, format!("The Presence server reports an error: {error}."))
    }
}

/// Redirects to another page, also after a form.
fn redirect(url: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, url).finish()
}

#[handler]
fn home(Data(site): Data<&Site>, request: &Request) -> Html<String> {
    let member = cookie(request).and_then(|cookie| site.room.member(cookie));
    Html(member.map_or_else(html::join, |(id, _)| html::chatroom(&site.room.view(id))))
}

#[derive(Deserialize)]
struct JoinForm {
    name: String,
}

#[handler]
fn join(
    Data(site): Data<&Site>,
    Form(JoinForm { name }): Form<JoinForm>,
) -> Result<Response, ErrorPage> {
    let cookie_value = site.room.join(&name)?;
    let cookie = format!("{COOKIE_NAME}={cookie_value}; Path=/; HttpOnly; SameSite=Lax");
    Ok(redirect("/").with_header(header::SET_COOKIE, cookie).into_response())
}

/// Sends a member to the grant page of the Presence server.
#[handler]
fn share(
    Data(site): Data<&Site>,
    CurrentMember { id, name }: CurrentMember,
) -> Result<Response, ErrorPage> {
    let state = site.room.start_grant(id);
    let link = GrantLink {
        server: &site.server,
        appid: site.appid,
        chatroom_url: &site.url,
        state: &state,
        name: &name,
    };
    let url = link.url();
    let url = url.map_err(|error| ErrorPage(StatusCode::BAD_GATEWAY, error.to_string()))?;
    Ok(redirect(&url))
}

/// The query with which the Presence server sends a member back. There is no PUID if the member
/// declined.
#[derive(Deserialize)]
struct GrantResult {
    #[serde(rename = "Presence-UID")]
    uid: Option<Puid>,
    state: String,
}

#[handler]
fn grant_result(
    Data(site): Data<&Site>,
    CurrentMember { id, .. }: CurrentMember,
    Query(GrantResult { uid, state }): Query<GrantResult>,
) -> Result<Response, ErrorPage> {
    site.room.finish_grant(id, &state, uid)?;
    Ok(redirect("/"))
}

#[derive(Deserialize)]
struct MessageForm {
    text: String,
}

#[handler]
fn send_message(
    Data(site): Data<&Site>,
    CurrentMember { id, .. }: CurrentMember,
    Form(MessageForm { text }): Form<MessageForm>,
) -> Result<Response, ErrorPage> {
    site.room.add_message(id, &text)?;
    Ok(redirect("/"))
}

#[derive(Deserialize)]
struct PingForm {
    member: MemberId,
}

#[handler]
async fn ping(
    Data(site): Data<&Site>,
    CurrentMember { id, .. }: CurrentMember,
    Form(PingForm { member }): Form<PingForm>,
) -> Result<Response, ErrorPage> {
    let ping = site.room.ping(id, member)?;
    let queued = presence::send_ping(&site.channel, ping, &site.url).await?;
    site.room.add_ping(id, member, queued.id);
    Ok(redirect("/"))
}

#[handler]
fn events(
    Data(site): Data<&Site>,
    CurrentMember { id, .. }: CurrentMember,
) -> Result<Response, ErrorPage> {
    let updates = updates::updates(site.room.open_page(id)?);
    Ok(Response::builder().content_type("text/event-stream").body(Body::from_bytes_stream(updates)))
}
