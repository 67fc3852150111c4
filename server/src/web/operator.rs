//! The pages of the operator, below `/admin`: how the server is, and the switch for an Application that misbehaves. They are not
//! there unless the settings hold the digest of an operator's token; who has the token enters, whoever else is signed in as a user.
//!
//! Deliberately without e-mails: an operator needs none for any of this.

mod applications;
mod entrance;
mod figures;

mod exposition;
mod guard;

use poem::{Route, get, post};

/// Where the figures are; how a drain goes on can still be seen there.
pub(crate) const FIGURES: &str = "/admin/figures";

/// Adds these pages.
pub(super) fn at(routes: Route) -> Route {
    routes
        .at("/admin", get(entrance::show))
        .at("/admin/sign-in", post(entrance::sign_in))
        .at("/admin/sign-out", post(entrance::sign_out))
        .at(FIGURES, get(figures::figures))
        .at("/admin/applications", get(applications::find))
        .at("/admin/applications/:appid/block", post(applications::block))
        .at("/admin/applications/:appid/unblock", post(applications::unblock))
}
