//! A queue of outgoing frames. The first frame is stored in place, so that the socket of a device,
//! which sends one frame at a time, never allocates a queue.

use std::collections::VecDeque;

use super::protocol_state::Outgoing;

/// The frames that wait to be sent, in order.
#[derive(Default)]
pub(super) struct OutgoingQueue {
    first: Option<Outgoing>,
    #[expect(clippy::box_collection, reason = "nearly all sockets have none, and a box is small")]
    rest: Option<Box<VecDeque<Outgoing>>>,
}

impl OutgoingQueue {
    pub(super) fn push(&mut self, frame: Outgoing) {
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.get_or_insert_default().push_back(frame);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if next.is_none() {
            self.rest = None;
        }
        std::mem::replace(&mut self.first, next)
    }

    pub(super) fn len(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.len()) + usize::from(self.first.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn popped(queue: &mut OutgoingQueue) -> Option<Bytes> {
        match queue.pop() {
            Some(Outgoing::Text(text)) => Some(text),
            Some(Outgoing::Close(_)) | None => None,
        }
    }

    #[test]
    fn frames_keep_their_order_while_more_are_pushed() {
        let mut queue = OutgoingQueue::default();
        let push = |queue: &mut OutgoingQueue, text: &'static str| {
            queue.push(Outgoing::Text(Bytes::from_static(text.as_bytes())));
        };
        push(&mut queue, "1");
        push(&mut queue, "2");
        assert_eq!((queue.len(), popped(&mut queue).as_deref()), (2, Some(&b"1"[..])));
        push(&mut queue, "3");
        for text in ["2", "3"] {
            assert_eq!(popped(&mut queue).as_deref(), Some(text.as_bytes()));
        }
        assert!(queue.is_empty() && popped(&mut queue).is_none());
    }
}
