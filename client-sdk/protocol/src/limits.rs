//! Sizes that are part of the contract, and are not settings.

/// The most characters of a status text.
pub const STATUS_TEXT_CHARS: usize = 128;
/// The most characters (Unicode scalar values) of a notification's `message`, and of its `action`.
pub const NOTIFICATION_CHARS: usize = 512;
/// The most items in one `notify`, and the most PUIDs in one `query`.
pub const BATCH_ITEMS: usize = 500;
/// The most notifications waiting for one user of one Application; the oldest is dropped first.
pub const QUEUE_ITEMS: usize = 100;
/// The longest time a notification may wait, in seconds: 30 days.
pub const TTL_SECONDS: u32 = 2_592_000;
/// The most characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS: usize = 128;
/// How long an idempotency key is remembered, in seconds.
pub const IDEMPOTENCY_SECONDS: u64 = 86_400;
/// The most Applications named in one frame.
pub const APPLICATION_IDS: usize = 1_000;
/// The most notifications acknowledged in one frame.
pub const ACK_IDS: usize = 1_000;
/// The most bytes of a request's `id`, as it stands in the frame.
pub const REQUEST_ID_BYTES: usize = 128;
