//! The files that pages load. They are part of the binary, and their path changes with their
//! content, so that browsers may keep them for ever.

use std::sync::{LazyLock, OnceLock};

use crate::compression::PublicText;

/// A file.
pub(crate) struct Asset {
    /// The name in the path.
    pub(crate) name: &'static str,
    /// The media type.
    pub(crate) media_type: &'static str,
    /// The content.
    content: &'static str,
    compressed: OnceLock<PublicText>,
}

impl Asset {
    /// Returns the content. It is compressed at the first request.
    pub(crate) fn content(&self) -> &PublicText {
        self.compressed.get_or_init(|| PublicText::new(self.content))
    }
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $media_type:ident;)+) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| vec![$(Asset {
            name: $name,
            media_type: $media_type,
            content: include_str!(concat!("../../assets/", $name)),
            compressed: OnceLock::new(),
        },)+]);
    };
}

assets! {
    "presence.css": STYLE;
    "icon.svg": PICTURE;
    "page.js": SCRIPT;
    "docs.css": STYLE;
    "try-it.css": STYLE;
    "try-it.js": SCRIPT;
    "ids.js": SCRIPT;
    "copy.js": SCRIPT;
    "console.js": SCRIPT;
    "figures.js": SCRIPT;
    "live.js": SCRIPT;
    "channel.js": SCRIPT;
    "notifications.js": SCRIPT;
    "sidebar.js": SCRIPT;
}

/// The version in the path: a checksum of all files. They share it, so that a script can import
/// another by a relative path.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = crc32fast::Hasher::new();
    for asset in &*ASSETS {
        hasher.update(asset.name.as_bytes());
        hasher.update(asset.content.as_bytes());
    }
    format!("{:08x}", hasher.finalize())
});

/// Returns the path of a file.
pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Finds a file by its name. The flag is true if the version in the path is the current one.
pub(crate) fn find(version: &str, name: &str) -> Option<(&'static Asset, bool)> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some((asset, version == *VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_under_its_path_and_no_other_file_is() {
        let path = path("presence.css");
        let (version, name) = path.strip_prefix("/assets/").unwrap().split_once('/').unwrap();
        assert!(find(version, name).is_some_and(|(_, current)| current));
        assert!(find("0", name).is_some_and(|(_, current)| !current));
        assert!(find(version, "../Cargo.toml").is_none());
    }

    #[test]
    fn no_file_refers_to_another_origin() {
        for asset in &*ASSETS {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("://"), "{}", asset.name);
        }
    }
}
