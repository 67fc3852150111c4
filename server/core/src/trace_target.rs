//! The target of spans that are exported as traces.

/// The target of the spans that an operator can have exported as traces. All other spans are for
/// the log, and are never exported.
///
/// Such a span leaves the server. Its attributes are numbers, and words that the code chooses:
/// never an e-mail, an id of a user or an Application, a PUID, a credential, a text, an address or
/// a path.
pub const TRACE_TARGET: &str = "presence_traces";
