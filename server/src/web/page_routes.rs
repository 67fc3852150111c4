//! The routes of pages. A handler can be added only if its first argument decides about access, and
//! a handler of POST requests only if that argument is a verified form.

use std::marker::PhantomData;

use poem::http::Method;
use poem::web::{Path, Query};
use poem::{Endpoint, FromRequest, IntoResponse, Request, RequestBody, Response};
use presence_protocol::{ApiError, Errno};
use serde::de::DeserializeOwned;

use crate::http::ErrorResponse;
use crate::page::PageResponse;
use crate::route_table::{RouteTable, SharedEndpoint};

/// The result of a page handler.
pub(crate) type PageResult = Result<PageResponse, PageError>;

/// The response to a request that a handler or an argument does not accept: an error of the
/// registry, or a redirect.
pub(crate) struct PageError(poem::Error);

impl From<Errno> for PageError {
    fn from(errno: Errno) -> Self {
        ErrorResponse::from(errno).into()
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        ErrorResponse::from(error).into()
    }
}

impl From<ErrorResponse> for PageError {
    fn from(error: ErrorResponse) -> Self {
        Self(error.into())
    }
}

impl From<PageResponse> for PageError {
    fn from(response: PageResponse) -> Self {
        Self(poem::Error::from_response(response.into_response()))
    }
}

/// An argument of a page handler.
pub(crate) trait FromPageRequest: Sized + Send {
    /// Reads the argument from a request.
    fn from_page_request(
        request: &Request,
        body: &mut RequestBody,
    ) -> impl Future<Output = Result<Self, PageError>> + Send;
}

/// An argument that decides who may see a page.
pub(crate) trait PageAccess: FromPageRequest {}

/// An argument that proves that a form was sent by a page of this server.
pub(crate) trait VerifiedSubmission: FromPageRequest {}

impl<T: DeserializeOwned + Send> FromPageRequest for Path<T> {
    async fn from_page_request(
        request: &Request,
        body: &mut RequestBody,
    ) -> Result<Self, PageError> {
        <Self as FromRequest>::from_request(request, body).await.map_err(PageError)
    }
}

impl<T: DeserializeOwned + Send> FromPageRequest for Query<T> {
    async fn from_page_request(
        request: &Request,
        body: &mut RequestBody,
    ) -> Result<Self, PageError> {
        <Self as FromRequest>::from_request(request, body).await.map_err(PageError)
    }
}

/// An asynchronous function of up to five arguments that returns a [`PageResult`].
pub(crate) trait PageHandler<Arguments>: Send + Sync + 'static {
    /// The first argument.
    type First: FromPageRequest;

    /// Reads the arguments in their order, and calls the function.
    fn call(
        &self,
        request: &Request,
        body: &mut RequestBody,
    ) -> impl Future<Output = PageResult> + Send;
}

macro_rules! page_handlers {
    ($(($($argument:ident)*);)+) => {$(
        impl<Function, Output, First, $($argument),*> PageHandler<(First, $($argument,)*)> for Function
        where
            Function: Fn(First, $($argument),*) -> Output + Send + Sync + 'static,
            Output: Future<Output = PageResult> + Send,
            First: FromPageRequest,
            $($argument: FromPageRequest,)*
        {
            type First = First;

            async fn call(&self, request: &Request, body: &mut RequestBody) -> PageResult {
                self(
                    First::from_page_request(request, body).await?,
                    $($argument::from_page_request(request, body).await?,)*
                )
                .await
            }
        }
    )+};
}

page_handlers! {
    ();
    (Second);
    (Second Third);
    (Second Third Fourth);
    (Second Third Fourth Fifth);
}

/// The endpoint of a page handler.
struct PageEndpoint<Handler, Arguments> {
    handler: Handler,
    /// Indicates that the address of the page is a secret.
    hides_address: bool,
    arguments: PhantomData<fn(Arguments)>,
}

impl<Handler, Arguments> Endpoint for PageEndpoint<Handler, Arguments>
where
    Handler: PageHandler<Arguments>,
    Arguments: 'static,
{
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (request, mut body) = request.split();
        match self.handler.call(&request, &mut body).await {
            Ok(response) if self.hides_address => Ok(response.without_referrer().into_response()),
            Ok(response) => Ok(response.into_response()),
            Err(PageError(error)) => Err(error),
        }
    }
}

/// The list of pages.
pub(super) struct PageRoutes(RouteTable);

impl PageRoutes {
    /// Returns a list without pages. The fallback handles all other requests.
    pub(super) fn new(fallback: SharedEndpoint) -> Self {
        Self(RouteTable::new(fallback))
    }

    /// Adds a page.
    pub(super) fn get<Handler, Arguments>(self, path: &'static str, handler: Handler) -> Self
    where
        Handler: PageHandler<Arguments>,
        Handler::First: PageAccess,
        Arguments: 'static,
    {
        self.add(Method::GET, path, handler, false)
    }

    /// Adds a page whose address holds a secret, so that no other page may learn the address.
    pub(super) fn get_without_referrer<Handler, Arguments>(
        self,
        path: &'static str,
        handler: Handler,
    ) -> Self
    where
        Handler: PageHandler<Arguments>,
        Handler::First: PageAccess,
        Arguments: 'static,
    {
        self.add(Method::GET, path, handler, true)
    }

    /// Adds the target of a form.
    pub(super) fn post<Handler, Arguments>(self, path: &'static str, handler: Handler) -> Self
    where
        Handler: PageHandler<Arguments>,
        Handler::First: VerifiedSubmission,
        Arguments: 'static,
    {
        self.add(Method::POST, path, handler, false)
    }

    /// Adds a path that is a page with GET, and a call of the REST API with another method.
    pub(super) fn delegate(
        self,
        method: Method,
        path: &'static str,
        endpoint: SharedEndpoint,
    ) -> Self {
        Self(self.0.add_unlisted(method, path, endpoint))
    }

    /// Returns the routes.
    pub(super) fn into_table(self) -> RouteTable {
        self.0
    }

    fn add<Handler, Arguments>(
        self,
        method: Method,
        path: &'static str,
        handler: Handler,
        hides_address: bool,
    ) -> Self
    where
        Handler: PageHandler<Arguments>,
        Arguments: 'static,
    {
        let endpoint = PageEndpoint { handler, hides_address, arguments: PhantomData };
        Self(self.0.add(method, path, endpoint))
    }
}
