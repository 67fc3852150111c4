//! The paths of the chart's ingress are those that clients need.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::Response;
use poem::endpoint::{ToDynEndpoint, make_sync};
use serde_json::Value;

use crate::http::document;
use crate::web;

const TEMPLATE: &str = include_str!("../../../packaging/helm/presence/templates/ingress.yaml");

/// The first parts of the paths that are not public: those for monitoring, and those of development
/// mode.
const INTERNAL: [&str; 4] = ["/__heartbeat__", "/metrics", "/dev", "/.well-known"];

/// Returns the first part of a path.
fn first_part(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/').split('/').next().unwrap())
}

#[test]
fn the_ingress_of_the_chart_has_all_paths_of_clients_and_none_for_monitoring() {
    let (_, list) = TEMPLATE.split_once("range list").unwrap();
    let (list, _) = list.split_once("}}").unwrap();
    let listed: BTreeSet<String> =
        list.split_whitespace().map(|path| path.trim_matches('"').to_owned()).collect();

    let document: Value = serde_json::from_str(&document()).unwrap();
    let calls = document["paths"].as_object().unwrap().keys().cloned();
    let fallback = Arc::new(ToDynEndpoint(make_sync(|_| Response::default())));
    let pages = web::pages(fallback).methods().into_iter().map(|(path, _)| path);
    let channels = ["/presence", "/myapps"].map(str::to_owned);
    let all = calls.chain(pages).chain(channels).filter(|path| path != "/");
    let public = all.map(|path| first_part(&path)).filter(|path| !INTERNAL.contains(&&**path));
    assert_eq!(listed, public.collect());
}
