//! The templates of all paths, by which requests are recorded: a path itself may hold ids.

use std::sync::Arc;

use poem::Response;
use poem::endpoint::{ToDynEndpoint, make_sync};
use poem_openapi::OpenApi;

use super::api::Api;
use super::finish::matches_template;
use crate::route_table::{RouteTable, SharedEndpoint};

/// The templates of the paths that the server knows, such as `/apps/{appid}`.
pub(crate) struct PathTemplates(Vec<String>);

impl PathTemplates {
    /// Collects the templates of the API, those of `pages`, and `others`.
    pub(crate) fn of(pages: fn(SharedEndpoint) -> RouteTable, others: &[&str]) -> Self {
        let unused = make_sync(|_| Response::default());
        let pages = pages(Arc::new(ToDynEndpoint(unused))).methods();
        let operations = Api::meta().into_iter().flat_map(|api| api.paths);
        let mut templates: Vec<String> = operations.map(|path| path.path).collect();
        templates.extend(pages.into_iter().map(|(path, _)| path));
        templates.extend(others.iter().map(|path| (*path).to_owned()));
        // The router prefers a path that is written out.
        templates.sort_by_key(|template| template.matches('{').count());
        Self(templates)
    }

    /// Returns the template of a path.
    pub(crate) fn find(&self, path: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|template| matches_template(path, template))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_template_of_its_operation_page_or_channel() {
        let templates = PathTemplates::of(crate::web::pages, &["/presence"]);
        for (path, template) in [
            ("/", Some("/")),
            ("/apps/1234/keys/5678", Some("/apps/{appid}/keys/{id}")),
            ("/myapps/1234/keys/5678/delete", Some("/myapps/{appid}/keys/{key}/delete")),
            ("/sign-in/development", Some("/sign-in/development")),
            ("/presence", Some("/presence")),
            ("/presence/1234", None),
            ("/1234", None),
            ("//", None),
        ] {
            assert_eq!(templates.find(path), template, "{path}");
        }
    }
}
