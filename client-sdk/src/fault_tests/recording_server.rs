//! A server on loopback, with or without TLS, that keeps the heads of all requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::scripted_server::{long_timing, token, within};
use crate::{
    ConnectionState, DeviceChannel, DeviceOptions, Error, NetworkOptions, PresenceApi, Scope,
    ServerUrl, Timing,
};

const BUSY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A server that accepts each socket and each frame, and refuses each REST call with status 429.
pub(super) struct RecordingServer {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl RecordingServer {
    pub(super) async fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, heads) = (acceptor.clone(), Arc::clone(&kept));
                served.spawn(async move {
                    match acceptor {
                        None => serve(stream, &heads).await,
                        // A client that does not trust the server ends the handshake.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &heads).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heads, _tasks: tasks }
    }

    /// Returns the heads of all requests.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, heads: &Mutex<Vec<String>>) {
    let Some(head) = read_head(&mut stream).await else { return };
    heads.lock().unwrap().push(head.clone());
    let Some(key) = header(&head, "sec-websocket-key") else {
        let _ = stream.write_all(BUSY).await;
        let _ = stream.shutdown().await;
        return;
    };
    let accept = derive_accept_key(key.as_bytes());
    let protocol = header(&head, "sec-websocket-protocol");
    let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{}\r\n",
        protocol.unwrap_or_default()
    );
    if stream.write_all(response.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            let frame: Value = serde_json::from_str(&text).unwrap();
            let ok = json!({"result": "OK", "id": frame["id"], "action": frame["action"]});
            let _ = socket.send(Message::text(ok.to_string())).await;
        }
    }
}

/// Reads a head with its empty line. Returns `None` if the stream ends before.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Returns the value of a header.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A certificate authority of a test.
pub(super) struct TestAuthority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
    params: CertificateParams,
}

impl TestAuthority {
    /// Returns an authority that signs its own certificate.
    pub(super) fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, key, params }
    }

    /// Returns an authority below this one.
    pub(super) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { certificate, key, params }
    }

    /// Returns the certificate of a server, and its key.
    pub(super) fn server(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer()).unwrap().der().clone(), key)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

/// Returns the configuration of a server with these certificates, its own one first.
pub(super) fn server_config(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    config.with_single_cert(chain, key).unwrap()
}

/// Opens a device channel, and returns it.
pub(super) fn device(url: &str, network: &NetworkOptions, timing: Timing) -> DeviceChannel {
    let mut options = DeviceOptions::new(url.parse().unwrap(), "phone".parse().unwrap());
    (options.credential, options.timing) = (Some(token("first")), timing);
    options.network = network.clone();
    DeviceChannel::open(options).unwrap().0
}

/// Returns the errors of a channel that waits and of a REST call.
pub(super) async fn errors(url: &str, network: &NetworkOptions) -> [Error; 2] {
    let channel = device(url, network, long_timing());
    [waiting_reason(&channel).await, call(url, network).await]
}

/// Returns the reason for which a channel waits.
pub(super) async fn waiting_reason(channel: &DeviceChannel) -> Error {
    let waiting = async {
        let mut state = channel.state();
        loop {
            if let ConnectionState::Waiting { reason, .. } = state {
                return reason;
            }
            state = channel.wait_for_state_change(&state).await.unwrap();
        }
    };
    within(waiting).await
}

/// Returns the error of a REST call.
pub(super) async fn call(url: &str, network: &NetworkOptions) -> Error {
    let url: ServerUrl = url.parse().unwrap();
    let api = PresenceApi::with_network(url, network).unwrap();
    let assertion = "an assertion".to_owned().into();
    within(api.sign_in(assertion, Scope::Device)).await.unwrap_err()
}
