//! The load generator's WebSocket client. It uses less CPU than any server, so that the server is
//! the bottleneck.
//!
//! It trusts its peer and supports only whole, unmasked text frames. Its own frames are built once
//! and masked with zeros.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The end of the head of a response.
pub(crate) const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// The maximum number of sockets from one source address, of the 28,000 ports that it has by
/// default.
const SOCKETS_PER_SOURCE: usize = 5_000;

/// An open socket.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The range of the bytes that were received and not used yet.
    unread: Range<usize>,
}

impl Wire {
    /// Opens the `number`-th socket, with additional header lines of the request.
    pub(crate) async fn open(server: SocketAddr, path: &str, number: usize, head: &str) -> Self {
        let mut stream = connect(server, number).await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{head}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut wire = Self { stream, buffer: vec![0; 512], unread: 0..0 };
        wire.read_head().await;
        wire
    }

    async fn read_head(&mut self) {
        loop {
            self.read_more().await;
            let head = &self.buffer[self.unread.clone()];
            if let Some(end) = memchr::memmem::find(head, END_OF_HEAD) {
                let text = String::from_utf8_lossy(head);
                assert!(text.starts_with("HTTP/1.1 101"), "the upgrade was refused: {text}");
                self.unread.start += end + END_OF_HEAD.len();
                return;
            }
        }
    }

    /// Sends one or more frames.
    pub(crate) async fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).await.unwrap();
    }

    /// Returns the next text.
    pub(crate) async fn text(&mut self) -> &[u8] {
        loop {
            if let Some((opcode, body, end)) = parse(&self.buffer[self.unread.clone()]) {
                let from = self.unread.start;
                let text = from + body.start..from + body.end;
                self.unread.start += end;
                match opcode {
                    1 => return &self.buffer[text],
                    8 => panic!("closed: {}", String::from_utf8_lossy(&self.buffer[text])),
                    _ => continue,
                }
            }
            self.read_more().await;
        }
    }

    /// Sends a frame, and returns the next text.
    pub(crate) async fn ask(&mut self, frame: &[u8]) -> &[u8] {
        self.send(frame).await;
        self.text().await
    }

    /// Breaks the connection, as if the network had failed. Its port is free at once.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    async fn read_more(&mut self) {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.end == self.buffer.len() && self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        let read = self.stream.read(&mut self.buffer[self.unread.end..]).await.unwrap();
        assert!(read > 0, "the connection ended");
        self.unread.end += read;
    }
}

/// Opens the `number`-th connection.
pub(crate) async fn connect(server: SocketAddr, number: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source(number).into(), 0)).unwrap();
    let stream = socket.connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Returns a loopback address. There are several, so that none runs out of ports.
fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number / SOCKETS_PER_SOURCE).unwrap())
}

/// Encodes a client's text frame.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 0x7e);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// Encodes a server's text frame.
pub(crate) fn server_frame(text: &str) -> Vec<u8> {
    let length = match text.len() {
        length @ 0..126 => vec![u8::try_from(length).unwrap()],
        length => [&[126], &u16::try_from(length).unwrap().to_be_bytes()[..]].concat(),
    };
    [&[0x81], length.as_slice(), text.as_bytes()].concat()
}

/// Decodes the first frame of a server: its opcode, the range of its payload, and its end. Returns
/// `None` if the frame is incomplete.
fn parse(bytes: &[u8]) -> Option<(u8, Range<usize>, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (head, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).unwrap()),
        length => (2, usize::from(*length)),
    };
    assert!(
        first & 0xf0 == 0x80 && second & 0x80 == 0,
        "only whole, unmasked frames are supported"
    );
    let end = head + length;
    (bytes.len() >= end).then_some((first & 0x0f, head..end, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_a_server_is_decoded_to_its_text() {
        for length in [0, 125, 126, 65_535] {
            let frame = server_frame(&"x".repeat(length));
            let head = if length < 126 { 2 } else { 4 };
            assert_eq!(parse(&frame), Some((1, head..head + length, frame.len())));
        }
    }

    #[test]
    fn frames_of_every_length_are_decoded_only_when_they_are_complete() {
        for length in [0, 125, 126, 65_535, 65_536_u32] {
            let body = vec![b'x'; length as usize];
            let head = match length {
                0..126 => vec![0x81, u8::try_from(length).unwrap()],
                126..65_536 => {
                    [&[0x81, 126][..], &u16::try_from(length).unwrap().to_be_bytes()].concat()
                }
                _ => [&[0x81, 127][..], &u64::from(length).to_be_bytes()].concat(),
            };
            let whole = [head.clone(), body].concat();
            let end = head.len() + length as usize;
            assert_eq!(parse(&whole), Some((1, head.len()..end, end)));
            assert_eq!(parse(&whole[..whole.len() - 1]), None);
        }
    }
}
