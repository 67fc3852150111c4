//! How an app ends a call that waits, where its language does not tell us by itself.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::live::Live;

/// Ends calls that wait. In Kotlin a cancelled coroutine ends its call by itself; a cancelled task in Swift does not, so give
/// the call a token there, and cancel that.
#[derive(Debug, uniffi::Object)]
pub struct CancelToken {
    token: CancellationToken,
    _live: Live,
}

impl CancelToken {
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

#[uniffi::export]
impl CancelToken {
    /// A token that nobody has cancelled yet.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { token: CancellationToken::new(), _live: Live::new() })
    }

    /// Ends every call that waits with this token, and every later one at once: they fail with `Cancelled`. What such a call
    /// has already sent stays sent; no event is lost.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}
