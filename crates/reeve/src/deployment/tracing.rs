//! What the settings say of traces, as the gateway is told it.

use reeve_base::Span;
use reeve_edge::{CollectorAddress, DialerError, TracingSettings};

use crate::settings::{Settings, Tracing};

pub(super) fn edge(tracing: &Tracing) -> TracingSettings {
    let otlp = &tracing.otlp.value;
    TracingSettings {
        collector: CollectorAddress {
            tls: otlp.tls,
            host: otlp.host.clone(),
            port: otlp.port,
            path: otlp.path.clone(),
        },
        authorities: tracing.ca.as_ref().map(|ca| ca.value.clone()),
        sample: tracing.sample.0,
        service: tracing.service.clone(),
    }
}

/// The place in the settings that an error comes from.
pub(super) fn span(settings: &Settings, cause: &DialerError) -> Span {
    let Some(tracing) = &settings.tracing else { return 0..0 };
    match (cause, &tracing.ca) {
        (DialerError::Authorities { .. }, Some(ca)) => ca.span.clone(),
        _ => tracing.otlp.span.clone(),
    }
}
