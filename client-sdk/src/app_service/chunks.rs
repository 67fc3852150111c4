//! The division of a long list of notifications into frames that the server accepts.

use presence_protocol::app::NotifyItem;
use presence_protocol::limits::MAX_BATCH_ITEMS;

/// The maximum number of text bytes in a frame. The server accepts frames of 1 MiB, and JSON may
/// need six bytes for a byte of text.
const MAX_TEXT_BYTES: usize = 150 << 10;

/// Divides the items, in order, into chunks of limited length and size.
pub(super) fn chunks(items: Vec<NotifyItem>) -> Vec<Vec<NotifyItem>> {
    let mut chunks: Vec<Vec<NotifyItem>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = size(&item);
        bytes += size;
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_BATCH_ITEMS && bytes <= MAX_TEXT_BYTES => {
                chunk.push(item);
            }
            Some(_) | None => {
                chunks.push(vec![item]);
                bytes = size;
            }
        }
    }
    chunks
}

fn size(item: &NotifyItem) -> usize {
    const OVERHEAD: usize = 50;
    let key = item.idempotency_key.as_ref().map_or(0, String::len);
    item.source.len() + item.message.len() + item.action.len() + key + OVERHEAD
}

#[cfg(test)]
mod tests {
    use presence_protocol::Puid;
    use presence_protocol::app::client::notify;
    use proptest::prelude::*;

    use super::*;

    fn item(message: String) -> NotifyItem {
        NotifyItem {
            uid: Puid::from_bits(u128::MAX),
            source: message.clone(),
            action: message.clone(),
            message,
            ttl: 1,
            idempotency_key: Some("\"".repeat(128)),
        }
    }

    #[test]
    fn a_chunk_of_the_longest_notifications_fits_into_the_largest_frame() {
        let longest = ["\u{1}".repeat(512), "🍜".repeat(512), "\"".repeat(512)];
        for text in longest {
            for chunk in chunks(vec![item(text.clone()); 1_200]) {
                assert!(notify(u64::MAX, &chunk).len() <= 1 << 20);
                assert!(chunk.len() <= MAX_BATCH_ITEMS);
            }
        }
    }

    proptest! {
        #[test]
        fn every_item_is_kept_in_order(sizes in proptest::collection::vec(0..3_000_usize, 0..1_300)) {
            let items: Vec<_> = sizes.iter().map(|size| item("x".repeat(*size))).collect();
            let chunks = chunks(items.clone());
            prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
            prop_assert_eq!(chunks.concat(), items);
        }
    }
}
