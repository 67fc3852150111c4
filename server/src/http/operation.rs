//! Health and version, as Dockerflow wants them.

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::ApiTag;
use super::build_info::BuildInfo;
use super::request_context::RequestContext;

pub(super) struct OperationApi;

/// How the server is.
#[derive(Object)]
#[oai(example)]
struct Health {
    /// `ok`, or `error`.
    status: String,
    /// `ok`, or `error`.
    database: String,
    /// Whether devices of an earlier run may still be on their way back.
    warming_up: bool,
    /// Whether the server is in development mode.
    development: bool,
}

impl Example for Health {
    fn example() -> Self {
        let ok = || "ok".to_owned();
        Self { status: ok(), database: ok(), warming_up: false, development: false }
    }
}

/// How the server is.
#[derive(ApiResponse)]
enum Heartbeat {
    /// Everything that the server needs answers.
    #[oai(status = 200)]
    Fine(Json<Health>),
    /// The database does not answer.
    #[oai(status = 503)]
    Ill(Json<Health>),
}

/// The server answers.
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

#[OpenApi(tag = "ApiTag::Operation")]
impl OperationApi {
    /// Whether the server and what it needs are well.
    ///
    /// Asks the database. For monitoring; a server that is warming up is well.
    #[oai(path = "/__heartbeat__", method = "get", operation_id = "heartbeat")]
    async fn heartbeat(&self, request: RequestContext) -> Heartbeat {
        let presence = &request.context.service;
        let answered = presence.ping().await.is_ok();
        let word = if answered { "ok" } else { "error" };
        let health = Json(Health {
            status: word.to_owned(),
            database: word.to_owned(),
            warming_up: presence.is_warming_up(),
            development: presence.settings().development,
        });
        if answered { Heartbeat::Fine(health) } else { Heartbeat::Ill(health) }
    }

    /// Whether the server answers at all.
    ///
    /// Asks nobody else. For a load balancer.
    #[oai(path = "/__lbheartbeat__", method = "get", operation_id = "load_balancer_heartbeat")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn load_balancer_heartbeat(&self) -> Json<Alive> {
        Json(Alive::example())
    }

    /// What runs.
    ///
    /// What the build said of itself; empty where it did not.
    #[oai(path = "/__version__", method = "get", operation_id = "version")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn version(&self, request: RequestContext) -> Json<BuildInfo> {
        Json(BuildInfo::of(&request.context.version_file))
    }
}
