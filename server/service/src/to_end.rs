//! Work that is done to its end, also if its caller goes away.
//!
//! The future of a request is dropped when its client disconnects. A change that has two parts,
//! such as a commit and the end of the sockets that depend on it, must not stop between them.

use presence_protocol::{ApiError, Errno};
use presence_store::as_one_call;
use tracing::Instrument as _;

/// Runs work in a task of its own, and waits for it. If the caller is dropped, the work goes on.
/// Its waits for the database count for the call of the caller.
///
/// # Errors
///
/// The error of the work, and `shutting_down` if the server stops before the end.
pub(crate) async fn to_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server that stops ends all sockets anyway, and the caller waits for the work"
    )]
    let task = tokio::spawn(as_one_call(work).in_current_span());
    match task.await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Errno::ShuttingDown.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_without_its_caller() {
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel::<()>();
        let mut work = Box::pin(to_end(async move {
            may_go_on.await.unwrap();
            end.send(()).unwrap();
            Ok(())
        }));
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        go_on.send(()).unwrap();
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn the_caller_gets_the_result_of_the_work() {
        assert_eq!(to_end(async { Ok(7) }).await.ok(), Some(7));
        let refused = to_end(async { Err::<(), _>(Errno::NotFound.into()) }).await.unwrap_err();
        assert_eq!(refused.errno, Errno::NotFound);
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_of_the_work_is_one_of_the_caller() {
        to_end::<()>(async { panic!("a bug") }).await.ok();
    }

    #[test]
    fn a_server_that_stops_says_so() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut work = Box::pin(to_end::<()>(pending()));
        runtime.block_on(async { assert!((&mut work).now_or_never().is_none()) });
        drop(runtime);
        let error = work.now_or_never().unwrap().unwrap_err();
        assert_eq!(error.errno, Errno::ShuttingDown);
    }
}
