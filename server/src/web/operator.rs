//! The pages of the operator, below `/admin`: the status of the server, and blocking an Application
//! that misbehaves. They exist only if the settings hold the digest of an operator's token. A
//! person with the token is the operator, independently of any user's session.
//!
//! No e-mail address is shown here, since an operator needs none.

mod applications;
mod figures;
mod sign_in;

mod exposition;
mod session;

use super::page_routes::PageRoutes;

/// The path of the metrics for the status page. It still answers while the server drains.
pub(crate) const FIGURES: &str = "/admin/figures";

/// Adds these pages.
pub(super) fn add_routes(routes: PageRoutes) -> PageRoutes {
    routes
        .get("/admin", sign_in::show)
        .post("/admin/sign-in", sign_in::sign_in)
        .post("/admin/sign-out", sign_in::sign_out)
        .get(FIGURES, figures::figures)
        .get("/admin/applications", applications::find)
        .post("/admin/applications/:appid/block", applications::block)
        .post("/admin/applications/:appid/unblock", applications::unblock)
}
