//! The place for heavy arithmetic: few benches, a short queue, and "busy" for the rest (threat 20).

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use crate::identity::{IdentityError, Reason};

/// How many may wait for a bench.
const QUEUE: usize = 64;

/// Runs work on blocking threads, as many at a time as there are processors less one.
#[derive(Debug)]
pub(crate) struct Workshop {
    seats: Arc<Semaphore>,
    benches: Arc<Semaphore>,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::with_room(processors.saturating_sub(1).max(1), QUEUE)
    }

    fn with_room(benches: usize, queue: usize) -> Self {
        let seats = benches.saturating_add(queue);
        Self { seats: Arc::new(Semaphore::new(seats)), benches: Arc::new(Semaphore::new(benches)) }
    }

    /// Runs `work` when there is a bench. Work that nobody waits for any more still keeps its bench
    /// until it ends.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] if the queue is full.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IdentityError> {
        let seat =
            Arc::clone(&self.seats).try_acquire_owned().map_err(|_full| IdentityError::Busy)?;
        let bench = Arc::clone(&self.benches)
            .acquire_owned()
            .await
            .map_err(|_closed| IdentityError::Busy)?;
        let held = (seat, bench);
        let job = move || {
            let result = work();
            drop(held);
            result
        };
        // Arithmetic that panics was given a key that it should not have been given.
        tokio::task::spawn_blocking(job).await.map_err(|_panic| Reason::BadKey.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_busy_and_has_room_again_later() {
        let workshop = Workshop::with_room(1, 1);
        let (finish, finished) = mpsc::channel::<()>();
        let crowd = async {
            tokio::join!(
                workshop.run(move || finished.recv().is_ok()),
                workshop.run(|| true),
                async {
                    let refused = workshop.run(|| true).await;
                    finish.send(()).unwrap();
                    refused
                }
            )
        };
        assert_eq!(crowd.await, (Ok(true), Ok(true), Err(IdentityError::Busy)));
        assert_eq!(workshop.run(|| 7).await, Ok(7));
    }
}
