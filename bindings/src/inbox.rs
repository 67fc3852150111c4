//! Events that wait until the app has them for sure.
//!
//! A call from another language can be cancelled after the event was taken and before it has arrived. So an event is given a
//! number and kept, and given again until the app confirms the number.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync;

/// Where events come from. Dropping the future loses none; after the first `None` it is not asked again.
pub(crate) trait Source: Send {
    type Event: Clone + Send;

    fn next(&mut self) -> impl Future<Output = Option<Self::Event>> + Send;
}

/// The events of one channel, given one by one.
pub(crate) struct Inbox<S: Source> {
    source: sync::Mutex<Option<S>>,
    kept: Mutex<Kept<S::Event>>,
}

struct Kept<E> {
    /// Of the last event that came, from 1.
    number: u64,
    /// The last event, until it is confirmed.
    event: Option<E>,
}

impl<S: Source> Inbox<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source: sync::Mutex::new(Some(source)),
            kept: Mutex::new(Kept { number: 0, event: None }),
        }
    }

    /// The app has this event; a number that was confirmed before, or is not that of the event that waits, changes nothing.
    pub(crate) fn confirm(&self, number: u64) {
        self.with(|kept| {
            if number == kept.number {
                kept.event = None;
            }
        });
    }

    /// The event that waits to be confirmed, else the next one; `None` after the last.
    pub(crate) async fn next(&self) -> Option<(u64, S::Event)> {
        // Whoever holds the source looks first, so that two callers are not given the same new event twice over.
        let mut source = self.source.lock().await;
        if let Some(waiting) = self.waiting() {
            return Some(waiting);
        }
        let Some(event) = source.as_mut()?.next().await else {
            *source = None;
            return None;
        };
        self.with(|kept| {
            kept.number += 1;
            kept.event = Some(event);
        });
        self.waiting()
    }

    fn waiting(&self) -> Option<(u64, S::Event)> {
        self.with(|kept| kept.event.clone().map(|event| (kept.number, event)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept<S::Event>) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    impl Source for mpsc::Receiver<u8> {
        type Event = u8;

        async fn next(&mut self) -> Option<u8> {
            self.recv().await
        }
    }

    fn inbox(events: &[u8]) -> Inbox<mpsc::Receiver<u8>> {
        let (send, receive) = mpsc::channel(8);
        for event in events {
            send.try_send(*event).unwrap();
        }
        Inbox::new(receive)
    }

    #[tokio::test]
    async fn an_event_comes_again_until_it_is_confirmed() {
        let inbox = inbox(b"ab");
        assert_eq!(inbox.next().await, Some((1, b'a')));
        assert_eq!(inbox.next().await, Some((1, b'a')));
        inbox.confirm(1);
        assert_eq!(inbox.next().await, Some((2, b'b')));
    }

    #[tokio::test]
    async fn an_old_or_a_foreign_number_confirms_nothing() {
        let inbox = inbox(b"ab");
        assert_eq!(inbox.next().await, Some((1, b'a')));
        inbox.confirm(1);
        assert_eq!(inbox.next().await, Some((2, b'b')));
        for number in [0, 1, 3] {
            inbox.confirm(number);
            assert_eq!(inbox.next().await, Some((2, b'b')));
        }
    }

    #[tokio::test]
    async fn the_last_event_waits_to_be_confirmed_before_the_end() {
        let inbox = inbox(b"a");
        assert_eq!(inbox.next().await, Some((1, b'a')));
        assert_eq!(inbox.next().await, Some((1, b'a')));
        inbox.confirm(1);
        assert_eq!(inbox.next().await, None);
        assert_eq!(inbox.next().await, None);
    }
}
