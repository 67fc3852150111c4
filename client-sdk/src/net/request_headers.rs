//! The headers that every request to the server has.

use std::sync::{Arc, OnceLock};

use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use secrecy::ExposeSecret;

use crate::error::Error;
use crate::network_options::NetworkOptions;

/// The product of the SDK.
const SDK: &str = concat!("presence-client/", env!("CARGO_PKG_VERSION"), " (rust)");
/// The maximum number of the application's headers, and of the bytes of their names and values.
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 8 << 10;
/// The maximum number of characters of the application's product.
const MAX_PRODUCT: usize = 200;

/// The names that the protocol uses. An `Origin` is what browsers send: the server compares it with
/// the origins that it allows.
const RESERVED: [HeaderName; 15] = [
    ACCEPT,
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    ORIGIN,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
];

/// Returns `User-Agent` and the headers of the application. Channels without options share them.
pub(super) fn shared(options: &NetworkOptions) -> Result<Arc<HeaderMap>, Error> {
    static DEFAULT: OnceLock<Arc<HeaderMap>> = OnceLock::new();
    if options.headers.is_empty() && options.product.is_none() {
        if let Some(headers) = DEFAULT.get() {
            return Ok(Arc::clone(headers));
        }
        let headers = Arc::new(build(options)?);
        return Ok(Arc::clone(DEFAULT.get_or_init(|| headers)));
    }
    Ok(Arc::new(build(options)?))
}

fn build(options: &NetworkOptions) -> Result<HeaderMap, Error> {
    if options.headers.len() > MAX_HEADERS {
        return Err(invalid(format!("there are more than {MAX_HEADERS} headers")));
    }
    let mut headers = HeaderMap::with_capacity(options.headers.len() + 1);
    headers.insert(USER_AGENT, user_agent(options.product.as_deref())?);
    let mut bytes = 0;
    for (name, value) in &options.headers {
        let parsed = HeaderName::try_from(name.as_str());
        let name = parsed.map_err(|_| invalid("the name of a header is not valid".to_owned()))?;
        if is_reserved(&name) {
            return Err(invalid(format!("the header {name} belongs to the protocol")));
        }
        bytes += name.as_str().len() + value.expose_secret().len();
        let mut value = HeaderValue::try_from(value.expose_secret())
            .map_err(|_| invalid(format!("the header {name} has invalid characters")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    if bytes > MAX_HEADER_BYTES {
        return Err(invalid(format!("the headers have more than {MAX_HEADER_BYTES} bytes")));
    }
    Ok(headers)
}

fn is_reserved(name: &HeaderName) -> bool {
    let is_hop_by_hop = matches!(name.as_str(), "keep-alive" | "proxy-connection");
    RESERVED.contains(name) || is_hop_by_hop || name.as_str().starts_with("sec-")
}

fn user_agent(product: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(product) = product else { return Ok(HeaderValue::from_static(SDK)) };
    if product.len() > MAX_PRODUCT || !product.split(' ').all(is_product) {
        return Err(invalid("the product for User-Agent must be like chat/1.2".to_owned()));
    }
    HeaderValue::try_from(format!("{product} {SDK}"))
        .map_err(|_| invalid("the product for User-Agent has invalid characters".to_owned()))
}

/// Returns true for a product of RFC 9110: a name, with a version or without one.
fn is_product(text: &str) -> bool {
    let is_token = |text: &str| {
        let is_token_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(is_token_byte)
    };
    match text.split_once('/') {
        None => is_token(text),
        Some((name, version)) => is_token(name) && is_token(version),
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidArgument(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(name: &str, value: &str) -> Result<HeaderMap, Error> {
        build(&NetworkOptions::default().with_header(name, value.to_owned().into()))
    }

    #[test]
    fn the_product_of_the_application_comes_before_that_of_the_sdk() {
        let agent = |options: NetworkOptions| build(&options).unwrap()[USER_AGENT].clone();
        assert_eq!(agent(NetworkOptions::default()), SDK);
        let chat = agent(NetworkOptions::default().with_product("chat/1.2 kit"));
        assert_eq!(chat, format!("chat/1.2 kit {SDK}"));
        for product in ["", "a  b", "a/", "/1", "a/b/c", "a\r\nx: y", "(a)", &"a".repeat(201)] {
            let refused = build(&NetworkOptions::default().with_product(product));
            assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{product:?}");
        }
    }

    #[test]
    fn headers_of_the_protocol_are_refused() {
        for name in [
            "Authorization",
            "host",
            "Connection",
            "Upgrade",
            "Origin",
            "User-Agent",
            "Sec-WebSocket-Protocol",
            "sec-fetch-mode",
            "Proxy-Authorization",
            "Content-Length",
            "Transfer-Encoding",
            "Keep-Alive",
            "a b",
            "",
        ] {
            assert!(matches!(with_header(name, "x"), Err(Error::InvalidArgument(_))), "{name}");
        }
        assert_eq!(with_header("X-Tenant", "7").unwrap()["x-tenant"], "7");
    }

    #[test]
    fn headers_have_limits_and_their_values_are_not_printed() {
        let hush = "hush".repeat(3000);
        for value in ["hush\r\nx: y", hush.as_str()] {
            let error = with_header("x-tenant", value).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument(_)));
            assert!(!format!("{error} {error:?}").contains("hush"));
        }
        let mut options = NetworkOptions::default();
        for _ in 0..MAX_HEADERS {
            options = options.with_header("x-tenant", "hush".to_owned().into());
        }
        let headers = build(&options).unwrap();
        assert!(!format!("{headers:?} {options:?}").contains("hush"));
        let options = options.with_header("x-tenant", "hush".to_owned().into());
        assert!(matches!(build(&options), Err(Error::InvalidArgument(_))));
    }
}
