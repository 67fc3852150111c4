//! The requests to the collector: OTLP as protobuf over HTTP.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use presence_identity::fetch::internal_client;
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response};
use url::Url;

use crate::http::build_info;
use crate::settings::Settings;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// The time to reach the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The time of one request, with its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of bytes of a response.
const MAX_RESPONSE: usize = 64 * 1024;

/// The reason why the collector did not take spans. It shows nothing of the URL, the headers and
/// the text of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CollectorError {
    #[error("the collector cannot be reached")]
    Connection,
    #[error("the collector does not answer in time")]
    Timeout,
    #[error("the collector answers with status {0}")]
    Status(u16),
    #[error("the collector answers with something else than OTLP")]
    Response,
}

impl CollectorError {
    /// Returns true if the same spans may be taken later, as OTLP defines it.
    pub(super) fn is_temporary(self) -> bool {
        match self {
            Self::Connection | Self::Timeout => true,
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::Response => false,
        }
    }
}

/// A collector that takes OTLP over HTTP.
pub(super) struct Collector {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
}

impl Collector {
    /// Returns the collector of the settings, if one is set.
    ///
    /// # Errors
    ///
    /// The reason in one line, if the file with headers cannot be used, or TLS cannot be set up.
    pub(super) fn configured(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(endpoint) = settings.traces_endpoint() else { return Ok(None) };
        let mut headers = settings.traces_headers()?;
        headers.insert(CONTENT_TYPE, PROTOBUF);
        let client = internal_client(CONNECT_TIMEOUT, REQUEST_TIMEOUT)
            .build()
            .map_err(|error| format!("traces cannot be sent: {error}"))?;
        Ok(Some(Self { client, endpoint, headers, resource: resource(settings) }))
    }

    /// Returns the request with these spans.
    pub(super) fn message(&self, spans: Vec<SpanData>) -> Vec<u8> {
        let resource_spans = if spans.is_empty() {
            Vec::new()
        } else {
            group_spans_by_resource_and_scope(spans, &self.resource)
        };
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    /// Sends a request. Returns the number of its spans that the collector rejects for good.
    ///
    /// # Errors
    ///
    /// [`CollectorError`] if it has taken none of them.
    pub(super) async fn send(&self, message: &[u8]) -> Result<u64, CollectorError> {
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone());
        let response = request.body(message.to_vec()).send().await;
        let response = response.map_err(|error| collector_error(&error))?;
        if !response.status().is_success() {
            return Err(CollectorError::Status(response.status().as_u16()));
        }
        let body = read_body(response).await?;
        let taken = ExportTraceServiceResponse::decode(body.as_slice());
        let taken = taken.map_err(|_| CollectorError::Response)?;
        let rejected = taken.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}

/// Returns what all spans have in common.
fn resource(settings: &Settings) -> ResourceAttributesWithSchema {
    let name = settings.traces_service_name.clone();
    let attributes = [
        KeyValue::new("service.name", name),
        KeyValue::new("service.version", build_info::VERSION),
    ];
    (&Resource::builder_empty().with_attributes(attributes).build()).into()
}

/// Reads the body, and counts its bytes.
async fn read_body(mut response: Response) -> Result<Vec<u8>, CollectorError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| collector_error(&error))? {
        if chunk.len() > MAX_RESPONSE.saturating_sub(body.len()) {
            return Err(CollectorError::Response);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn collector_error(error: &reqwest::Error) -> CollectorError {
    if error.is_timeout() { CollectorError::Timeout } else { CollectorError::Connection }
}
