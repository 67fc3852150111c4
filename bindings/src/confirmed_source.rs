//! The delivery of items to an app that may cancel the call that fetches them.
//!
//! A call from another language can be cancelled after Rust has returned the item and before the
//! item has arrived. So each item gets a number and is kept. It is returned again until the app
//! confirms the number.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync;

/// A source of items. Dropping the future loses no item. After the first `None` it is not polled
/// again.
pub(crate) trait Source: Send {
    type Item: Clone + Send;

    fn next(&mut self) -> impl Future<Output = Option<Self::Item>> + Send;
}

/// A source whose items are returned one at a time, each again until it is confirmed.
pub(crate) struct ConfirmedSource<S: Source> {
    source: sync::Mutex<Option<S>>,
    unconfirmed: Mutex<Unconfirmed<S::Item>>,
}

/// The item that was taken from the source last.
struct Unconfirmed<T> {
    /// The number of the item. The first item has the number 1.
    number: u64,
    /// The item, until it is confirmed.
    item: Option<T>,
}

impl<S: Source> ConfirmedSource<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source: sync::Mutex::new(Some(source)),
            unconfirmed: Mutex::new(Unconfirmed { number: 0, item: None }),
        }
    }

    /// Confirms that the app has the item of this number. Any number other than that of the
    /// unconfirmed item has no effect.
    pub(crate) fn confirm(&self, number: u64) {
        self.with(|unconfirmed| {
            if number == unconfirmed.number {
                unconfirmed.item = None;
            }
        });
    }

    /// Returns the unconfirmed item with its number if there is one, otherwise waits for the next
    /// item. Returns `None` after the last item.
    pub(crate) async fn next(&self) -> Option<(u64, S::Item)> {
        // Locked before the check: of two callers, the second gets the item of the first again
        // instead of taking another one from the source.
        let mut source = self.source.lock().await;
        if let Some(numbered) = self.unconfirmed() {
            return Some(numbered);
        }
        let Some(item) = source.as_mut()?.next().await else {
            *source = None;
            return None;
        };
        self.with(|unconfirmed| {
            unconfirmed.number += 1;
            unconfirmed.item = Some(item);
        });
        self.unconfirmed()
    }

    fn unconfirmed(&self) -> Option<(u64, S::Item)> {
        self.with(|unconfirmed| unconfirmed.item.clone().map(|item| (unconfirmed.number, item)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Unconfirmed<S::Item>) -> T) -> T {
        work(&mut self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    impl Source for mpsc::Receiver<u8> {
        type Item = u8;

        async fn next(&mut self) -> Option<u8> {
            self.recv().await
        }
    }

    fn confirmed_source(items: &[u8]) -> ConfirmedSource<mpsc::Receiver<u8>> {
        let (sender, receiver) = mpsc::channel(8);
        for item in items {
            sender.try_send(*item).unwrap();
        }
        ConfirmedSource::new(receiver)
    }

    #[tokio::test]
    async fn an_item_is_returned_again_until_it_is_confirmed() {
        let source = confirmed_source(b"ab");
        assert_eq!(source.next().await, Some((1, b'a')));
        assert_eq!(source.next().await, Some((1, b'a')));
        source.confirm(1);
        assert_eq!(source.next().await, Some((2, b'b')));
    }

    #[tokio::test]
    async fn an_old_or_unknown_number_confirms_nothing() {
        let source = confirmed_source(b"ab");
        assert_eq!(source.next().await, Some((1, b'a')));
        source.confirm(1);
        assert_eq!(source.next().await, Some((2, b'b')));
        for number in [0, 1, 3] {
            source.confirm(number);
            assert_eq!(source.next().await, Some((2, b'b')));
        }
    }

    #[tokio::test]
    async fn the_last_item_must_be_confirmed_before_the_end_is_returned() {
        let source = confirmed_source(b"a");
        assert_eq!(source.next().await, Some((1, b'a')));
        assert_eq!(source.next().await, Some((1, b'a')));
        source.confirm(1);
        assert_eq!(source.next().await, None);
        assert_eq!(source.next().await, None);
    }

    #[tokio::test]
    async fn a_cancelled_call_loses_no_item() {
        let (sender, receiver) = mpsc::channel(8);
        let source = ConfirmedSource::new(receiver);
        for item in 0..100 {
            // Polled once and dropped, before and after the item is there.
            let _ = poll_once(source.next()).await;
            sender.try_send(item).unwrap();
            let _ = poll_once(source.next()).await;
            assert_eq!(source.next().await, Some((u64::from(item) + 1, item)));
            source.confirm(u64::from(item) + 1);
        }
    }

    /// Polls a future once and drops it, as a cancelled call does.
    async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
