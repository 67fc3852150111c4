//! The threads of this library: one small runtime a process, made when it is first needed. Futures are polled by the app's own
//! executor, inside this runtime, so that their timers and sockets live on its threads and no thread of the app ever waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::cancel::CancelToken;
use crate::error::PresenceError;

/// Two: one may be busy with a handshake while the other serves the channels that are open.
const WORKERS: usize = 2;

/// The process's runtime.
pub(crate) fn handle() -> Result<&'static Handle, PresenceError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("presence")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    match made {
        Ok(runtime) => Ok(runtime.handle()),
        Err(reason) => {
            Err(PresenceError::Unexpected { reason: format!("no threads can be had: {reason}") })
        }
    }
}

/// Calls something that spawns tasks.
pub(crate) fn entered<T, E: Into<PresenceError>>(
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, PresenceError> {
    let _entered = handle()?.enter();
    call().map_err(Into::into)
}

/// Waits for what the SDK does, until the token is cancelled. Dropping it is as good as cancelling it.
pub(crate) async fn wait<T, E: Into<PresenceError>>(
    cancel: Option<Arc<CancelToken>>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, PresenceError> {
    let handle = handle()?;
    let mut work = pin!(work);
    let work = poll_fn(|cx| {
        let _entered = handle.enter();
        work.as_mut().poll(cx)
    });
    let Some(cancel) = cancel else { return work.await.map_err(Into::into) };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(PresenceError::Cancelled),
        done = work => done.map_err(Into::into),
    }
}

/// What cannot fail, for [`wait`].
pub(crate) async fn sure<T>(work: impl Future<Output = T>) -> Result<T, PresenceError> {
    Ok(work.await)
}

/// Begins something and does not wait for its end.
pub(crate) fn begin(work: impl Future<Output = ()>) {
    let _begun = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
}
