//! The second look of a server, on a real database.

use std::sync::Arc;
use std::time::Duration;

use presence_core::model::Email;
use presence_core::{Clock, CredentialGeneration};
use presence_protocol::CloseCode;
use presence_store::{CommonSettings, Store};
use presence_test_postgres::Cluster;
use tokio_util::sync::CancellationToken;

use super::{SharedHub, SharedSettings};
use crate::clock::SystemClock;
use crate::hub::limits::HubLimits;
use crate::mailbox::Mailbox;
use crate::socket_waker::SocketWaker;
use crate::testing;

/// Returns the hub of the only server of a new database.
async fn hub() -> Arc<SharedHub> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = Store::open(&Cluster::shared().create_database(), clock.now()).await.unwrap();
    let live = store.live().unwrap().clone();
    let settings = SharedSettings {
        limits: HubLimits::from(&testing::settings()),
        warm_up: Duration::ZERO,
        deadline: Duration::from_secs(5),
        common: CommonSettings::default(),
    };
    Arc::new(SharedHub::join((store, live), clock, settings).await.unwrap())
}

#[tokio::test]
async fn a_connection_that_is_being_renewed_is_not_taken_for_an_outdated_one() {
    let hub = hub().await;
    let mut tasks = tokio::task::JoinSet::new();
    let running = Arc::clone(&hub);
    tasks.spawn(async move { running.run(&CancellationToken::new()).await });
    let email = Email::parse("alice@mail.example").unwrap();
    let user = hub.store.find_or_create_user(&email, hub.clock.now()).await.unwrap();
    let generation = |number| CredentialGeneration { issuer: "idp.example".into(), number };
    let waker = Arc::new(SocketWaker::default());
    let mailbox = Arc::new(Mailbox::new(Arc::clone(&waker), [1; 32]));
    mailbox.set_generation(&generation(1));
    hub.store.record_generation(user, &generation(1)).await.unwrap();
    let device = "phone".parse().unwrap();
    let _connection = hub.connect(user, device, &mailbox).await.ok().unwrap();

    mailbox.expect_generation(&generation(2));
    hub.store.record_generation(user, &generation(2)).await.unwrap();
    hub.look_again(user).await;
    assert_eq!(waker.closing(), None);
    // The renewal has failed, though the generation was recorded.
    mailbox.end_expectation(false);
    hub.look_again(user).await;
    assert_eq!(waker.closing(), Some(CloseCode::NotAuthorised));
}
