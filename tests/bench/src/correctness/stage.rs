//! The servers of a run with the sockets that watch them.

use std::sync::Arc;

use presence_tests::SeededRng;
use tokio::task::JoinSet;

use super::device::SimulatedDevice;
use super::options::RunOptions;
use super::scene::{APPS, Scene};
use super::sender;
use super::sites::Sites;
use super::watcher::{PresenceWatcher, ToldVersions};

/// The servers of a run, and a socket of each Application at each server. Dropping it ends all.
pub(crate) struct Stage {
    pub(crate) sites: Sites,
    pub(crate) scene: Arc<Scene>,
    pub(crate) watchers: Vec<Arc<PresenceWatcher>>,
    pub(crate) told: Arc<[ToldVersions; APPS]>,
    tasks: JoinSet<()>,
}

impl Stage {
    /// Starts the servers, and the sockets of Applications.
    pub(crate) async fn start(servers: usize, options: &RunOptions) -> Self {
        let sites = Sites::start(servers).await;
        let ways = (sites.doors(), sites.addresses());
        let scene = Arc::new(Scene::new(&sites.all[0].server, ways, options).await);
        let told: Arc<[ToldVersions; APPS]> = Arc::default();
        let (mut tasks, mut watchers) = (JoinSet::new(), Vec::new());
        for address in &scene.servers {
            for app in 0..APPS {
                let watcher = PresenceWatcher::new(&scene, (app, *address), &told);
                tasks.spawn(Arc::clone(&watcher).run());
                watchers.push(watcher);
            }
        }
        Self { sites, scene, watchers, told, tasks }
    }

    /// Lets a device of each user act, and notifications be sent.
    pub(crate) fn populate(&mut self, rng: &mut SeededRng) {
        self.watchers.iter().for_each(|watcher| watcher.record.lock().unwrap().forget_departures());
        for user in 0..self.scene.expectations.users() {
            let device = SimulatedDevice::new(&self.scene, user, rng.another());
            self.tasks.spawn(device.run());
        }
        self.tasks.spawn(sender::send(Arc::clone(&self.scene), rng.another()));
    }

    /// Returns the number of updates that all sockets of Applications were told.
    pub(crate) fn updates(&self) -> u64 {
        self.watchers.iter().map(|watcher| watcher.record.lock().unwrap().updates).sum()
    }
}
