//! The outermost endpoint of the API and the pages, which completes every response.

use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use poem_openapi::OpenApi;

use super::error_response::ErrorResponse;

/// An endpoint that converts every error into the error object, and sets the common headers.
pub(super) struct FinishResponse<E> {
    inner: E,
    allowed: AllowedMethods,
}

impl<E> FinishResponse<E> {
    pub(super) fn new(inner: E, allowed: AllowedMethods) -> Self {
        Self { inner, allowed }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for FinishResponse<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let wants_page = accepts_html(&request);
        let mut response = match self.inner.call(request).await {
            Ok(response) => response,
            Err(error) if error.is_from_response() => error.into_response(),
            Err(error) => {
                let error = ErrorResponse::of(error);
                if wants_page { error.page() } else { error.response() }
            }
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(methods) = HeaderValue::from_str(&self.allowed.at(&path))
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        finish(response.headers_mut());
        Ok(response)
    }
}

/// Returns true if the client accepts HTML, as browsers do when a user follows a link or sends a
/// form.
pub(crate) fn accepts_html(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(|accepted| accepted.contains("text/html"))
}

/// Sets the common headers that the handler has not set. The referrer is sent to this origin only;
/// without any referrer, browsers would send `Origin: null` with the forms of the pages.
pub(crate) fn finish(headers: &mut HeaderMap) {
    let defaults: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The methods of each path.
pub(super) struct AllowedMethods(Vec<(String, Vec<Method>)>);

impl AllowedMethods {
    /// Collects the methods of an API, and those of `others`, each a path and a method.
    pub(super) fn of<A: OpenApi>(others: &[(String, Method)]) -> Self {
        let others = others.iter().map(|(path, method)| (path.clone(), vec![method.clone()]));
        let mut paths: Vec<(String, Vec<Method>)> = others.collect();
        for path in A::meta().into_iter().flat_map(|api| api.paths) {
            let methods = path.operations.iter().map(|operation| operation.method.clone());
            match paths.iter_mut().find(|(known, _)| *known == path.path) {
                Some((_, known)) => known.extend(methods),
                None => paths.push((path.path.clone(), methods.collect())),
            }
        }
        Self(paths)
    }

    /// Returns the methods of a path as the value of the header `Allow`.
    fn at(&self, path: &str) -> String {
        let mut names: Vec<&str> = self
            .0
            .iter()
            .filter(|(template, _)| matches_template(path, template))
            .flat_map(|(_, methods)| methods.iter().map(Method::as_str))
            .collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

pub(super) fn matches_template(path: &str, template: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(expected), Some(given)) if expected.starts_with('{') || expected == given => {}
            _ => return false,
        }
    }
}
