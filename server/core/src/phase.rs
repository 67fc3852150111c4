//! The phases of a device connection. The first frame must carry a proof; once the proof was
//! checked, the device is authenticated until its session ends.

use std::time::Duration;

use presence_protocol::device::{DeviceAuth, DeviceCommand, DeviceRequest, Proof};
use presence_protocol::{ApiError, DeviceName, Errno, UnixMillis};

use crate::model::Email;

/// The prefix of a bearer token. It distinguishes bearer tokens from the `token` field that clients
/// of 2013 send.
pub const TOKEN_PREFIX: &str = "prt_";

/// The first frame of a connection, with a proof that was not checked yet.
///
/// An authenticated device handles frames:
///
/// ```
/// use presence_core::UnixMillis;
/// use presence_core::phase::{AuthenticatedDevice, SessionDeadline};
///
/// fn check(device: &mut AuthenticatedDevice, now: UnixMillis) -> SessionDeadline {
///     device.check_session(now)
/// }
/// ```
///
/// A first frame is not one:
///
/// ```compile_fail
/// use presence_core::UnixMillis;
/// use presence_core::phase::{FirstFrame, SessionDeadline};
///
/// fn check(device: &mut FirstFrame, now: UnixMillis) -> SessionDeadline {
///     device.check_session(now)
/// }
/// ```
///
/// It does not become one without the digest and the end of a checked proof:
///
/// ```compile_fail
/// use presence_core::phase::{AuthenticatedDevice, FirstFrame};
///
/// fn authenticate(first_frame: FirstFrame) -> AuthenticatedDevice {
///     first_frame.into()
/// }
/// ```
pub struct FirstFrame {
    /// The e-mail that the proof is expected to be for.
    pub email: Option<String>,
    /// The proof.
    pub proof: Proof,
    /// The name of the device.
    pub device: DeviceName,
    /// Set if the device acknowledges notifications.
    pub acks: bool,
    /// The command to apply once the proof was checked.
    pub command: DeviceCommand,
}

impl FirstFrame {
    /// Takes a request as the first one of a connection.
    ///
    /// # Errors
    ///
    /// `not_authenticated` if it carries no proof.
    pub fn from_request(request: DeviceRequest) -> Result<Self, ApiError> {
        let DeviceAuth { email, proof, device, acks } = request.auth;
        Ok(Self {
            email,
            proof: proof.ok_or(Errno::NotAuthenticated)?,
            device: device.unwrap_or_default(),
            acks: acks.unwrap_or(false),
            command: request.command,
        })
    }
}

/// A device whose proof was checked.
pub struct AuthenticatedDevice {
    /// The user's e-mail.
    pub email: Email,
    /// The name of the device.
    pub device: DeviceName,
    /// Set if the device acknowledges notifications.
    pub acks: bool,
    /// The end of the session on this socket.
    pub expires_at: UnixMillis,
    /// The digests of the proofs that opened and renewed the session, the newest last.
    proofs: Vec<[u8; 32]>,
    /// Set if the end of the session was announced.
    warned: bool,
}

/// The action for a frame of an authenticated device.
pub enum FrameAction {
    /// Apply the command.
    Apply(DeviceCommand),
    /// Check the proof, renew the session, then apply the command.
    Renew(Proof, DeviceCommand),
}

/// The maximum number of proofs of one connection that are remembered, so that none renews twice.
const MAX_PROOFS: usize = 32;
/// The time before the end of a session at which the end is announced.
const WARNING_TIME: Duration = Duration::from_mins(1);
/// The time after the end of a session in which it can be renewed on the same socket.
const RENEWAL_TIME: Duration = Duration::from_secs(10);

/// The action before the end of a session.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionDeadline {
    /// Ask again at this time.
    CheckAt(UnixMillis),
    /// Announce that the session ends in this many seconds.
    Warn(u64),
    /// Close the connection.
    Close,
}

impl AuthenticatedDevice {
    /// Begins the authenticated phase of a device, after its proof with this digest was checked.
    pub fn new(
        email: Email,
        (device, acks): (DeviceName, bool),
        digest: [u8; 32],
        expires_at: UnixMillis,
    ) -> Self {
        Self { email, device, acks, expires_at, proofs: vec![digest], warned: false }
    }

    /// Handles a further frame. `digest` returns the digest of a proof.
    ///
    /// # Errors
    ///
    /// `invalid_field` for another device, `email_mismatch` for another e-mail, `session_expired`.
    pub fn handle_frame(
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

    /// Renews the session with a further proof.
    pub fn renew(&mut self, digest: [u8; 32], expires_at: UnixMillis) {
        if self.proofs.len() == MAX_PROOFS {
            self.proofs.remove(0);
        }
        self.proofs.push(digest);
        (self.expires_at, self.warned) = (expires_at, false);
    }

    /// Returns what to do now about the end of the session.
    pub fn check_session(&mut self, now: UnixMillis) -> SessionDeadline {
        if now >= self.expires_at + RENEWAL_TIME {
            return SessionDeadline::Close;
        }
        if self.warned {
            return SessionDeadline::CheckAt(self.expires_at + RENEWAL_TIME);
        }
        if now + WARNING_TIME < self.expires_at {
            return SessionDeadline::CheckAt(self.expires_at - WARNING_TIME);
        }
        self.warned = true;
        let left = self.expires_at - now;
        SessionDeadline::Warn(left.as_secs() + u64::from(left.subsec_nanos() > 0))
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

    fn device() -> AuthenticatedDevice {
        let request = parse(r#"{"status":"online","assertion":"first"}"#).unwrap();
        let first_frame = FirstFrame::from_request(request).unwrap();
        let FirstFrame { proof, device, acks, .. } = first_frame;
        let email = Email::parse("a@b.example").unwrap();
        AuthenticatedDevice::new(email, (device, acks), digest(&proof), at(100_000))
    }

    fn handle(
        device: &mut AuthenticatedDevice,
        text: &str,
        now: UnixMillis,
    ) -> Result<&'static str, Errno> {
        let request = parse(text).map_err(|(error, _)| error.errno)?;
        match device.handle_frame(request, now, digest) {
            Ok(FrameAction::Apply(_)) => Ok("apply"),
            Ok(FrameAction::Renew(..)) => Ok("renew"),
            Err(error) => Err(error.errno),
        }
    }

    #[test]
    fn the_first_frame_must_carry_a_proof() {
        let request = parse(r#"{"status":"online"}"#).unwrap();
        let Err(error) = FirstFrame::from_request(request) else { panic!() };
        assert_eq!(error.errno, Errno::NotAuthenticated);
    }

    #[test]
    fn a_repeated_assertion_is_accepted_and_renews_nothing() {
        let frame = r#"{"status":"online","assertion":"first"}"#;
        assert_eq!(handle(&mut device(), frame, at(99_999)), Ok("apply"));
        assert_eq!(handle(&mut device(), frame, at(100_000)), Err(Errno::SessionExpired));
    }

    #[test]
    fn no_assertion_renews_twice_on_the_same_connection() {
        let mut device = device();
        let second = r#"{"status":"online","assertion":"second"}"#;
        assert_eq!(handle(&mut device, second, at(0)), Ok("renew"));
        device.renew(digest(&Proof::Assertion("second".to_owned())), at(200_000));
        for assertion in ["first", "second"] {
            let frame = format!(r#"{{"status":"online","assertion":"{assertion}"}}"#);
            assert_eq!(handle(&mut device, &frame, at(0)), Ok("apply"));
        }
    }

    #[test]
    fn a_new_assertion_renews_even_after_the_end() {
        let frame = r#"{"status":"online","assertion":"second"}"#;
        assert_eq!(handle(&mut device(), frame, at(100_001)), Ok("renew"));
    }

    #[test]
    fn the_email_and_the_device_of_a_connection_cannot_change() {
        let mut device = device();
        let other_email = r#"{"status":"online","email":"c@b.example"}"#;
        assert_eq!(handle(&mut device, other_email, at(0)), Err(Errno::EmailMismatch));
        let other_device = r#"{"status":"online","device":"other"}"#;
        assert_eq!(handle(&mut device, other_device, at(0)), Err(Errno::InvalidField));
        let same = r#"{"status":"online","email":"a@B.example","device":"default"}"#;
        assert_eq!(handle(&mut device, same, at(0)), Ok("apply"));
    }

    #[test]
    fn the_token_field_of_clients_of_2013_is_ignored() {
        assert_eq!(handle(&mut device(), r#"{"status":"online","token":"x"}"#, at(0)), Ok("apply"));
        assert_eq!(
            handle(&mut device(), r#"{"status":"online","token":"prt_x"}"#, at(0)),
            Ok("renew")
        );
    }

    #[test]
    fn the_end_of_a_session_is_announced_once_and_then_the_connection_is_closed() {
        let mut device = device();
        assert_eq!(device.check_session(at(0)), SessionDeadline::CheckAt(at(40_000)));
        assert_eq!(device.check_session(at(40_000)), SessionDeadline::Warn(60));
        assert_eq!(device.check_session(at(41_000)), SessionDeadline::CheckAt(at(110_000)));
        assert_eq!(device.check_session(at(110_000)), SessionDeadline::Close);
        device.renew([0; 32], at(300_000));
        assert_eq!(device.check_session(at(110_000)), SessionDeadline::CheckAt(at(240_000)));
    }
}
