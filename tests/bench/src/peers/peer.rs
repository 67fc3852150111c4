//! A server that is compared: its handshakes and the texts of its protocol.

use std::net::SocketAddr;

use crate::clients::Device;
use crate::subscribers::Subscribers;
use crate::system::Process;
use crate::wire::{Wire, frame};

/// Texts of which a refusal contains one.
const REFUSALS: [&str; 2] = [r#""error":"#, r#""KO""#];

/// A running server that is compared.
pub(crate) trait Peer {
    fn address(&self) -> SocketAddr;

    fn process(&self) -> Process;

    fn texts(&self) -> &'static PeerTexts;

    /// Returns the handshake of a user, which ends with the answer to a first status.
    fn user(&self, number: usize) -> Handshake;

    /// Returns the handshake of a follower, which then receives the statuses of all users.
    fn follower(&self) -> Handshake;

    /// Encodes the HTTP request that sends a notification to a user.
    fn notification(&self, user: usize) -> Vec<u8>;
}

/// The texts of a protocol that are the same for all users.
pub(crate) struct PeerTexts {
    /// The reports of two statuses.
    pub(crate) reports: [&'static str; 2],
    /// The answer to each report.
    pub(crate) ok: &'static str,
    /// A text that each update contains exactly once.
    pub(crate) update: &'static str,
    /// A text that each notification contains exactly once.
    pub(crate) notification: &'static str,
    /// A flag: a status that is no longer the newest may be left out.
    pub(crate) is_merging: bool,
}

/// The way to open a socket.
pub(crate) struct Handshake {
    pub(crate) path: String,
    /// Additional header lines of the request.
    pub(crate) head: &'static str,
    /// The text to send, if there is one.
    pub(crate) hello: Option<String>,
    /// Texts that further answers contain, one after another.
    pub(crate) answers: &'static [&'static str],
}

impl dyn Peer + '_ {
    /// Connects the `number`-th user, who is then online.
    pub(crate) async fn connect_user(&self, number: usize) -> Device {
        let wire = self.open(number, self.user(number)).await;
        let texts = self.texts();
        Device::of(wire, texts.reports.map(frame), texts.ok.as_bytes())
    }

    /// Connects so many users.
    pub(crate) async fn connect_users(&self, count: usize) -> Vec<Device> {
        let mut devices = Vec::with_capacity(count);
        for number in 0..count {
            devices.push(self.connect_user(number).await);
        }
        devices
    }

    /// Opens so many followers, which count updates and, apart, frames that contain the mark.
    pub(crate) async fn follow(&self, count: usize, mark: &'static str) -> Subscribers {
        let mut followers = Subscribers::default();
        for number in 0..count {
            let wire = self.open(number, self.follower()).await;
            followers.add(wire, (self.texts().update, mark));
        }
        followers.settle().await;
        followers
    }

    /// Connects so many users, whose sockets count notifications.
    pub(crate) async fn receive(&self, count: usize) -> Subscribers {
        let mut receivers = Subscribers::default();
        for number in 0..count {
            let wire = self.open(number, self.user(number)).await;
            receivers.add(wire, (self.texts().notification, "no mark"));
        }
        receivers
    }

    async fn open(&self, number: usize, handshake: Handshake) -> Wire {
        let Handshake { path, head, hello, answers } = handshake;
        let mut wire = Wire::open(self.address(), &path, number, head).await;
        if let Some(hello) = hello {
            wire.send(&frame(&hello)).await;
        }
        for expected in answers {
            expect(&mut wire, expected).await;
        }
        wire
    }
}

/// Waits for a text that contains this one. A text before it may answer another part of the
/// handshake: Centrifugo sends the answers to one frame in one frame or in two.
async fn expect(wire: &mut Wire, expected: &str) {
    loop {
        let text = String::from_utf8_lossy(wire.text().await);
        if text.contains(expected) {
            return;
        }
        let is_refusal = REFUSALS.iter().any(|refusal| text.contains(refusal));
        assert!(!is_refusal, "a handshake was answered with: {text}");
    }
}
