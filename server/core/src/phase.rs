//! What a device connection may say when: a stranger must prove who it is, a known device need not until its session ends.

use std::time::Duration;

use presence_protocol::device::{DeviceAuth, DeviceCommand, DeviceRequest, Proof};
use presence_protocol::{ApiError, DeviceName, Errno, UnixMillis};

use crate::model::Email;

/// The first characters of a bearer token, by which it is told from the `token` that clients of 2013 send.
pub const TOKEN_PREFIX: &str = "prt_";

/// Who a stranger says it is, with the proof to be checked.
pub struct FirstFrame {
    /// The e-mail that the proof is said to be for.
    pub email: Option<String>,
    /// The proof.
    pub proof: Proof,
    /// The device.
    pub device: DeviceName,
    /// Whether it acknowledges notifications.
    pub acks: bool,
    /// What it wants once it is known.
    pub command: DeviceCommand,
}

/// Reads the first frame of a connection.
///
/// # Errors
///
/// `not_authenticated` where it carries no proof.
pub fn introduce(request: DeviceRequest) -> Result<FirstFrame, ApiError> {
    let DeviceAuth { email, proof, device, acks } = request.auth;
    Ok(FirstFrame {
        email,
        proof: proof.ok_or(Errno::NotAuthenticated)?,
        device: device.unwrap_or_default(),
        acks: acks.unwrap_or(false),
        command: request.command,
    })
}

/// A device whose user is known.
pub struct AuthenticatedDevice {
    /// The user's e-mail.
    pub email: Email,
    /// The device.
    pub device: DeviceName,
    /// Whether it acknowledges notifications.
    pub acks: bool,
    /// When the session on this socket ends.
    pub expires_at: UnixMillis,
    /// The proofs that opened and renewed the session, the newest last.
    proofs: Vec<[u8; 32]>,
    warned: bool,
}

/// What to do with a frame of a known device.
pub enum FrameAction {
    /// Apply it.
    Apply(DeviceCommand),
    /// Check the proof first; it renews the session.
    Renew(Proof, DeviceCommand),
}

/// How many proofs of one connection are remembered, so that none of them renews twice.
const PROOFS: usize = 32;
/// How long before its end a session is announced to end.
const ANNOUNCED: Duration = Duration::from_mins(1);
/// How long after its end a session can still be renewed on the same socket.
const RENEWABLE: Duration = Duration::from_secs(10);

/// What the time asks of a session.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionDeadline {
    /// Nothing before this time.
    Nothing(UnixMillis),
    /// ViewChange the device that it ends in so many seconds.
    Announce(u64),
    /// Close.
    Close,
}

impl AuthenticatedDevice {
    /// A device that has proved who it is.
    pub fn new(
        email: Email,
        (device, acks): (DeviceName, bool),
        proof: [u8; 32],
        expires_at: UnixMillis,
    ) -> Self {
        Self { email, device, acks, expires_at, proofs: vec![proof], warned: false }
    }

    /// Reads a further frame. `digest` gives what a proof is known by.
    ///
    /// # Errors
    ///
    /// `invalid_field` for another device, `email_mismatch` for another e-mail, `session_expired`.
    pub fn hear(
        &mut self,
        request: DeviceRequest,
        now: UnixMillis,
        digest: impl Fn(&Proof) -> [u8; 32],
    ) -> Result<FrameAction, ApiError> {
        let DeviceAuth { email, proof, device, acks } = request.auth;
        if device.is_some_and(|device| device != self.device) {
            return Err(ApiError::detailed(
                Errno::InvalidField,
                "device must stay the same on a connection",
            ));
        }
        if email.is_some_and(|email| Email::parse(&email).as_ref() != Some(&self.email)) {
            return Err(Errno::EmailMismatch.into());
        }
        if let Some(acks) = acks {
            self.acks = acks;
        }
        let proof = proof.filter(|proof| match proof {
            Proof::Assertion(_) => true,
            Proof::Token(token) => token.starts_with(TOKEN_PREFIX),
        });
        match proof {
            Some(proof) if !self.proofs.contains(&digest(&proof)) => {
                Ok(FrameAction::Renew(proof, request.command))
            }
            Some(_) | None if now >= self.expires_at => Err(Errno::SessionExpired.into()),
            Some(_) | None => Ok(FrameAction::Apply(request.command)),
        }
    }

    /// The session goes on with a fresh proof.
    pub fn renew(&mut self, proof: [u8; 32], expires_at: UnixMillis) {
        if self.proofs.len() == PROOFS {
            self.proofs.remove(0);
        }
        self.proofs.push(proof);
        (self.expires_at, self.warned) = (expires_at, false);
    }

    /// What the time asks.
    pub fn due(&mut self, now: UnixMillis) -> SessionDeadline {
        if now >= self.expires_at + RENEWABLE {
            return SessionDeadline::Close;
        }
        if self.warned {
            return SessionDeadline::Nothing(self.expires_at + RENEWABLE);
        }
        if now + ANNOUNCED < self.expires_at {
            return SessionDeadline::Nothing(self.expires_at - ANNOUNCED);
        }
        self.warned = true;
        let left = self.expires_at - now;
        SessionDeadline::Announce(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::device::parse;

    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    fn digest(proof: &Proof) -> [u8; 32] {
        let text = match proof {
            Proof::Assertion(text) | Proof::Token(text) => text,
        };
        std::array::from_fn(|n| text.as_bytes().get(n).copied().unwrap_or(0))
    }

    fn known() -> AuthenticatedDevice {
        let email = Email::parse("a@b.example").unwrap();
        let proof = digest(&Proof::Assertion("first".to_owned()));
        AuthenticatedDevice::new(email, (DeviceName::default(), false), proof, at(100_000))
    }

    fn hears(
        known: &mut AuthenticatedDevice,
        text: &str,
        now: UnixMillis,
    ) -> Result<&'static str, Errno> {
        let request = parse(text).map_err(|(ko, _)| ko.errno)?;
        match known.hear(request, now, digest) {
            Ok(FrameAction::Apply(_)) => Ok("apply"),
            Ok(FrameAction::Renew(..)) => Ok("renew"),
            Err(ko) => Err(ko.errno),
        }
    }

    #[test]
    fn the_first_frame_must_carry_a_proof() {
        let Err(ko) = introduce(parse(r#"{"status":"online"}"#).unwrap()) else { panic!() };
        assert_eq!(ko.errno, Errno::NotAuthenticated);
    }

    #[test]
    fn the_same_assertion_again_is_accepted_and_renews_nothing() {
        let frame = r#"{"status":"online","assertion":"first"}"#;
        assert_eq!(hears(&mut known(), frame, at(99_999)), Ok("apply"));
        assert_eq!(hears(&mut known(), frame, at(100_000)), Err(Errno::SessionExpired));
    }

    #[test]
    fn no_assertion_renews_twice_on_the_same_connection() {
        let mut known = known();
        let second = r#"{"status":"online","assertion":"second"}"#;
        assert_eq!(hears(&mut known, second, at(0)), Ok("renew"));
        known.renew(digest(&Proof::Assertion("second".to_owned())), at(200_000));
        for assertion in ["first", "second"] {
            let frame = format!(r#"{{"status":"online","assertion":"{assertion}"}}"#);
            assert_eq!(hears(&mut known, &frame, at(0)), Ok("apply"));
        }
    }

    #[test]
    fn a_fresh_assertion_renews_even_after_the_end() {
        let frame = r#"{"status":"online","assertion":"second"}"#;
        assert_eq!(hears(&mut known(), frame, at(100_001)), Ok("renew"));
    }

    #[test]
    fn e_mail_and_device_stay_the_same() {
        let mut known = known();
        let email = r#"{"status":"online","email":"c@b.example"}"#;
        assert_eq!(hears(&mut known, email, at(0)), Err(Errno::EmailMismatch));
        let device = r#"{"status":"online","device":"other"}"#;
        assert_eq!(hears(&mut known, device, at(0)), Err(Errno::InvalidField));
        let same = r#"{"status":"online","email":"a@B.example","device":"default"}"#;
        assert_eq!(hears(&mut known, same, at(0)), Ok("apply"));
    }

    #[test]
    fn the_token_that_clients_of_2013_send_means_nothing() {
        assert_eq!(hears(&mut known(), r#"{"status":"online","token":"x"}"#, at(0)), Ok("apply"));
        assert_eq!(
            hears(&mut known(), r#"{"status":"online","token":"prt_x"}"#, at(0)),
            Ok("renew")
        );
    }

    #[test]
    fn a_session_is_announced_to_end_once_then_closed() {
        let mut known = known();
        assert_eq!(known.due(at(0)), SessionDeadline::Nothing(at(40_000)));
        assert_eq!(known.due(at(40_000)), SessionDeadline::Announce(60));
        assert_eq!(known.due(at(41_000)), SessionDeadline::Nothing(at(110_000)));
        assert_eq!(known.due(at(110_000)), SessionDeadline::Close);
        known.renew([0; 32], at(300_000));
        assert_eq!(known.due(at(110_000)), SessionDeadline::Nothing(at(240_000)));
    }
}
