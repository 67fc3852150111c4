//! The layout that all pages share: head, navigation, the signed-in user and the notice.

use super::assets;
use super::notice::Notice;

/// The section of the site that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// The start page.
    Home,
    /// The user's own presence.
    Presence,
    /// The developer's Applications.
    Developer,
    /// The operator's pages.
    Operator,
    /// A page that the navigation does not list.
    Unlisted,
}

/// An entry of the navigation.
pub(crate) struct NavigationLink {
    /// The section that it leads to.
    pub(crate) section: Section,
    /// The path.
    pub(crate) path: &'static str,
    /// The text.
    pub(crate) label: &'static str,
}

/// The navigation.
const NAVIGATION: &[NavigationLink] = &[
    NavigationLink { section: Section::Presence, path: "/sidebar", label: "My presence" },
    NavigationLink { section: Section::Developer, path: "/myapps", label: "Developer" },
];

/// The navigation of the operator's pages, which other pages do not link to.
const OPERATOR_NAVIGATION: &[NavigationLink] =
    &[NavigationLink { section: Section::Operator, path: "/admin", label: "Operator" }];

/// The user who is signed in.
#[derive(Clone)]
pub(crate) struct LayoutUser {
    /// The e-mail address, which only its owner sees.
    pub(crate) email: String,
    /// The token that the forms of this session carry.
    pub(crate) csrf_token: String,
}

/// The layout of one page.
pub(crate) struct Layout {
    /// The title.
    pub(crate) title: String,
    /// The section of the site.
    pub(crate) section: Section,
    /// The user who is signed in.
    pub(crate) user: Option<LayoutUser>,
    /// The result of the previous action.
    pub(crate) notice: Option<Notice>,
    /// Indicates that the server runs in development mode.
    pub(crate) development: bool,
}

impl Layout {
    /// Returns the layout of a page that does not depend on the visitor.
    pub(crate) fn bare(title: impl Into<String>) -> Self {
        let title = title.into();
        Self { title, section: Section::Unlisted, user: None, notice: None, development: false }
    }

    /// Returns the path of a file.
    #[expect(clippy::unused_self, reason = "templates can only call methods")]
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    /// Returns the navigation.
    pub(crate) fn navigation(&self) -> &'static [NavigationLink] {
        if self.section == Section::Operator { OPERATOR_NAVIGATION } else { NAVIGATION }
    }

    /// Returns the token that the forms of this session carry; empty if no user is signed in.
    pub(crate) fn csrf_token(&self) -> &str {
        self.user.as_ref().map_or("", |user| &user.csrf_token)
    }
}
