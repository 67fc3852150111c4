//! A check of a proof is confirmed only while the proof is valid.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use presence_core::{EndedDevices, ManualClock, Scope};
use presence_identity::Dispatcher;
use presence_store::{DeviceEnd, SessionLimit};

use super::*;
use crate::hub::HubLimits;
use crate::hub::local::LocalHub;
use crate::testing;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const DEVICE: &str = "phone";

/// A verifier on a database with one user.
struct ProofFixture {
    store: Store,
    verifier: ProofVerifier,
    user: UserId,
}

impl ProofFixture {
    async fn open(directory: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.display());
        let store = Store::open(&url, NOW).await.unwrap();
        let settings = Arc::new(testing::settings());
        let limits = HubLimits::from(settings.as_ref());
        let hub = LocalHub::new(Arc::clone(&clock), limits, store.epoch(), clock.steady());
        let hub = Hub::Local(Arc::new(hub));
        let email = Email::parse("alice@mail.example").unwrap();
        let user = store.find_or_create_user(&email, NOW).await.unwrap();
        let (dispatcher, hub) = (Arc::new(Dispatcher::new()), Arc::new(hub));
        let verifier =
            ProofVerifier::new(dispatcher, (store.clone(), Arc::default()), hub, clock, settings);
        Self { store, verifier, user }
    }

    /// Inserts a session and returns its token.
    async fn insert_session(&self) -> String {
        use secrecy::ExposeSecret;
        let token = secret::generate(SecretKind::Token).expose_secret().to_owned();
        let session = Session {
            digest: secret::sha256(&token),
            user: self.user,
            scope: Scope::Device,
            created_at: NOW,
            expires_at: NOW + HOUR,
            generation: None,
            ended_devices: EndedDevices::default(),
        };
        let limit = SessionLimit { max: 9, last_use: &|_| None };
        self.store.insert_session(&session, limit).await.unwrap();
        token
    }

    /// Returns a proof with a generation.
    fn checked(&self, number: u64) -> CheckedProof {
        CheckedProof {
            user: self.user,
            email: Email::parse("alice@mail.example").unwrap(),
            expires_at: NOW + HOUR,
            digest: [1; 32],
            generation: Some(generation(number)),
            assertion: None,
            device: None,
            session_mark: None,
        }
    }

    async fn check(&self, token: &str) -> Result<CheckedProof, ApiError> {
        let (proof, device) = (Proof::Token(token.to_owned()), DEVICE.parse().unwrap());
        let credentials = DeviceCredentials { proof: &proof, email: None, device: &device };
        self.verifier.check_device(&attempt().await, &credentials, None).await
    }
}

fn generation(number: u64) -> CredentialGeneration {
    CredentialGeneration { issuer: "idp.example".into(), number }
}

async fn attempt() -> Attempt {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let counter = AttemptCounter::new(&testing::settings(), &clock);
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let result = counter.count(client, CredentialKind::Secret, |attempt| ready(Ok(attempt))).await;
    result.map_err(|error| error.errno).unwrap()
}

/// Ends the session with a digest, or the device that it opens.
type End = fn(Store, UserId, [u8; 32]) -> BoxFuture<'static, ()>;

const ENDS: [End; 3] = [
    |store, user, digest| {
        async move { assert_eq!(store.delete_sessions(user, &[digest]).await.unwrap(), 1) }.boxed()
    },
    |store, user, _| {
        async move { assert_eq!(store.delete_sessions_of(user).await.unwrap(), 1) }.boxed()
    },
    |store, user, _| {
        let end = DeviceEnd {
            user,
            device: DEVICE.parse().unwrap(),
            kept_session: None,
            sessions: Vec::new(),
            assertions: Vec::new(),
        };
        async move { store.end_device(&end).await.unwrap() }.boxed()
    },
];

#[tokio::test]
async fn a_session_that_ends_after_the_check_is_not_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = ProofFixture::open(directory.path()).await;
    for end in ENDS {
        let token = fixture.insert_session().await;
        let kept = fixture.check(&token).await.unwrap();
        fixture.verifier.confirm(kept).await.unwrap();
        let checked = fixture.check(&token).await.unwrap();
        end(fixture.store.clone(), fixture.user, secret::sha256(&token)).await;
        let error = fixture.verifier.confirm(checked).await.unwrap_err();
        assert_eq!(error.errno, Errno::SessionExpired);
    }
}

/// Holds rule 31 of server/identity/RULES.md.
#[tokio::test]
async fn an_assertion_with_outdated_credentials_is_not_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = ProofFixture::open(directory.path()).await;
    let checked = fixture.checked(1);
    fixture.verifier.bump_generation(&checked, None).await.unwrap();
    fixture.store.record_generation(fixture.user, &generation(2)).await.unwrap();
    let error = fixture.verifier.confirm(checked).await.unwrap_err();
    assert_eq!(error.errno, Errno::InvalidAssertion);
}

#[tokio::test]
async fn a_connection_that_is_renewed_has_the_new_generation_before_the_database_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = ProofFixture::open(directory.path()).await;
    let greatest = || fixture.store.greatest_generation(fixture.user, "idp.example");
    fixture.verifier.bump_generation(&fixture.checked(1), None).await.unwrap();
    let mailbox = Arc::new(Mailbox::new(Arc::default(), [1; 32]));
    mailbox.set_generation(&generation(1));
    let checked = fixture.checked(2);
    let mut bump = std::pin::pin!(fixture.verifier.bump_generation(&checked, Some(&mailbox)));
    // The task has begun, and waits for the database.
    assert!(bump.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert_eq!(mailbox.generation(), Some(generation(2)));
    bump.await.unwrap();
    assert_eq!((mailbox.generation(), greatest().await.unwrap()), (Some(generation(2)), Some(2)));
    // A proof that is refused changes nothing.
    fixture.verifier.bump_generation(&fixture.checked(1), Some(&mailbox)).await.unwrap_err();
    assert_eq!(mailbox.generation(), Some(generation(2)));
}

#[tokio::test]
async fn a_ticket_is_checked_and_confirmed_as_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = ProofFixture::open(directory.path()).await;
    let digest = secret::sha256(&fixture.insert_session().await);
    let ticket = fixture.verifier.tickets().issue(fixture.user, digest).await.unwrap();
    let ticket = secrecy::ExposeSecret::expose_secret(&ticket);
    let checked = fixture.check(ticket).await.unwrap();
    assert_eq!(fixture.verifier.confirm(checked).await.unwrap().digest(), digest);
    assert!(fixture.check(ticket).await.is_err(), "a ticket is valid once");
}
