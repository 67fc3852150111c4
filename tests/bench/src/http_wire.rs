//! The load generator's HTTP client: requests that were encoded in advance, one after another on a
//! connection that stays open. It trusts its peer.

use std::net::SocketAddr;

use memchr::memmem::find;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{END_OF_HEAD, connect};

/// An open connection.
pub(crate) struct HttpWire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl HttpWire {
    /// Opens the `number`-th connection.
    pub(crate) async fn open(server: SocketAddr, number: usize) -> Self {
        Self { stream: connect(server, number).await, buffer: vec![0; 64 << 10] }
    }

    /// Makes a call, which must succeed.
    pub(crate) async fn call(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            if let Some(end) = answer_end(&self.buffer[..filled])
                && filled >= end
            {
                assert_eq!(filled, end, "one answer comes for each call");
                return;
            }
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection ended");
            filled += read;
        }
    }
}

/// Returns the end of an answer whose head has come.
fn answer_end(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, END_OF_HEAD)?;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let length: usize = length.unwrap_or_else(|| panic!("no length: {text}")).parse().unwrap();
    Some(head + END_OF_HEAD.len() + length)
}

/// Encodes a request with a bearer token, unless it is empty, and a JSON body, if there is one.
pub(crate) fn request(method: &str, path: &str, bearer: &str, body: Option<&str>) -> Vec<u8> {
    let head = match bearer {
        "" => String::new(),
        bearer => format!("authorization: Bearer {bearer}\r\n"),
    };
    request_with_head(method, path, &head, body)
}

/// Encodes a request with additional header lines, and a JSON body, if there is one.
pub(crate) fn request_with_head(
    method: &str,
    path: &str,
    head: &str,
    body: Option<&str>,
) -> Vec<u8> {
    let content = body.map_or(String::new(), |body| {
        let length = body.len();
        format!("content-type: application/json\r\ncontent-length: {length}\r\n")
    });
    let body = body.unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{head}{content}\r\n{body}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_after_its_body() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(answer_end(head.as_bytes()), Some(head.len() + 3));
        assert_eq!(answer_end(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n"), None);
    }
}
