//! What a conversation wants to say, in order. The first has its place here, so that a socket that says one thing at a time, as a
//! device's does, never asks for memory.

use std::collections::VecDeque;

use super::socket_loop::Outgoing;

/// What waits to be said.
#[derive(Default)]
pub(super) struct OutgoingQueue {
    first: Option<Outgoing>,
    rest: VecDeque<Outgoing>,
}

impl OutgoingQueue {
    pub(super) fn push(&mut self, say: Outgoing) {
        if self.first.is_none() {
            self.first = Some(say);
        } else {
            self.rest.push_back(say);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        let next = self.rest.pop_front();
        std::mem::replace(&mut self.first, next)
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len() + usize::from(self.first.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn popped(outbox: &mut OutgoingQueue) -> Option<Bytes> {
        match outbox.pop() {
            Some(Outgoing::Text(text)) => Some(text),
            Some(Outgoing::Close(_)) | None => None,
        }
    }

    #[test]
    fn what_is_said_comes_in_order_also_while_more_is_said() {
        let mut outbox = OutgoingQueue::default();
        let say = |outbox: &mut OutgoingQueue, text: &'static str| {
            outbox.push(Outgoing::Text(Bytes::from_static(text.as_bytes())));
        };
        say(&mut outbox, "1");
        say(&mut outbox, "2");
        assert_eq!((outbox.len(), popped(&mut outbox).as_deref()), (2, Some(&b"1"[..])));
        say(&mut outbox, "3");
        for text in ["2", "3"] {
            assert_eq!(popped(&mut outbox).as_deref(), Some(text.as_bytes()));
        }
        assert!(outbox.is_empty() && popped(&mut outbox).is_none());
    }
}
