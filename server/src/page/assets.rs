//! The files that pages load: in the binary, under a path that changes with their content, so that browsers may keep them for ever.

use std::sync::LazyLock;

/// A file.
pub(crate) struct Asset {
    /// Its name in the path.
    pub(crate) name: &'static str,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// What is in it.
    pub(crate) content: &'static str,
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $media_type:ident;)+) => {
        const ASSETS: &[Asset] = &[$(Asset {
            name: $name,
            media_type: $media_type,
            content: include_str!(concat!("../../assets/", $name)),
        },)+];
    };
}

assets! {
    "presence.css": STYLE;
    "icon.svg": PICTURE;
    "page.js": SCRIPT;
    "docs.css": STYLE;
    "reference.css": STYLE;
    "docs.js": SCRIPT;
    "copy.js": SCRIPT;
    "console.js": SCRIPT;
    "figures.js": SCRIPT;
    "live.js": SCRIPT;
    "channel.js": SCRIPT;
    "notifications.js": SCRIPT;
    "sidebar.js": SCRIPT;
}

/// What the path has of the content of all files. They share it, so that a script can name another by a relative path.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = crc32fast::Hasher::new();
    for asset in ASSETS {
        hasher.update(asset.name.as_bytes());
        hasher.update(asset.content.as_bytes());
    }
    format!("{:08x}", hasher.finalize())
});

/// The path of a file.
pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// A file by its name, and whether the version in the path is the present one.
pub(crate) fn find(version: &str, name: &str) -> Option<(&'static Asset, bool)> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some((asset, version == *VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_under_its_path_and_no_other_is() {
        let path = path("presence.css");
        let (version, name) = path.strip_prefix("/assets/").unwrap().split_once('/').unwrap();
        assert!(find(version, name).is_some_and(|(_, current)| current));
        assert!(find("0", name).is_some_and(|(_, current)| !current));
        assert!(find(version, "../Cargo.toml").is_none());
    }

    #[test]
    fn no_file_names_another_origin() {
        for asset in ASSETS {
            let elsewhere = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("://"), "{}", asset.name);
        }
    }
}
