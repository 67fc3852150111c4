//! An HTTP or SOCKS5 proxy on loopback whose connections follow a script.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::recording_server::{header, read_head};
use crate::{ProxyServer, SecretString};

/// The user and the password that the proxies accept, and their form in the scheme `Basic`.
pub(super) const USER: &str = "the-user";
pub(super) const PASSWORD: &str = "the-password";
const BASIC: &str = "Basic dGhlLXVzZXI6dGhlLXBhc3N3b3Jk";

/// The behaviour of one connection.
#[derive(Debug, Clone)]
pub(super) enum ProxyScript {
    /// An HTTP proxy that connects those with the credentials.
    Http,
    /// A SOCKS5 proxy that connects those with the credentials.
    Socks5,
    /// A SOCKS5 proxy without credentials that answers with this code.
    SocksAnswer(u8),
    /// Reads some bytes, answers with these, and closes.
    Answer(Vec<u8>),
    /// Reads, and answers nothing.
    Hang,
}

/// A listener whose connections follow the scripts, in order; the last one repeats. All tunnels
/// lead to one server, whatever name the client asks for.
pub(super) struct ScriptedProxy {
    pub(super) address: SocketAddr,
    destinations: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl ScriptedProxy {
    pub(super) async fn start(scripts: Vec<ProxyScript>, server: SocketAddr) -> Self {
        Self::start_with_tls(scripts, server, None).await
    }

    pub(super) async fn start_with_tls(
        scripts: Vec<ProxyScript>,
        server: SocketAddr,
        tls: Option<ServerConfig>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let destinations = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&destinations);
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let mut count = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts[count.min(scripts.len() - 1)].clone();
                count += 1;
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                connections.spawn(async move {
                    match acceptor {
                        None => follow(script, stream, server, &kept).await,
                        Some(acceptor) => {
                            let stream = acceptor.accept(stream).await.ok()?;
                            follow(script, stream, server, &kept).await
                        }
                    }
                });
            }
        });
        Self { address, destinations, _tasks: tasks }
    }

    /// Returns the address of the proxy, without credentials.
    pub(super) fn server(&self) -> ProxyServer {
        ProxyServer::new(self.address.ip().to_string(), self.address.port())
    }

    /// Returns the address of the proxy with the credentials that it accepts.
    pub(super) fn server_with_credentials(&self) -> ProxyServer {
        self.server().with_credentials(USER, SecretString::from(PASSWORD))
    }

    /// Returns the servers to which clients asked for a connection.
    pub(super) fn destinations(&self) -> Vec<String> {
        self.destinations.lock().unwrap().clone()
    }
}

/// Serves one connection. Returns `None` if there is no tunnel, or if the client closes it early.
async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    script: ProxyScript,
    mut stream: S,
    server: SocketAddr,
    destinations: &Mutex<Vec<String>>,
) -> Option<()> {
    let keep = |destination| destinations.lock().unwrap().push(destination);
    match script {
        ProxyScript::Hang => ignore(&mut stream).await?,
        ProxyScript::Answer(bytes) => answer(&mut stream, &bytes).await?,
        ProxyScript::Http => connect_http(&mut stream, keep).await?,
        ProxyScript::Socks5 => connect_socks(&mut stream, keep).await?,
        ProxyScript::SocksAnswer(code) => refuse_socks(&mut stream, code, keep).await?,
    }
    let mut upstream = TcpStream::connect(server).await.ok()?;
    copy_bidirectional(&mut stream, &mut upstream).await.ok()?;
    Some(())
}
/// Reads until the client closes the connection.
async fn ignore(stream: &mut (impl AsyncRead + Unpin)) -> Option<()> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await.ok()?;
    None
}

/// Answers the first bytes of the client, and closes the connection. The rest of what the client
/// sends is read, since a reset would take the answer away.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Option<()> {
    let _ = stream.read_u8().await.ok()?;
    stream.write_all(bytes).await.ok()?;
    stream.shutdown().await.ok()?;
    ignore(stream).await
}

/// Connects a client of an HTTP proxy if it has the credentials.
async fn connect_http<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keep: impl FnOnce(String),
) -> Option<()> {
    let head = read_head(stream).await?;
    keep(head.split(' ').nth(1)?.to_owned());
    if header(&head, "proxy-authorization") != Some(BASIC) {
        stream.write_all(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        return None;
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()
}

/// Connects a client of a SOCKS5 proxy if it has the credentials.
async fn connect_socks<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keep: impl FnOnce(String),
) -> Option<()> {
    greet(stream, 2).await?;
    let (user, password) = credentials(stream).await?;
    let is_known = (user.as_str(), password.as_str()) == (USER, PASSWORD);
    stream.write_all(&[1, u8::from(!is_known)]).await.ok()?;
    if !is_known {
        return None;
    }
    keep(socks_destination(stream).await?);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()
}

/// Answers the request of a client of a SOCKS5 proxy with a code that refuses it.
async fn refuse_socks<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    code: u8,
    keep: impl FnOnce(String),
) -> Option<()> {
    greet(stream, 0).await?;
    keep(socks_destination(stream).await?);
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    None
}

/// Reads the methods that the client offers, and chooses this one if it is among them.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, method: u8) -> Option<()> {
    let (version, count) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await.ok()?;
    let is_offered = version == 5 && methods.contains(&method);
    stream.write_all(&[5, if is_offered { method } else { 0xff }]).await.ok()?;
    is_offered.then_some(())
}

async fn credentials(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let _version = stream.read_u8().await.ok()?;
    Some((socks_text(stream).await?, socks_text(stream).await?))
}

/// Reads the request for a connection to a name.
async fn socks_destination(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!(head, [5, 1, 0, 3], "a connection to a name");
    let name = socks_text(stream).await?;
    Some(format!("{name}:{}", stream.read_u16().await.ok()?))
}

async fn socks_text(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut text).await.ok()?;
    String::from_utf8(text).ok()
}
