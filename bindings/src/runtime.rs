//! The threads of this library: one small runtime per process, created when it is first needed.
//!
//! The app's own executor polls the futures inside this runtime. Their timers and sockets belong to
//! the runtime's threads, so no thread of the app blocks.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::cancel::CancelToken;
use crate::error::PresenceError;

/// The number of threads. Two, so that open channels are served during a slow handshake.
const WORKERS: usize = 2;

/// Returns the runtime of the process.
pub(crate) fn handle() -> Result<&'static Handle, PresenceError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("presence")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    match runtime {
        Ok(runtime) => Ok(runtime.handle()),
        Err(reason) => {
            let reason = format!("the library cannot start its threads: {reason}");
            Err(PresenceError::Unexpected { reason })
        }
    }
}

/// Calls a function that spawns tasks, inside the runtime.
pub(crate) fn call<T, E: Into<PresenceError>>(
    function: impl FnOnce() -> Result<T, E>,
) -> Result<T, PresenceError> {
    let _guard = handle()?.enter();
    function().map_err(Into::into)
}

/// Waits for a future of the SDK until it is ready or the token is cancelled. Dropping the returned
/// future has the same effect as cancelling the token.
pub(crate) async fn wait<T, E: Into<PresenceError>>(
    cancel: Option<Arc<CancelToken>>,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, PresenceError> {
    let handle = handle()?;
    let mut future = pin!(future);
    let inside_runtime = poll_fn(|cx| {
        let _guard = handle.enter();
        future.as_mut().poll(cx)
    });
    let Some(cancel) = cancel else { return inside_runtime.await.map_err(Into::into) };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(PresenceError::Cancelled),
        result = inside_runtime => result.map_err(Into::into),
    }
}

/// Wraps the output of a future that cannot fail in `Ok`, for [`wait`].
pub(crate) async fn infallible<T>(future: impl Future<Output = T>) -> Result<T, PresenceError> {
    Ok(future.await)
}

/// Polls a future once, so that its work starts, and then drops it.
pub(crate) fn poll_once(future: impl Future<Output = ()>) {
    let _poll = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}
