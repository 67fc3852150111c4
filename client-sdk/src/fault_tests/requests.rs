//! The headers of the requests to the server, and the time limit of connecting.

use std::time::Duration;

use super::recording_server::{RecordingServer, call, device, header, waiting_reason};
use super::scripted_server::{Script, ScriptedServer, long_timing, within};
use crate::net::Connector;
use crate::{
    AppServiceChannel, AppServiceOptions, DeviceChannel, DeviceOptions, Error, NetworkOptions,
    PresenceApi, Timing,
};

#[tokio::test]
async fn the_upgrade_and_rest_calls_have_the_user_agent_and_the_headers_of_the_application() {
    let server = RecordingServer::start(None).await;
    let url = format!("http://{}", server.address);
    let network = NetworkOptions::default()
        .with_product("chat/1.2")
        .with_header("X-Tenant", "blue".to_owned().into());
    let channel = device(&url, &network, long_timing());
    within(channel.confirmed()).await.unwrap();
    call(&url, &network).await;
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let sdk = concat!("chat/1.2 presence-client/", env!("CARGO_PKG_VERSION"), " (rust)");
        assert_eq!(header(&head, "user-agent"), Some(sdk), "{head}");
        assert_eq!(header(&head, "x-tenant"), Some("blue"), "{head}");
        assert_eq!(head.to_lowercase().matches("\r\nuser-agent:").count(), 1, "{head}");
    }
}

#[tokio::test]
async fn a_header_of_the_protocol_is_refused_by_channels_and_rest() {
    let network = NetworkOptions::default().with_header("Authorization", "Bearer x".into());
    let server = || "http://127.0.0.1:9".parse().unwrap();
    let mut phone = DeviceOptions::new(server(), "phone".parse().unwrap());
    phone.network = network.clone();
    let mut back_end = AppServiceOptions::new(server(), crate::AppId::from_bits(1), "k".into());
    back_end.network = network.clone();
    for refused in [
        DeviceChannel::open(phone).err(),
        AppServiceChannel::open(back_end).err(),
        PresenceApi::with_network(server(), &network).err(),
    ] {
        assert!(matches!(refused, Some(Error::InvalidArgument(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn connect_timeout_includes_the_upgrade_and_the_first_reply() {
    for script in [Script::Hang, Script::HangAfterUpgrade] {
        let server = ScriptedServer::start(vec![script]).await;
        let connect_timeout = Duration::from_millis(200);
        let timing = Timing { connect_timeout, ..long_timing() };
        let url = format!("http://{}", server.address);
        let channel = device(&url, &NetworkOptions::default(), timing);
        assert_eq!(waiting_reason(&channel).await, Error::TimedOut, "{script:?}");
    }
}

#[test]
fn channels_without_options_share_what_a_connection_needs() {
    let connector = || Connector::new(&NetworkOptions::default()).unwrap();
    assert!(connector().shares_all_with(&connector()));
}
