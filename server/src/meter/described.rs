//! What each metric is, in the words that Prometheus shows.

use metrics::{describe_counter, describe_gauge, describe_histogram};

type Described = (&'static str, &'static str);

const COUNTERS: &[Described] = &[
    ("presence_connections_opened_total", "Sockets opened, by channel."),
    ("presence_deliveries_total", "Notifications handed to connected devices."),
    ("presence_frames_received_total", "Text frames heard on sockets, by channel."),
    ("presence_frames_sent_total", "Text frames said on sockets, by channel."),
    (
        "presence_http_answers_total",
        "Answers over HTTP, upgrades to sockets too, by class of status.",
    ),
    ("presence_ko_total", "Refusals on the channels and over REST, by the name of their errno."),
    ("presence_notifications_accepted_total", "Notifications accepted, each of them durable."),
    (
        "presence_receipts_total",
        "The last word on notifications, by state: acked by a device, delivered, expired, dropped, revoked.",
    ),
    (
        "presence_sign_ins_total",
        "Assertions and tokens shown by devices and at sign-in, by outcome: ok, or the name of an errno.",
    ),
    ("presence_tls_handshakes_total", "TLS handshakes, by outcome."),
    (
        "presence_tls_reloads_total",
        "New certificates found while running, by outcome: ok, or failed, when the old one is kept.",
    ),
    ("presence_updates_total", "Changes of a user's presence that an Application was told of."),
    (
        "presence_updates_written_total",
        "Updates written to sockets of Applications, of each socket by itself; less where a slow one gets only the newest.",
    ),
    (
        "presence_verifications_total",
        "Assertions that were looked into, by outcome: proven, invalid, unavailable (the issuer), busy.",
    ),
];

const GAUGES: &[Described] = &[
    ("presence_app_sockets", "Sockets of Applications whose key is known."),
    ("presence_build_info", "1, with the version and the commit as labels."),
    ("presence_connections", "Open sockets, by channel, known or not."),
    ("presence_devices_connected", "Connected devices whose user is known."),
    ("presence_draining", "1 while the server tells its sockets to go."),
    ("presence_mailbox_depth", "Notifications that wait to be written to connected devices."),
    ("presence_stream_depth", "Updates and receipts kept for Applications that come back."),
    ("presence_users_present", "Users with a device here, or in its grace time."),
    ("presence_warming_up", "1 while devices of an earlier run may still be on their way back."),
    ("presence_writer_queue_depth", "Requests that wait for the writer; one over 8192 is refused."),
];

const HISTOGRAMS: &[Described] = &[
    ("presence_commit_requests", "Requests that were committed together."),
    ("presence_commit_seconds", "How long a transaction of the writer took, its commit included."),
    (
        "presence_fan_out_seconds",
        "From a change to its being handed to a socket of the Application; one of sixteen is timed.",
    ),
    ("presence_frame_seconds", "The work on a frame until it is done or handed on, by channel."),
    ("presence_http_seconds", "From a request's head to its answer's head."),
    ("presence_notify_commit_seconds", "From notifications being checked to their being durable."),
    ("presence_sign_in_seconds", "How long the verifying of a good assertion took."),
    (
        "presence_time_to_offline_seconds",
        "From the loss of a user's last connection to an Application's being told: the grace time, and what came on top.",
    ),
];

/// Tells the recorder what is what.
pub(super) fn describe() {
    COUNTERS.iter().for_each(|(name, meaning)| describe_counter!(*name, *meaning));
    GAUGES.iter().for_each(|(name, meaning)| describe_gauge!(*name, *meaning));
    HISTOGRAMS.iter().for_each(|(name, meaning)| describe_histogram!(*name, *meaning));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_in_the_operator_s_guide() {
        let guide = include_str!("../../OPERATION.md");
        for (name, _) in COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS) {
            assert!(guide.contains(&format!("`{name}`")), "{name}");
        }
    }
}
