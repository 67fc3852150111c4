//! Health and version, as Dockerflow defines them.

use std::collections::BTreeMap;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::build_info::BuildInfo;
use super::operation_error::{NoErrors, OperationError};
use super::request_context::RequestContext;
use super::tag::ApiTag;

pub(super) struct OperationApi;

/// The health of the server.
#[derive(Object)]
#[oai(example)]
struct Health {
    /// `ok`, or `error`.
    status: String,
    /// `ok`, or `error`.
    database: String,
    /// The long-lived tasks of the server, each `ok` or `error`.
    tasks: BTreeMap<String, String>,
    /// The certificate of a server that uses TLS itself: `ok`, or `error` if there is none that is
    /// valid.
    #[oai(skip_serializing_if_is_none)]
    certificate: Option<String>,
    /// Indicates whether devices of an earlier run of the server may still reconnect.
    warming_up: bool,
    /// Indicates whether the server is in development mode.
    development: bool,
}

impl Example for Health {
    fn example() -> Self {
        let ok = || "ok".to_owned();
        let tasks = ["writer", "timers"].map(|name| (name.to_owned(), ok())).into();
        let (status, database, certificate) = (ok(), ok(), Some(ok()));
        Self { status, database, tasks, certificate, warming_up: false, development: false }
    }
}

/// The response of the health check.
#[derive(ApiResponse)]
enum Heartbeat {
    /// The server, its tasks, its database and its certificate work.
    #[oai(status = 200)]
    Healthy(Json<Health>),
    /// The database or a task does not respond, or there is no valid certificate.
    #[oai(status = 503)]
    Unhealthy(Json<Health>),
}

/// The state of a server that responds.
#[derive(Object)]
#[oai(example)]
struct Alive {
    /// `ok`.
    status: String,
}

impl Example for Alive {
    fn example() -> Self {
        Self { status: "ok".to_owned() }
    }
}

fn outcome(is_healthy: bool) -> String {
    if is_healthy { "ok" } else { "error" }.to_owned()
}

#[OpenApi(tag = "ApiTag::Operation")]
impl OperationApi {
    /// Check the health of the server, its tasks and its database.
    ///
    /// For monitoring. Each long-lived task must respond within two seconds. A server that is
    /// warming up is healthy.
    #[oai(path = "/__heartbeat__", method = "get", operation_id = "heartbeat")]
    async fn heartbeat(
        &self,
        request: RequestContext,
    ) -> Result<Heartbeat, OperationError<NoErrors>> {
        let service = &request.context.service;
        let (database, tasks) = tokio::join!(service.ping(), request.context.supervisor.check());
        let now = service.now();
        let certificate = request.context.tls.as_ref().map(|tls| tls.is_valid(now));
        let is_healthy =
            database.is_ok() && tasks.values().all(|runs| *runs) && certificate != Some(false);
        let health = Json(Health {
            status: outcome(is_healthy),
            database: outcome(database.is_ok()),
            tasks: tasks.into_iter().map(|(name, runs)| (name.to_owned(), outcome(runs))).collect(),
            certificate: certificate.map(outcome),
            warming_up: service.is_warming_up(),
            development: service.settings().development,
        });
        Ok(if is_healthy { Heartbeat::Healthy(health) } else { Heartbeat::Unhealthy(health) })
    }

    /// Check that the server responds.
    ///
    /// For a load balancer. The check does not use the database.
    #[oai(path = "/__lbheartbeat__", method = "get", operation_id = "load_balancer_heartbeat")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn load_balancer_heartbeat(&self) -> Result<Json<Alive>, OperationError<NoErrors>> {
        Ok(Json(Alive::example()))
    }

    /// Show the version of the server.
    ///
    /// A field that was not set by the build is empty.
    #[oai(path = "/__version__", method = "get", operation_id = "version")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn version(
        &self,
        request: RequestContext,
    ) -> Result<Json<BuildInfo>, OperationError<NoErrors>> {
        Ok(Json(BuildInfo::of(&request.context.version_file)))
    }
}
