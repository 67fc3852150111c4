//! A bounded pool for expensive arithmetic: few workers, a short queue, and an error beyond that
//! (see threat 6 in SECURITY.md).

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use crate::identity::{IdentityError, Reason};

/// The maximum number of jobs that wait for a worker.
const QUEUE: usize = 64;

/// Runs jobs on blocking threads, as many at a time as there are processors less one.
#[derive(Debug)]
pub(crate) struct CpuPool {
    /// One permit for each job that runs or waits.
    capacity: Arc<Semaphore>,
    /// One permit for each job that runs.
    workers: Arc<Semaphore>,
}

impl CpuPool {
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::with_size(processors.saturating_sub(1).max(1), QUEUE)
    }

    fn with_size(workers: usize, queue: usize) -> Self {
        let capacity = workers.saturating_add(queue);
        Self {
            capacity: Arc::new(Semaphore::new(capacity)),
            workers: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Runs `work` as soon as a worker is free. Work whose caller was dropped still occupies its
    /// worker until it ends.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] if the queue is full, [`Reason::BadKey`] if `work` panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IdentityError> {
        let admission =
            Arc::clone(&self.capacity).try_acquire_owned().map_err(|_full| IdentityError::Busy)?;
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_closed| IdentityError::Busy)?;
        let permits = (admission, worker);
        let job = move || {
            let result = work();
            drop(permits);
            result
        };
        // Only a key with invalid numbers can make the arithmetic panic.
        tokio::task::spawn_blocking(job).await.map_err(|_panic| Reason::BadKey.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Holds threat 6.
    #[tokio::test]
    async fn a_full_queue_is_busy_and_accepts_work_again_later() {
        let pool = CpuPool::with_size(1, 1);
        let (finish, finished) = mpsc::channel::<()>();
        let jobs = async {
            tokio::join!(pool.run(move || finished.recv().is_ok()), pool.run(|| true), async {
                let rejected = pool.run(|| true).await;
                finish.send(()).unwrap();
                rejected
            })
        };
        assert_eq!(jobs.await, (Ok(true), Ok(true), Err(IdentityError::Busy)));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
