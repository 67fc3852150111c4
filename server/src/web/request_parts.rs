//! Small arguments of page handlers: parts of a request that say nothing about the visitor.

use std::net::IpAddr;

use poem::http::header;
use poem::{Request, RequestBody};
use presence_protocol::{AppId, Errno};
use serde::Deserialize;

use crate::client_address;
use crate::compression::ContentCoding;
use crate::page::LocalPath;

use super::page_routes::{FromPageRequest, PageAccess, PageError};

/// The access to a page that is the same for all visitors: no session is read.
pub(super) struct Public;

impl FromPageRequest for Public {
    async fn from_page_request(_: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self)
    }
}

impl PageAccess for Public {}

/// The address of the client.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromPageRequest for ClientAddress {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self(client_address::of(request)))
    }
}

/// The version of the page that the client has, if it has one.
pub(super) struct KnownVersion(pub(super) Option<String>);

impl FromPageRequest for KnownVersion {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self(request.header(header::IF_NONE_MATCH).map(str::to_owned)))
    }
}

impl FromPageRequest for ContentCoding {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self::of(request.headers()))
    }
}

/// The path and the query of the request.
pub(super) struct PathAndQuery(pub(super) String);

impl PathAndQuery {
    /// Reads the path and the query of a request.
    pub(super) fn of(request: &Request) -> Self {
        let path = request.uri().path_and_query();
        Self(path.map_or(LocalPath::HOME, |path| path.as_str()).to_owned())
    }

    /// Returns the query.
    pub(super) fn query(&self) -> &str {
        self.0.split_once('?').map_or("", |(_, query)| query)
    }
}

impl FromPageRequest for PathAndQuery {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        Ok(Self::of(request))
    }
}

/// The Application in the path `/myapps/<appid>`. It is read from the path itself, since the router
/// of the sockets may have named the parameters before.
pub(super) struct AppInPath(pub(super) AppId);

impl FromPageRequest for AppInPath {
    async fn from_page_request(request: &Request, _: &mut RequestBody) -> Result<Self, PageError> {
        let text = request.uri().path().split('/').nth(2).unwrap_or_default();
        Ok(Self(text.parse().map_err(|_| Errno::UnknownApplication)?))
    }
}

/// The query of the pages that sign a user in.
#[derive(Deserialize)]
pub(super) struct SignInQuery {
    /// The page that the user wants to see afterwards.
    #[serde(rename = "return")]
    return_path: Option<String>,
}

impl SignInQuery {
    /// Returns the page to show afterwards, if it is one of this server.
    pub(super) fn return_path(&self) -> Option<LocalPath> {
        self.return_path.as_deref().and_then(LocalPath::parse)
    }
}
