//! The sizes that are part of the wire contract, and not settings.

/// The maximum number of characters of a status text.
pub const STATUS_TEXT_CHARS: usize = 128;
/// The maximum number of characters (Unicode scalar values) of a notification's `message`, and of
/// its `action`.
pub const NOTIFICATION_CHARS: usize = 512;
/// The maximum number of items in one `notify`, and of PUIDs in one `query`.
pub const BATCH_ITEMS: usize = 500;
/// The maximum number of notifications that wait for one user of one Application. Beyond it the
/// oldest is dropped.
pub const QUEUE_ITEMS: usize = 100;
/// The maximum time for which a notification may wait, in seconds: 30 days.
pub const TTL_SECONDS: u32 = 2_592_000;
/// The maximum number of characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS: usize = 128;
/// The time for which an idempotency key is remembered, in seconds.
pub const IDEMPOTENCY_SECONDS: u64 = 86_400;
/// The maximum number of Applications in one frame.
pub const APPLICATION_IDS: usize = 1_000;
/// The maximum number of acknowledgements in one frame.
pub const ACK_IDS: usize = 1_000;
/// The maximum number of bytes of a request's `id`, with its quotes.
pub const REQUEST_ID_BYTES: usize = 128;
