//! The second look of a server, on a real database.

use std::sync::Arc;
use std::time::Duration;

use presence_core::model::{Email, UserId};
use presence_core::{Clock, CredentialGeneration};
use presence_protocol::CloseCode;
use presence_store::{CommonSettings, Store};
use presence_test_postgres::Cluster;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{SharedHub, SharedSettings};
use crate::clock::SystemClock;
use crate::hub::answers::ConnectError;
use crate::hub::limits::HubLimits;
use crate::mailbox::Mailbox;
use crate::socket_waker::SocketWaker;
use crate::testing;

/// Returns the hub of the only server of a database.
async fn hub(url: &str) -> Arc<SharedHub> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = Store::open(url, clock.now()).await.unwrap();
    let live = store.live().unwrap().clone();
    let settings = SharedSettings {
        limits: HubLimits::from(&testing::settings()),
        warm_up: Duration::ZERO,
        deadline: Duration::from_secs(5),
        common: CommonSettings::default(),
    };
    Arc::new(SharedHub::join((store, live), clock, settings).await.unwrap())
}

/// Runs a hub until the set of tasks is dropped.
fn run(hub: &Arc<SharedHub>) -> JoinSet<()> {
    let (mut tasks, running) = (JoinSet::new(), Arc::clone(hub));
    tasks.spawn(async move { running.run(&CancellationToken::new()).await });
    tasks
}

async fn alice(hub: &SharedHub) -> UserId {
    let email = Email::parse("alice@mail.example").unwrap();
    hub.store.find_or_create_user(&email, hub.clock.now()).await.unwrap()
}

#[tokio::test]
async fn nothing_is_put_back_of_a_user_who_was_erased_meanwhile() {
    let url = Cluster::shared().create_database();
    let hub = hub(&url).await;
    let _tasks = run(&hub);
    let user = alice(&hub).await;
    let waker = Arc::new(SocketWaker::default());
    let mailbox = Arc::new(Mailbox::new(Arc::clone(&waker), [1; 32]));
    let _connection = hub.connect(user, "phone".parse().unwrap(), &mailbox).await.ok().unwrap();
    // Another server erases the user, after a crash of the database.
    let sql = "TRUNCATE live_epoch, live_nodes, live_users, live_connections; DELETE FROM users";
    Cluster::shared().run_sql(url.rsplit('/').next().unwrap(), sql);
    hub.rejoin_once(hub.identity().node).await;
    let closes = async {
        while waker.closing().is_none() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_mins(1), closes).await.expect("the connection is closed");
    assert_eq!(waker.closing(), Some(CloseCode::NotAuthorised));
    let rosters = hub.live.rosters(&[user]).await.unwrap();
    assert!(rosters.values().all(|(_, roster)| roster.is_empty()));
    let again = hub.connect(user, "phone".parse().unwrap(), &mailbox).await;
    assert!(matches!(again, Err(ConnectError::NoUser)));
}

#[tokio::test]
async fn a_connection_that_is_being_renewed_is_not_taken_for_an_outdated_one() {
    let hub = hub(&Cluster::shared().create_database()).await;
    let _tasks = run(&hub);
    let user = alice(&hub).await;
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
