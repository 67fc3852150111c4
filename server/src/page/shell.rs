//! The frame that all pages share: head, navigation, who is signed in, the notice.

use super::assets;
use super::notice::Notice;

/// Which part of the site a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// What this is.
    Home,
    /// My presence.
    Presence,
    /// My Applications.
    Developer,
    /// How the server is.
    Operator,
    /// None that the navigation has.
    Elsewhere,
}

/// A place in the navigation.
pub(crate) struct Link {
    /// Which.
    pub(crate) place: Place,
    /// Where.
    pub(crate) path: &'static str,
    /// What it is called.
    pub(crate) label: &'static str,
}

/// The navigation.
const NAVIGATION: &[Link] = &[
    Link { place: Place::Presence, path: "/sidebar", label: "My presence" },
    Link { place: Place::Developer, path: "/myapps", label: "Developer" },
];

/// The navigation of the operator's own pages. Others need not know of them.
const OPERATOR: &[Link] = &[Link { place: Place::Operator, path: "/admin", label: "Operator" }];

/// Somebody who is signed in.
#[derive(Clone)]
pub(crate) struct Viewer {
    /// The e-mail, shown to its owner only.
    pub(crate) email: String,
    /// What the forms of this session carry.
    pub(crate) csrf_token: String,
}

/// The frame of one page.
pub(crate) struct Shell {
    /// The title.
    pub(crate) title: String,
    /// Which part of the site it belongs to.
    pub(crate) place: Place,
    /// Who is signed in.
    pub(crate) viewer: Option<Viewer>,
    /// What was just done.
    pub(crate) notice: Option<Notice>,
    /// Whether anybody can be anyone.
    pub(crate) development: bool,
}

impl Shell {
    /// The frame of a page that nobody in particular looks at.
    pub(crate) fn bare(title: impl Into<String>) -> Self {
        let title = title.into();
        Self { title, place: Place::Elsewhere, viewer: None, notice: None, development: false }
    }

    /// The path of a file.
    #[expect(clippy::unused_self, reason = "templates can only call methods")]
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    /// The navigation.
    pub(crate) fn navigation(&self) -> &'static [Link] {
        if self.place == Place::Operator { OPERATOR } else { NAVIGATION }
    }

    /// What the forms of this session carry; empty where nobody is signed in.
    pub(crate) fn csrf_token(&self) -> &str {
        self.viewer.as_ref().map_or("", |viewer| &viewer.csrf_token)
    }
}
