//! A collector that takes OTLP over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A collector on a loopback port, which keeps what it receives. It stops when it is dropped.
pub(super) struct Collector {
    port: u16,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

struct State {
    /// The status of all responses, or none: then requests get no response.
    status: Option<u16>,
    heads: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

impl Collector {
    /// Starts a collector that takes all spans.
    pub(super) async fn start() -> Self {
        Self::start_on(0).await
    }

    /// Starts a collector on a port.
    pub(super) async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { status: Some(200), heads: Vec::new(), bodies: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let (mut task, shared) = (JoinSet::new(), Arc::clone(&state));
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                connections.spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { port, state, _task: task }
    }

    /// Returns a port on which nothing listens.
    pub(super) async fn absent_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://localhost:{}/v1/traces", self.port)
    }

    /// Sets the status of all later responses. With none there is no response at all.
    pub(super) fn answer(&self, status: Option<u16>) {
        self.state.lock().unwrap().status = status;
    }

    /// Returns the heads of all requests.
    pub(super) fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }

    /// Returns all that was received, as text.
    pub(super) fn received(&self) -> String {
        let state = self.state.lock().unwrap();
        let bodies = state.bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned());
        bodies.chain(state.heads.iter().cloned()).collect()
    }

    /// Returns the attributes that all spans have in common.
    pub(super) fn resource(&self) -> BTreeMap<String, String> {
        let requests = self.requests();
        let resource = requests[0].resource_spans[0].resource.as_ref();
        attributes(&resource.unwrap().attributes)
    }

    /// Returns all spans.
    pub(super) fn spans(&self) -> Vec<Span> {
        let groups = self.requests().into_iter().flat_map(|request| request.resource_spans);
        groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let decode = |body: &Vec<u8>| ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        self.state.lock().unwrap().bodies.iter().map(decode).collect()
    }
}

/// Returns attributes as texts.
pub(super) fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| {
        let value = value.as_ref()?.value.as_ref()?;
        let text =
            if let any_value::Value::StringValue(text) = value { Some(text.clone()) } else { None };
        let number = if let any_value::Value::IntValue(number) = value {
            Some(number.to_string())
        } else {
            None
        };
        text.or(number)
    };
    attributes.iter().map(|it| (it.key.clone(), text(&it.value).unwrap())).collect()
}

async fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if !stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let status = {
            let mut state = state.lock().unwrap();
            state.heads.push(head);
            if state.status == Some(200) {
                state.bodies.push(body);
            }
            state.status
        };
        let Some(status) = status else { std::future::pending().await };
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
