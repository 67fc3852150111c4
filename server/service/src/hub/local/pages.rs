//! The pages of users, as far as the hub knows what they show.

use std::hash::{Hash, Hasher};

use presence_core::model::Grant;
use presence_core::{UnixMillis, UserId};

use super::LocalHub;
use super::page_versions::PageVersion;

impl LocalHub {
    /// Returns the version of what a user sees now, `None` if too many users view their page.
    pub(crate) fn page_version(&self, user: UserId) -> Option<PageVersion> {
        let at = (self.clock.steady(), self.clock.now());
        let (facts, grants) = self.pages.view(user, at)?;
        let mut hasher = self.pages.hasher(&facts);
        for grant in grants.iter() {
            let Some(topic) = self.find_topic(grant.app) else { continue };
            let status = topic.read(|stream| stream.latest(grant.puid).status);
            (grant.puid, status).hash(&mut hasher);
            // While a socket is open, the time of the last check is always now.
            let is_checking = topic.is_checking(grant);
            let last_check = topic.last_check_of(grant, None).filter(|_| !is_checking);
            (is_checking, last_check.map(UnixMillis::get)).hash(&mut hasher);
        }
        for device in self.devices_of(user) {
            (device.device, device.connected, device.since.get()).hash(&mut hasher);
            (device.view.status, device.view.text.map(String::from)).hash(&mut hasher);
        }
        self.devices_with_sessions(user).hash(&mut hasher);
        Some(PageVersion(hasher.finish()))
    }

    /// Records what the page of a user has shown: the grants, and the end of the session that
    /// expires first.
    pub(crate) fn note_page(
        &self,
        user: UserId,
        grants: Vec<Grant>,
        expires_at: Option<UnixMillis>,
    ) {
        self.pages.note_shown(user, grants, expires_at);
    }

    /// Records that rows of a user have changed which the page of the user shows.
    pub(crate) fn note_user_change(&self, user: UserId) {
        self.pages.change(user);
    }

    /// Records that an Application has changed.
    pub(crate) fn note_application_change(&self) {
        self.pages.change_applications();
    }
}
