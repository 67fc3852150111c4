//! The descriptions of all metrics, which Prometheus shows.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// The name of a metric, and its description.
type Description = (&'static str, &'static str);

const COUNTERS: &[Description] = &[
    (
        "presence_accept_failures_total",
        "Attempts to accept a connection that failed, for example at the limit of open files.",
    ),
    ("presence_acme_orders_total", "Orders of certificates by ACME, by outcome."),
    ("presence_connections_opened_total", "Sockets opened, by channel."),
    (
        "presence_credential_reads_total",
        "API keys and sessions of requests that were found, by place: cache, database.",
    ),
    ("presence_deliveries_total", "Notifications handed to connected devices."),
    ("presence_frames_received_total", "Text frames received on sockets, by channel."),
    ("presence_frames_sent_total", "Text frames sent on sockets, by channel."),
    (
        "presence_http_answers_total",
        "HTTP responses, including upgrades to sockets, by class of status.",
    ),
    ("presence_ko_total", "Errors sent on the channels and over REST, by name of their errno."),
    (
        "presence_log_lines_dropped_total",
        "Log lines that were lost, because the log could not be written fast enough or at all.",
    ),
    ("presence_notifications_accepted_total", "Notifications accepted; each of them is durable."),
    (
        "presence_receipts_total",
        "Final states of notifications: acked by a device, delivered, expired, dropped, revoked.",
    ),
    (
        "presence_returns_total",
        "Lost devices that came back in their grace time: Applications were told nothing.",
    ),
    (
        "presence_sign_ins_total",
        "Assertions and tokens of devices and sign-ins, by outcome: ok, or the name of an errno.",
    ),
    ("presence_tls_handshakes_total", "TLS handshakes, by outcome."),
    (
        "presence_tls_reloads_total",
        "Certificates reloaded while running, by outcome: ok, or failed if the old one is kept.",
    ),
    (
        "presence_trace_spans_total",
        "Spans of traces that have ended, by outcome: sent, dropped (the queue was full), failed.",
    ),
    ("presence_updates_total", "Changes of a user's presence that were sent to an Application."),
    (
        "presence_updates_written_total",
        "Updates written to Applications' sockets, per socket; a slow one gets only the newest.",
    ),
    (
        "presence_verifications_total",
        "Assertions verified, by outcome: proven, invalid, unavailable (the issuer), busy.",
    ),
    ("process_cpu_seconds_total", "Time for which the process used a processor, in seconds."),
];

const GAUGES: &[Description] = &[
    ("presence_app_sockets", "Sockets of Applications that are authenticated."),
    ("presence_build_info", "1, with the version and the commit as labels."),
    ("presence_cached_credentials", "API keys, sessions and polled grants that are cached, about."),
    ("presence_connections", "Open sockets, by channel, authenticated or not."),
    (
        "presence_database_bytes",
        "Size of the SQLite database, by file: database, log. PostgreSQL has none here.",
    ),
    ("presence_devices_connected", "Connected devices that are authenticated."),
    ("presence_draining", "1 while the server closes its sockets before it stops."),
    ("presence_mailbox_depth", "Notifications waiting to be written to connected devices."),
    ("presence_server_info", "1, with the name by which other servers of the database know it."),
    ("presence_stream_depth", "Updates and receipts kept for Applications that reconnect."),
    (
        "presence_tls_certificate_expires_seconds",
        "End of the validity of the server's own certificate, in Unix seconds; 0 without one.",
    ),
    ("presence_users_present", "Users with a device that is connected or in its grace time."),
    ("presence_warming_up", "1 while devices of an earlier run may still reconnect."),
    (
        "presence_writer_queue_depth",
        "Requests waiting for the writer; above 8192 they are refused.",
    ),
    ("process_max_fds", "Limit of open file descriptors."),
    ("process_open_fds", "Open file descriptors, one for each connection and a few more."),
    ("process_resident_memory_bytes", "Memory of the process that is in use."),
    ("process_start_time_seconds", "Time at which the process was started, in Unix seconds."),
    ("process_threads", "Threads of the process."),
    ("process_virtual_memory_bytes", "Addresses that the process has reserved."),
    ("process_virtual_memory_max_bytes", "Limit of such addresses; 0 if there is none."),
];

const HISTOGRAMS: &[Description] = &[
    ("presence_commit_requests", "Requests committed in one transaction."),
    ("presence_commit_seconds", "Duration of a transaction of the writer, including its commit."),
    (
        "presence_fan_out_seconds",
        "Time from a change until a socket of an Application gets it; one of sixteen is measured.",
    ),
    ("presence_frame_seconds", "Work on a frame until it is done or queued, by channel."),
    ("presence_http_seconds", "Time from the head of a request to the head of its response."),
    ("presence_notify_commit_seconds", "Time from the check of notifications to their commit."),
    (
        "presence_replica_lag_seconds",
        "Age of the newest change of a stream when this server applies it, by the database's time.",
    ),
    ("presence_sign_in_seconds", "Duration of the verification of a valid assertion."),
    (
        "presence_time_to_offline_seconds",
        "Time from the loss of a user's last connection until an Application is informed.",
    ),
];

/// Registers the descriptions with the recorder.
pub(super) fn register() {
    COUNTERS.iter().for_each(|(name, text)| describe_counter!(*name, *text));
    GAUGES.iter().for_each(|(name, text)| describe_gauge!(*name, *text));
    HISTOGRAMS.iter().for_each(|(name, text)| describe_histogram!(*name, *text));
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
