//! The files that pages load.

use poem::web::Path;
use presence_protocol::Errno;

use crate::compression::ContentCoding;
use crate::page::{self, Caching, PageResponse};

use super::page_routes::PageResult;
use super::request_parts::Public;

/// Returns a file. Browsers may keep it without a limit only if the path has the current version: a
/// page of an earlier version of the server gets the current file under the earlier path.
pub(super) async fn show(
    _: Public,
    Path((version, name)): Path<(String, String)>,
    accepted: ContentCoding,
) -> PageResult {
    let (asset, is_current) = page::asset(&version, &name).ok_or(Errno::NotFound)?;
    let caching = if is_current { Caching::Immutable } else { Caching::Revalidate };
    Ok(PageResponse::file(asset.media_type, asset.content(), accepted, caching))
}
