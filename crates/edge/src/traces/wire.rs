//! Spans in the form in which collectors take them (OTLP 1, protobuf), by OpenTelemetry's own messages.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Message, SpanFlags, Status};
use prost::Message as _;

use super::context::Context;
use super::span::{Kind, Span, Value};

/// The body of a request that tells these spans.
pub(super) fn body(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let attributes =
        [("service.name", service), ("service.version", VERSION)].map(|(name, value)| text(name, value.to_owned()));
    let scope = InstrumentationScope { name: NAME.to_owned(), version: VERSION.to_owned(), ..Default::default() };
    let spans = spans.into_iter().map(message).collect();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: attributes.into(), ..Default::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }],
            ..Default::default()
        }],
    };
    request.encode_to_vec()
}

/// How many spans a collector says that it did not take, and why. An answer that cannot be read says nothing.
pub(super) fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let count = u64::try_from(partial.rejected_spans).ok()?;
    (count > 0).then_some((count, partial.error_message))
}

fn message(span: Span) -> Message {
    let (trace_id, span_id) = ids(&span.context);
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    Message {
        trace_id,
        span_id,
        trace_state: span.state.map(String::from).unwrap_or_default(),
        parent_span_id: span.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        flags: flags(&span.context, span.remote),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: span.attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        links: span.link.iter().map(link).collect(),
        // A description belongs to errors alone; that of a refusal is an attribute.
        status: Some(Status { code: code.into(), message: span.cause.filter(|_| span.failed).unwrap_or_default() }),
        ..Default::default()
    }
}

fn link(context: &Context) -> Link {
    let (trace_id, span_id) = ids(context);
    Link { trace_id, span_id, flags: flags(context, true), ..Default::default() }
}

fn ids(context: &Context) -> (Vec<u8>, Vec<u8>) {
    (context.trace.0.to_vec(), context.span.0.to_vec())
}

/// The flags of the context, and whether what came before is another program's.
fn flags(context: &Context, remote: bool) -> u32 {
    let [known, is] = [SpanFlags::ContextHasIsRemoteMask, SpanFlags::ContextIsRemoteMask].map(|flag| flag as u32);
    u32::from(context.flags) | known | if remote { is } else { 0 }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    match value {
        Value::Text(value) => text(name, value.into_owned()),
        Value::Number(number) => key_value(name, Any::IntValue(number)),
    }
}

fn text(name: &str, value: String) -> KeyValue {
    key_value(name, Any::StringValue(value))
}

fn key_value(name: &str, value: Any) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

const NAME: &str = "reeve";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
