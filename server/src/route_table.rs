//! A list of routes: each path and method is written once, and gives both the router and the
//! `Allow` header.

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::Method;
use poem::{Endpoint, EndpointExt, Request, Response, Route, RouteMethod};

/// An endpoint that several routes share.
pub type SharedEndpoint = Arc<dyn DynEndpoint<Output = Response>>;

/// The routes of one part of the server.
pub struct RouteTable {
    routes: Vec<RouteEntry>,
    fallback: SharedEndpoint,
}

/// An endpoint with its path and its method.
struct RouteEntry {
    path: &'static str,
    method: Method,
    endpoint: BoxEndpoint<'static, Response>,
    is_listed: bool,
}

impl RouteTable {
    /// Returns a table without routes. The fallback answers all other requests.
    pub fn new(fallback: SharedEndpoint) -> Self {
        Self { routes: Vec::new(), fallback }
    }

    /// Adds an endpoint. Parameters in the path are written `:name`.
    #[must_use]
    pub fn add<E>(self, method: Method, path: &'static str, endpoint: E) -> Self
    where
        E: Endpoint<Output = Response> + 'static,
    {
        self.push(RouteEntry { path, method, endpoint: endpoint.boxed(), is_listed: true })
    }

    /// Adds an endpoint that another table lists already: it is served under the path, and is not
    /// listed a second time.
    #[must_use]
    pub fn add_unlisted<E>(self, method: Method, path: &'static str, endpoint: E) -> Self
    where
        E: Endpoint<Output = Response> + 'static,
    {
        self.push(RouteEntry { path, method, endpoint: endpoint.boxed(), is_listed: false })
    }

    fn push(mut self, entry: RouteEntry) -> Self {
        self.routes.push(entry);
        self
    }

    /// Returns each listed path, with parameters written `{name}`, and its method.
    pub fn methods(&self) -> Vec<(String, Method)> {
        let listed = self.routes.iter().filter(|entry| entry.is_listed);
        listed.map(|entry| (template(entry.path), entry.method.clone())).collect()
    }

    /// Returns the router.
    pub fn into_route(self) -> Route {
        let mut root = RouteMethod::new();
        let mut paths: Vec<(&'static str, RouteMethod)> = Vec::new();
        for RouteEntry { path, method, endpoint, .. } in self.routes {
            if path == "/" {
                root = root.method(method, endpoint);
                continue;
            }
            let position = paths.iter().position(|(listed, _)| *listed == path);
            let methods = position.map(|index| paths.remove(index).1).unwrap_or_default();
            paths.push((path, methods.method(method, endpoint)));
        }
        let route =
            paths.into_iter().fold(Route::new(), |route, (path, methods)| route.at(path, methods));
        route.nest_no_strip("/", RootOrFallback { root, fallback: self.fallback })
    }
}

/// The endpoint below `/`, which the router uses for the root and for every unknown path.
struct RootOrFallback {
    root: RouteMethod,
    fallback: SharedEndpoint,
}

impl Endpoint for RootOrFallback {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.uri().path() == "/" {
            self.root.call(request).await
        } else {
            self.fallback.call(request).await
        }
    }
}

/// Returns a path as OpenAPI writes it: `/grant/:appid` is `/grant/{appid}`.
fn template(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_listed_in_braces() {
        assert_eq!(template("/grant/:appid"), "/grant/{appid}");
        assert_eq!(template("/a/:b/c/:d"), "/a/{b}/c/{d}");
        assert_eq!(template("/"), "/");
    }
}
