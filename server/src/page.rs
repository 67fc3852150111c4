//! The presentation of pages: their common layout, files, notices and times, the page of an error,
//! and the type of every response. The content of each page is in `web`.

mod assets;
mod content_policy;
mod error_page;
mod layout;
mod local_path;
mod notice;
mod public_page;
mod response;
mod shortened;
mod timestamp;

pub(crate) use self::assets::find as asset;
pub(crate) use self::content_policy::ContentPolicy;
pub(crate) use self::error_page::error_page;
pub(crate) use self::layout::{Layout, LayoutUser, Section};
pub(crate) use self::local_path::LocalPath;
pub(crate) use self::notice::Notice;
pub(crate) use self::public_page::PublicPage;
pub(crate) use self::response::{Caching, PageResponse};
pub(crate) use self::shortened::{is_long, shortened};
pub(crate) use self::timestamp::Timestamp;
