//! The body of a request, which can be read within the size limit only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use poem::error::ReadBodyError;
use poem::{Body, Endpoint, Request, Response};
use presence_protocol::{ApiError, Errno};

use crate::context::ServerContext;

/// The maximum number of bytes of a body, as long as the caller has proven nothing.
const UNAUTHENTICATED_BYTES: usize = 16 * 1024;

/// A middleware that moves the body of each request into an [`UnreadBody`]. The extractors of poem
/// then see an empty body, so no handler can read a body without the limit.
pub(super) struct SealBody<E> {
    inner: E,
    context: Arc<ServerContext>,
}

impl<E> SealBody<E> {
    /// Wraps an endpoint.
    pub(super) fn new(inner: E, context: Arc<ServerContext>) -> Self {
        Self { inner, context }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for SealBody<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let body = request.take_body();
        let full_limit = self.context.body_limit;
        request.set_data(UnreadBody {
            body: Arc::new(Mutex::new(Some(body))),
            limit: Arc::new(AtomicUsize::new(full_limit.min(UNAUTHENTICATED_BYTES))),
            full_limit,
        });
        self.inner.call(request).await
    }
}

/// The body of a request that nothing has read.
#[derive(Clone)]
pub(super) struct UnreadBody {
    body: Arc<Mutex<Option<Body>>>,
    limit: Arc<AtomicUsize>,
    /// The limit for a caller who is authenticated.
    full_limit: usize,
}

impl UnreadBody {
    /// Allows a body of the full size, once the caller is authenticated.
    pub(super) fn allow_full_size(request: &Request) {
        if let Some(body) = request.data::<Self>() {
            body.limit.store(body.full_limit, Ordering::Relaxed);
        }
    }

    /// Reads the body. The limit is checked while it is read.
    ///
    /// # Errors
    ///
    /// Returns `TooLarge` for a body beyond the limit, `NotJson` for one that cannot be read to its
    /// end, and `Internal` if it was read before.
    pub(super) async fn read(request: &Request) -> Result<Vec<u8>, ApiError> {
        let Self { body, limit, .. } = request.data::<Self>().ok_or(Errno::Internal)?;
        let body = body.lock().unwrap_or_else(PoisonError::into_inner).take();
        let limit = limit.load(Ordering::Relaxed);
        let bytes = body.ok_or(Errno::Internal)?.into_bytes_limit(limit).await;
        bytes.map(Vec::from).map_err(|error| match error {
            ReadBodyError::PayloadTooLarge => {
                let detail = format_args!("a body may have at most {limit} bytes");
                ApiError::detailed(Errno::TooLarge, detail)
            }
            ReadBodyError::BodyHasBeenTaken | ReadBodyError::Utf8(_) | ReadBodyError::Io(_) => {
                ApiError::detailed(Errno::NotJson, "the body could not be read")
            }
        })
    }
}
