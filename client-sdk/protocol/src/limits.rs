//! The limits that are part of the protocol and cannot be configured.

/// The maximum number of characters of a status text.
pub const MAX_STATUS_TEXT_CHARS: usize = 128;
/// The maximum number of characters (Unicode scalar values) of a notification's `message`, and of
/// its `action`.
pub const MAX_NOTIFICATION_CHARS: usize = 512;
/// The maximum number of characters of a notification's `source`.
pub const MAX_SOURCE_CHARS: usize = 200;
/// The maximum number of bytes of a frame with notifications.
pub const MAX_NOTIFICATIONS_BYTES: usize = 64 * 1024;
/// The maximum number of items in one `notify`, and of PUIDs in one `query`.
pub const MAX_BATCH_ITEMS: usize = 500;
/// The maximum number of notifications that wait for one user of one Application. Beyond it the
/// oldest is dropped.
pub const MAX_QUEUE_ITEMS: usize = 100;
/// The maximum time for which a notification may wait, in seconds: 30 days. It is also the default.
pub const MAX_TTL_SECONDS: u32 = 2_592_000;
/// The maximum number of characters of an idempotency key.
pub const MAX_IDEMPOTENCY_KEY_CHARS: usize = 128;
/// The time for which an idempotency key is stored, in seconds.
pub const IDEMPOTENCY_KEY_SECONDS: u64 = 86_400;
/// The maximum number of Applications in one frame.
pub const MAX_APPLICATION_IDS: usize = 1_000;
/// The maximum number of acknowledgements in one frame.
pub const MAX_ACK_IDS: usize = 1_000;
/// The maximum number of characters of a request's `id`, or of its digits.
pub const MAX_REQUEST_ID_CHARS: usize = 128;
