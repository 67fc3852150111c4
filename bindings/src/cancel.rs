//! The token with which an app cancels a call that waits.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::object_count::CountedObject;

/// Cancels calls that wait. In Kotlin a cancelled coroutine cancels its call, as a cancelled task
/// does in Python, and no token is needed. In Swift a cancelled task does not: pass a token to the
/// call, and cancel the token.
#[derive(Debug, uniffi::Object)]
pub struct CancelToken {
    token: CancellationToken,
    _counted: CountedObject,
}

impl CancelToken {
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

#[uniffi::export]
impl CancelToken {
    /// Creates a token that is not cancelled.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { token: CancellationToken::new(), _counted: CountedObject::new() })
    }

    /// Ends every call that waits with this token, now and later: they fail with `Cancelled`. A
    /// request that such a call has already sent is not undone. No event is lost.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Returns true if the token was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}
