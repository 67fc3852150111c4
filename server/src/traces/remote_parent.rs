//! The context of a trace that a trusted proxy gives a request.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use poem::http::HeaderMap;

/// The header of the W3C. The other one, `tracestate`, is not read: it may hold anything.
const TRACE_PARENT: &str = "traceparent";

struct TraceParent<'a>(&'a HeaderMap);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACE_PARENT { self.0.get(key)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_PARENT]
    }
}

/// Returns the context in the headers of a request, if there is a valid one.
pub(crate) fn of(headers: &HeaderMap) -> Option<Context> {
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceParent(headers));
    let is_valid = context.span().span_context().is_valid();
    is_valid.then_some(context)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_valid_traceparent_is_a_context_and_tracestate_is_ignored() {
        let parent = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACE_PARENT, HeaderValue::from_static(value));
            headers.insert("tracestate", HeaderValue::from_static("vendor=alice"));
            of(&headers)
        };
        let context = parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        let span = context.span();
        let span = span.span_context();
        assert!(span.is_sampled() && span.is_remote());
        assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.trace_state().header(), "");
        for wrong in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(parent(wrong).is_none(), "{wrong}");
        }
    }
}
