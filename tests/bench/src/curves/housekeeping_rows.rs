//! Rows that have expired, as SQL.

use crate::filling::numbers;

/// Notifications, evenly over all grants. Their ids grow, as those of the server do. The number of
/// notifications is in place of `{count}`, that of the grants in place of `{grants}`, and a table
/// of the numbers from 1 in place of `{numbers}`.
pub(crate) const EXPIRED_NOTIFICATIONS: &str = "INSERT INTO notifications \
    (id, grant_id, message, action, sent_at, expires_at, state, live_only, source) {numbers} \
    SELECT printf('%032x', i), i % {grants} + 1, 'Lunch at one? The usual place.', '', \
    1780000000000, 1780000000000 + 86400000 * i / {count}, 0, 0, '' FROM n";

/// Sessions of the first user.
pub(crate) const EXPIRED_SESSIONS: &str = "INSERT INTO sessions \
    (digest, user_id, scope, created_at, expires_at, development) {numbers} \
    SELECT randomblob(32), 1, 'account', 1780000000000, 1780000000000 + 86400000 * i / {count}, 1 FROM n";

/// Idempotency keys, evenly over all grants.
pub(crate) const EXPIRED_KEYS: &str = "INSERT INTO idempotency \
    (grant_id, key, body_digest, notification_id, queue_size, expires_at) {numbers} \
    SELECT i % {grants} + 1, lower(hex(randomblob(16))), randomblob(32), lower(hex(randomblob(16))), 1, \
    1780000000000 + 86400000 * i / {count} FROM n";

/// Returns a statement that inserts this number of rows.
pub(crate) fn insert(statement: &str, count: usize, grants: usize) -> String {
    statement
        .replace("{numbers}", &numbers(count))
        .replace("{count}", &count.to_string())
        .replace("{grants}", &grants.to_string())
}
