//! The visitor of a page, with or without a session.

use std::ops::Deref;
use std::sync::Arc;

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, RequestBody};
use presence_core::{Scope, UserId};
use presence_protocol::Errno;
use presence_service::PresenceService;
use presence_service::sessions::AuthenticatedUser;

use crate::compression::ContentCoding;
use crate::context::ServerContext;
use crate::cookie::Cookie;
use crate::http::{AuthenticatedRequest, ErrorResponse, RequestContext};
use crate::page::{
    ContentPolicy, Layout, LayoutUser, LocalPath, Notice, PageResponse, PublicPage, Section,
};

use super::page_routes::{FromPageRequest, PageAccess, PageError};
use super::request_parts::PathAndQuery;

/// A visitor of a page, signed in or not.
pub(crate) struct Visitor {
    context: Arc<ServerContext>,
    /// The session that the request carries, of any scope.
    session: Option<AuthenticatedRequest>,
    notice: Option<Notice>,
}

impl Visitor {
    /// Returns the visitor of a request. A session that has ended counts as none, and so does a
    /// wrong token of an address that has to wait.
    pub(crate) async fn of(request: &Request) -> Result<Self, ErrorResponse> {
        let RequestContext { context, .. } = RequestContext::of(request)?;
        match AuthenticatedRequest::of(request).await {
            Ok(user) => Ok(Self::new(request, context, Some(user))),
            Err(error) if is_signed_out(error.api_error().errno) => {
                Ok(Self::new(request, context, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the visitor with a session that was already read.
    pub(super) fn new(
        request: &Request,
        context: Arc<ServerContext>,
        session: Option<AuthenticatedRequest>,
    ) -> Self {
        let notice = Cookie::NOTICE.read(request, false);
        let notice = notice.and_then(|name| Notice::from_name(&name));
        Self { context, session, notice }
    }

    /// Returns the server's context.
    pub(crate) fn context(&self) -> &ServerContext {
        &self.context
    }

    /// Returns the service.
    pub(crate) fn service(&self) -> &PresenceService {
        &self.context.service
    }

    /// Returns the session that the request carries, of any scope.
    pub(crate) fn session(&self) -> Option<&AuthenticatedRequest> {
        self.session.as_ref()
    }

    /// Returns the user who is signed in. A session that is for devices only counts as none.
    pub(crate) fn caller(&self) -> Option<&AuthenticatedUser> {
        self.account_session().map(|user| &user.caller)
    }

    /// Returns true if the page shows the result of an action.
    pub(super) fn has_notice(&self) -> bool {
        self.notice.is_some()
    }

    /// Returns the layout of a page for this visitor.
    pub(crate) fn layout(&self, title: impl Into<String>, section: Section) -> Layout {
        let user = self.account_session().map(|user| LayoutUser {
            email: user.caller.email.as_str().to_owned(),
            csrf_token: user.csrf_token().unwrap_or_default(),
        });
        Layout {
            title: title.into(),
            section,
            user,
            notice: self.notice,
            development: self.context.dev_issuer.is_some(),
        }
    }

    /// Renders a page.
    pub(crate) fn show(&self, template: &impl Template) -> PageResponse {
        self.show_with(template, StatusCode::OK, &ContentPolicy::page())
    }

    /// Renders a page, unless the script of the page has this version of it.
    pub(super) fn show_unless_known(
        &self,
        template: &impl Template,
        known: Option<&str>,
    ) -> PageResponse {
        if self.has_notice() {
            return self.show(template);
        }
        PageResponse::html_unless_known(template, &ContentPolicy::page(), known)
    }

    /// Shows a page that is the same for every visitor without a session. For such a visitor it was
    /// rendered and compressed before. Any other page has the token of its forms, so it is not
    /// compressed.
    pub(crate) fn show_public(
        &self,
        template: &impl Template,
        page: &PublicPage,
        accepted: ContentCoding,
    ) -> PageResponse {
        if self.session.is_some() || self.notice.is_some() {
            return self.show(template);
        }
        match page.render(template, self.context.dev_issuer.is_some()) {
            Ok(text) => PageResponse::public_html(text, accepted),
            Err(_) => self.show(template),
        }
    }

    /// Renders a page in response to a form that was not accepted.
    pub(crate) fn show_problem(
        &self,
        template: &impl Template,
        status: StatusCode,
    ) -> PageResponse {
        self.show_with(template, status, &ContentPolicy::page())
    }

    /// Renders a page with a status and a policy of its own.
    pub(crate) fn show_with(
        &self,
        template: &impl Template,
        status: StatusCode,
        policy: &ContentPolicy,
    ) -> PageResponse {
        let response = PageResponse::html(template, status, policy);
        if self.notice.is_some() { response.without_notice() } else { response }
    }

    fn account_session(&self) -> Option<&AuthenticatedRequest> {
        self.session.as_ref().filter(|user| user.caller.scope == Scope::Account)
    }
}

impl FromPageRequest for Visitor {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self::of(request).await?)
    }
}

impl PageAccess for Visitor {}

fn is_signed_out(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NotAuthenticated | Errno::SessionExpired | Errno::Forbidden | Errno::SlowDown
    )
}

/// A visitor who is signed in. Any other visitor is sent to the sign-in page, and returns
/// afterwards.
pub(crate) struct SignedIn {
    visitor: Visitor,
    caller: AuthenticatedUser,
}

impl SignedIn {
    /// Returns the user.
    pub(crate) fn user_id(&self) -> UserId {
        self.caller.user
    }
}

impl Deref for SignedIn {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.visitor
    }
}

impl FromPageRequest for SignedIn {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let visitor = Visitor::of(request).await?;
        if let Some(caller) = visitor.caller().cloned() {
            return Ok(Self { visitor, caller });
        }
        let PathAndQuery(path) = PathAndQuery::of(request);
        Err(PageResponse::see_other(&LocalPath::sign_in(&path)).into())
    }
}

impl PageAccess for SignedIn {}
