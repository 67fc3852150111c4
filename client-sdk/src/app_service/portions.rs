//! Cuts a long list of notifications into frames that the server takes.

use presence_protocol::app::NotifyItem;
use presence_protocol::limits::BATCH_ITEMS;

/// The most bytes of texts in a frame; the server takes 1 MiB, and JSON may write a byte of text as six.
const TEXT_BYTES: usize = 150 << 10;

/// Portions of at most so many items and so many bytes, in order.
pub(super) fn portions(items: Vec<NotifyItem>) -> Vec<Vec<NotifyItem>> {
    let mut portions: Vec<Vec<NotifyItem>> = Vec::new();
    let mut bytes = usize::MAX;
    for item in items {
        let size = size(&item);
        let is_full = portions.last().is_none_or(|portion| portion.len() >= BATCH_ITEMS);
        bytes = bytes.saturating_add(size);
        match portions.last_mut() {
            Some(portion) if !is_full && bytes <= TEXT_BYTES => portion.push(item),
            Some(_) | None => {
                portions.push(vec![item]);
                bytes = size;
            }
        }
    }
    portions
}

fn size(item: &NotifyItem) -> usize {
    const BESIDE_THE_TEXTS: usize = 40;
    let key = item.idempotency_key.as_ref().map_or(0, String::len);
    item.message.len() + item.action.len() + key + BESIDE_THE_TEXTS
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
            action: message.clone(),
            message,
            ttl: 1,
            idempotency_key: Some("\"".repeat(128)),
        }
    }

    #[test]
    fn the_longest_notifications_fit_into_the_largest_frame() {
        let worst = ["\u{1}".repeat(512), "🍜".repeat(512), "\"".repeat(512)];
        for text in worst {
            for portion in portions(vec![item(text.clone()); 1_200]) {
                assert!(notify(u64::MAX, &portion).len() <= 1 << 20);
                assert!(portion.len() <= BATCH_ITEMS);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_order_is_kept(sizes in proptest::collection::vec(0..3_000_usize, 0..1_300)) {
            let items: Vec<_> = sizes.iter().map(|size| item("x".repeat(*size))).collect();
            let cut = portions(items.clone());
            prop_assert!(cut.iter().all(|portion| !portion.is_empty()));
            prop_assert_eq!(cut.concat(), items);
        }
    }
}
