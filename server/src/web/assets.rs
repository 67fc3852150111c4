//! The files that pages load.

use poem::http::header;
use poem::web::Path;
use poem::{Response, handler};
use presence_protocol::Errno;

use crate::http::ErrorResponse;
use crate::page;

/// Kept for ever under its present path; a page of an earlier version of the server gets the present file, and keeps nothing.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show(Path((version, name)): Path<(String, String)>) -> poem::Result<Response> {
    let found = page::asset(&version, &name).ok_or(ErrorResponse::from(Errno::NotFound))?;
    let (asset, is_current) = found;
    let caching = if is_current { FOR_EVER } else { "no-cache" };
    Ok(Response::builder()
        .content_type(asset.media_type)
        .header(header::CACHE_CONTROL, caching)
        .body(asset.content))
}
