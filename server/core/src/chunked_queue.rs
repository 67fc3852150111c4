//! A queue whose memory grows with its content. Growing moves nothing, unlike a [`VecDeque`], which
//! moves all of its content into twice the memory.

use std::collections::VecDeque;

/// The number of elements of a chunk.
const CHUNK: usize = 512;

/// A queue in chunks, none of which is empty.
#[derive(Debug)]
pub(crate) struct ChunkedQueue<T> {
    chunks: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> Default for ChunkedQueue<T> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), len: 0 }
    }
}

impl<T> ChunkedQueue<T> {
    /// Returns the number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the first element.
    pub(crate) fn front(&self) -> Option<&T> {
        self.chunks.front()?.front()
    }

    /// Adds an element at the end.
    pub(crate) fn push_back(&mut self, element: T) {
        self.len += 1;
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push_back(element),
            None => self.chunks.push_back(VecDeque::from([element])),
        }
    }

    /// Adds an element at the front.
    pub(crate) fn push_front(&mut self, element: T) {
        self.len += 1;
        match self.chunks.front_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push_front(element),
            None => self.chunks.push_front(VecDeque::from([element])),
        }
    }

    /// Removes the first element.
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let chunk = self.chunks.front_mut()?;
        let element = chunk.pop_front();
        self.len -= usize::from(element.is_some());
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        element
    }

    /// Removes all elements.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the elements after the first `skip` ones. They are looked for from the end.
    pub(crate) fn iter_from(&self, skip: usize) -> impl Iterator<Item = &T> {
        let mut wanted = self.len.saturating_sub(skip);
        let (mut first, mut place) = (self.chunks.len(), 0);
        for chunk in self.chunks.iter().rev() {
            if wanted == 0 {
                break;
            }
            first -= 1;
            place = chunk.len().saturating_sub(wanted);
            wanted = wanted.saturating_sub(chunk.len());
        }
        let mut chunks = self.chunks.range(first..);
        let found = chunks.next().into_iter().flat_map(move |chunk| chunk.range(place..));
        found.chain(chunks.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a queue with the numbers of a range that went through many chunks.
    fn queue(numbers: std::ops::Range<usize>) -> ChunkedQueue<usize> {
        let mut queue = ChunkedQueue::default();
        (0..numbers.end).for_each(|number| queue.push_back(number));
        for number in 0..numbers.start {
            assert_eq!(queue.pop_front(), Some(number));
        }
        queue
    }

    #[test]
    fn elements_keep_their_order_over_all_chunks() {
        let range = CHUNK + 7..5 * CHUNK + 3;
        let mut queue = queue(range.clone());
        assert_eq!((queue.len(), queue.front()), (range.len(), Some(&range.start)));
        for skip in [0, 1, CHUNK - 8, CHUNK - 7, CHUNK, 3 * CHUNK, range.len() - 1, range.len()] {
            assert!(queue.iter_from(skip).copied().eq(range.clone().skip(skip)), "{skip}");
        }
        assert_eq!(queue.iter_from(range.len() + 1).count(), 0);
        (0..range.start).rev().for_each(|number| queue.push_front(number));
        assert!(queue.iter_from(0).copied().eq(0..range.end));
        assert!(queue.iter_from(range.start + 9).copied().eq(range.start + 9..range.end));
        for number in 0..range.end {
            assert_eq!(queue.pop_front(), Some(number));
        }
        assert_eq!((queue.pop_front(), queue.len(), queue.chunks.len()), (None, 0, 0));
    }

    #[test]
    fn a_queue_that_was_cleared_is_empty() {
        let mut queue = queue(0..3 * CHUNK);
        queue.clear();
        assert_eq!((queue.len(), queue.front(), queue.iter_from(0).count()), (0, None, 0));
    }
}
