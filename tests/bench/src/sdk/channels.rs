//! The SDK's channels, as an application opens them.

use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceEvents, AppServiceOptions, Credential,
    DeviceChannel, DeviceEvents, DeviceOptions,
};
use presence_tests::Application;

/// Opens a device channel, and waits until the server has confirmed its state.
pub(crate) async fn device(server: &str, token: &str, name: &str) -> (DeviceChannel, DeviceEvents) {
    let mut options = DeviceOptions::new(server.parse().unwrap(), name.parse().unwrap());
    options.credential = Some(Credential::Token(token.into()));
    let (channel, events) = DeviceChannel::open(options).unwrap();
    channel.confirmed().await.unwrap();
    (channel, events)
}

/// Opens a back end's channel, and waits for its snapshot.
pub(crate) async fn back_end(
    server: &str,
    application: &Application,
) -> (AppServiceChannel, AppServiceEvents) {
    let key = application.api_key.as_str().into();
    let options = AppServiceOptions::new(server.parse().unwrap(), application.id(), key);
    let (channel, mut events) = AppServiceChannel::open(options).unwrap();
    while !matches!(events.next().await, Some(AppServiceEvent::Snapshot(_))) {}
    (channel, events)
}
