//! Settings for the tests of this crate.

use std::time::Duration;

use presence_core::stream::Retention;

use crate::settings::{Rate, ServiceSettings, TextLimits};

/// Returns settings with the smallest limits, and a retention of an hour.
pub(crate) fn settings() -> ServiceSettings {
    let rate = Rate { burst: 1, per_second: 1 };
    let hour = Duration::from_hours(1);
    ServiceSettings {
        development: false,
        common_public_url: String::new(),
        further_common: Vec::new(),
        session: hour,
        session_ends_with_assertion: false,
        grace: Duration::ZERO,
        stream_bytes: usize::MAX,
        receipt_hold: Duration::ZERO,
        settle_interval: Duration::from_secs(1),
        warm_up: Duration::ZERO,
        sockets_per_user: 1,
        proofs_per_user: 100,
        sockets_per_app: 1,
        database_deadline: Duration::from_secs(5),
        grants_per_user: 1,
        sessions_per_user: 1,
        cached_credentials: 100,
        apps_per_developer: 1,
        retention: Retention { entries: 100, age: hour, bytes: usize::MAX },
        update_delay: Duration::ZERO,
        status_rate: rate,
        user_change_rate: Rate { burst: 20, per_second: 5 },
        notify_rate: rate,
        app_notify_rate: rate,
        frame_rate: rate,
        verification_rate: rate,
        connect_rate: rate,
        commit_group: 1,
        sign_in_rate: rate,
        failure_rate: rate,
        texts: TextLimits { name: 1, description: 1, domain: 1 },
        domain_http: false,
        action_schemes: Vec::new(),
    }
}
