//! The things that all tasks of a run share: the ways to the servers, the Applications, the users,
//! and whether there is traffic.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use presence_tests::{Application, Server};
use tokio::sync::watch;

use super::expectations::Expectations;
use super::options::RunOptions;
use crate::clients::sign_in_users;

/// The number of Applications, each of which sees all users.
pub(crate) const APPS: usize = 2;
/// The time after which a client gives up a socket that does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// The phase of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Devices report, and come and go.
    Traffic,
    /// Each device brings its user into a certain state, and then only keeps its connection.
    Rest,
}

/// The things that all tasks of a run share.
pub(crate) struct Scene {
    /// The addresses at which devices connect.
    pub(crate) doors: Vec<SocketAddr>,
    /// The addresses of the servers.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) applications: [Application; APPS],
    /// The token of each user's session.
    pub(crate) tokens: Vec<String>,
    /// The PUIDs of the users, for each Application.
    pub(crate) puids: [Vec<String>; APPS],
    /// The users, by their PUIDs.
    pub(crate) users: HashMap<String, usize>,
    pub(crate) expectations: Expectations,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) pace: Duration,
}

impl Scene {
    /// Makes Applications, and users who have granted all of them.
    pub(crate) async fn new(
        server: &Server,
        (doors, servers): (Vec<SocketAddr>, Vec<SocketAddr>),
        options: &RunOptions,
    ) -> Self {
        let owner = server.sign_in("developer").await;
        let one = server.application_named(&owner, "One").await;
        let other = server.application_named(&owner, "Other").await;
        let applications = [one, other];
        let signed_in = sign_in_users(server, &applications[0], "user", options.users).await;
        let mut puids = [Vec::new(), Vec::new()];
        for user in &signed_in {
            puids[0].push(user.uid.to_string());
            let path = format!("/grant/{}", applications[1].appid);
            let granted =
                server.call("POST", &path).bearer(&user.token).json(&serde_json::json!({}));
            puids[1].push(granted.await.ok()["uid"].as_str().unwrap().to_owned());
        }
        let numbered = |puids: &Vec<String>| puids.iter().cloned().zip(0..).collect::<Vec<_>>();
        Self {
            doors,
            servers,
            applications,
            tokens: signed_in.into_iter().map(|user| user.token).collect(),
            users: puids.iter().flat_map(numbered).collect(),
            puids,
            expectations: Expectations::new(options.users),
            phase: watch::Sender::new(Phase::Traffic),
            pace: options.pace,
        }
    }
}
