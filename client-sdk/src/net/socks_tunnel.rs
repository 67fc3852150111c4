//! The tunnel through a SOCKS5 proxy, which looks up the name of the server.

use secrecy::{ExposeSecret, SecretString};
use tokio_socks::tcp::Socks5Stream;

use super::destination::Destination;
use super::stream::NetStream;
use super::transport_error::TransportError;
use crate::error::ProxyErrorKind;

/// Asks the proxy at the other end of a stream for a connection to a server.
pub(super) async fn open(
    stream: NetStream,
    destination: &Destination,
    credentials: Option<&(String, SecretString)>,
) -> Result<NetStream, TransportError> {
    let server = (destination.host.as_str(), destination.port);
    let opened = match credentials {
        None => Socks5Stream::connect_with_socket(stream, server).await,
        Some((user, password)) => {
            let password = password.expose_secret();
            Socks5Stream::connect_with_password_and_socket(stream, server, user, password).await
        }
    };
    opened.map(Socks5Stream::into_inner).map_err(|error| refusal(&error))
}

fn refusal(error: &tokio_socks::Error) -> TransportError {
    use tokio_socks::Error as Socks;
    let (kind, reason) = match error {
        Socks::Io(_) | Socks::ProxyServerUnreachable => {
            (ProxyErrorKind::Unreachable, "the proxy closed the connection")
        }
        Socks::NoAcceptableAuthMethods
        | Socks::UnknownAuthMethod
        | Socks::PasswordAuthFailure(_)
        | Socks::AuthorizationRequired
        | Socks::InvalidAuthValues(_) => {
            (ProxyErrorKind::NotAuthorised, "the proxy refused the credentials")
        }
        Socks::ConnectionNotAllowedByRuleset => {
            (ProxyErrorKind::Forbidden, "the proxy refused the connection")
        }
        Socks::GeneralSocksServerFailure
        | Socks::NetworkUnreachable
        | Socks::HostUnreachable
        | Socks::ConnectionRefused
        | Socks::TtlExpired => {
            (ProxyErrorKind::ServerUnreachable, "the proxy does not reach the server")
        }
        Socks::InvalidResponseVersion
        | Socks::UnknownError
        | Socks::InvalidReservedByte
        | Socks::UnknownAddressType => {
            (ProxyErrorKind::InvalidAnswer, "the answer of the proxy is not valid")
        }
        Socks::CommandNotSupported
        | Socks::AddressTypeNotSupported
        | Socks::ParseError(_)
        | Socks::InvalidTargetAddress(_)
        | Socks::IdentdAuthFailure
        | Socks::InvalidUserIdAuthFailure => {
            (ProxyErrorKind::Other, "the proxy refused the connection")
        }
    };
    TransportError::in_proxy(kind, format!("{reason}: {error}"))
}
