//! Who looks at a page.

use std::ops::Deref;
use std::sync::Arc;

use askama::Template;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{FromRequest, Request, RequestBody, Response};
use presence_core::{Scope, UserId};
use presence_protocol::Errno;
use presence_service::PresenceService;
use presence_service::sessions::AuthenticatedUser;

use crate::context::ServerContext;
use crate::http::{AuthenticatedRequest, ErrorResponse, RequestContext};
use crate::page::{self, NOTICE_COOKIE, Notice, Place, Policy, Shell, Viewer};

use super::return_path;

/// Anybody who looks at a page, signed in or not.
pub(crate) struct Visitor {
    /// What every handler may use.
    pub(crate) context: Arc<ServerContext>,
    user: Option<AuthenticatedRequest>,
    notice: Option<Notice>,
}

impl Visitor {
    /// Who looks. A session of the wrong scope, or one that has ended, is as none.
    pub(crate) async fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let RequestContext { context, .. } = RequestContext::of(request)?;
        let user = match AuthenticatedRequest::of(request).await {
            Ok(user) => Some(user).filter(|user| user.caller.scope == Scope::Account),
            Err(refusal) if is_stranger(refusal.ko().errno) => None,
            Err(refusal) => return Err(refusal),
        };
        let notice = crate::http::cookie(request, NOTICE_COOKIE);
        let notice = notice.and_then(|name| Notice::from_name(&name));
        Ok(Self { context, user, notice })
    }

    /// The service.
    pub(crate) fn service(&self) -> &PresenceService {
        &self.context.service
    }

    /// Whose session it is.
    pub(crate) fn caller(&self) -> Option<&AuthenticatedUser> {
        self.user.as_ref().map(|user| &user.caller)
    }

    /// The frame of a page for this visitor.
    pub(crate) fn shell(&self, title: impl Into<String>, place: Place) -> Shell {
        let viewer = self.user.as_ref().map(|user| Viewer {
            email: user.caller.email.as_str().to_owned(),
            csrf_token: user.csrf_token().unwrap_or_default(),
        });
        Shell {
            title: title.into(),
            place,
            viewer,
            notice: self.notice,
            development: self.context.dev_issuer.is_some(),
        }
    }

    /// A page as the answer.
    pub(crate) fn show(&self, template: &impl Template) -> Response {
        self.show_with(template, StatusCode::OK, &Policy::new())
    }

    /// A page as the answer, with a status and a policy of its own.
    pub(crate) fn show_with(
        &self,
        template: &impl Template,
        status: StatusCode,
        policy: &Policy,
    ) -> Response {
        let mut response = page::show(template, status, policy);
        if self.notice.is_some() {
            set_cookie(&mut response, &notice_cookie("", 0));
        }
        response
    }
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request).await?)
    }
}

fn is_stranger(errno: Errno) -> bool {
    matches!(errno, Errno::NotAuthenticated | Errno::SessionExpired | Errno::Forbidden)
}

/// Somebody who is signed in; anybody else is sent to sign in, and comes back.
pub(crate) struct SignedIn {
    visitor: Visitor,
    /// Whose session it is.
    pub(crate) caller: AuthenticatedUser,
}

impl SignedIn {
    /// The user.
    pub(crate) fn me(&self) -> UserId {
        self.caller.user
    }
}

impl Deref for SignedIn {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.visitor
    }
}

impl<'a> FromRequest<'a> for SignedIn {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let visitor = Visitor::of(request).await?;
        if let Some(caller) = visitor.caller().cloned() {
            return Ok(Self { visitor, caller });
        }
        let back = request.uri().path_and_query().map_or("/", |path| path.as_str());
        Err(poem::Error::from_response(page::see_other(&return_path::sign_in(back))))
    }
}

/// An answer that sends the browser on and lets the next page say what was done.
pub(crate) fn see_other(location: &str, notice: Notice) -> Response {
    let mut response = page::see_other(location);
    set_cookie(&mut response, &notice_cookie(notice.name(), 60));
    response
}

/// Adds a cookie to an answer.
pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn notice_cookie(name: &str, seconds: u32) -> String {
    format!("{NOTICE_COOKIE}={name}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax")
}
