//! What the settings say of the applications behind, as the gateway is told it.

use reeve_base::Span;
use reeve_edge::{
    CircuitRule, ClientCertificate, ContractSettings, DialerError, HealthCheck, RouteSettings, Routing, ScrutinyError,
    ServerAddress, UpstreamScheme, UpstreamSettings,
};

use crate::settings::{Circuit, Health, Protocol, Settings, Upstream, UpstreamUrl};

/// An application as the gateway is told of it.
pub(super) fn edge(upstream: &Upstream) -> UpstreamSettings {
    let server = |url: &UpstreamUrl| ServerAddress { host: url.host.clone(), port: url.port };
    UpstreamSettings {
        name: upstream.name.value.clone(),
        scheme: match upstream.url.value.protocol {
            Protocol::Http => UpstreamScheme::Http,
            Protocol::H2c => UpstreamScheme::H2c,
            Protocol::Https => UpstreamScheme::Https,
        },
        servers: upstream.urls().map(|url| server(&url.value)).collect(),
        contract: upstream
            .document
            .as_ref()
            .map(|document| ContractSettings { document: document.file.value.clone(), base: document.base.clone() }),
        learn: upstream.learn,
        authorities: upstream.ca.as_ref().map(|ca| ca.value.clone()),
        pins: upstream.pins.iter().map(|pin| pin.value).collect(),
        client: upstream
            .client
            .as_ref()
            .map(|client| ClientCertificate { chain: client.certificate.value.clone(), key: client.key.value.clone() }),
        connect: upstream.connect.duration(),
        answer: upstream.answer.duration(),
        idle: upstream.idle.duration(),
        idle_connections_max: usize::try_from(upstream.connections).unwrap_or(usize::MAX),
        retries: upstream.retries,
        health: upstream.health.as_ref().map(health),
        circuit: upstream.circuit.as_ref().map(circuit),
    }
}

/// Those beside the first, and what goes to which.
pub(super) fn routing(settings: &Settings) -> Routing {
    let routes = settings.routes.iter().map(|route| RouteSettings {
        host: route.host.as_ref().map(|host| host.value.as_str().to_owned()),
        path: route.path.value.clone(),
        upstream: route.upstream.value.clone(),
    });
    Routing { upstreams: settings.named.iter().map(edge).collect(), routes: routes.collect() }
}

fn health(health: &Health) -> HealthCheck {
    HealthCheck {
        path: health.path.clone(),
        host: health.host.as_ref().map(|host| host.as_str().to_owned()),
        every: health.every.duration(),
        timeout: health.timeout.duration(),
        healthy: health.healthy,
        unhealthy: health.unhealthy,
    }
}

fn circuit(circuit: &Circuit) -> CircuitRule {
    CircuitRule {
        failures: circuit.failures,
        window: circuit.window.duration(),
        open: circuit.open.duration(),
        errors_percent: circuit.errors,
    }
}

/// The place in the settings that names a document.
pub(super) fn document_span(settings: &Settings, cause: &ScrutinyError) -> Span {
    let (ScrutinyError::Read { path, .. } | ScrutinyError::Contract { path, .. }) = cause else { return 0..0 };
    let mut documents = settings.upstreams().filter_map(|upstream| upstream.document.as_ref());
    documents.find(|document| document.file.value == *path).map_or(0..0, |document| document.file.span.clone())
}

/// The place in the settings that an error comes from.
pub(super) fn span(settings: &Settings, cause: &DialerError) -> Span {
    let at = |upstream: &Upstream| match cause {
        DialerError::Authorities { path, .. } => {
            upstream.ca.as_ref().filter(|ca| ca.value == *path).map(|ca| ca.span.clone())
        }
        DialerError::Client { path, .. } => {
            let client = upstream.client.as_ref()?;
            let mut files = [&client.certificate, &client.key].into_iter();
            files.find(|file| file.value == *path).map(|file| file.span.clone())
        }
        DialerError::TooFewPins { upstream: name, .. } => {
            (upstream.name.value == *name).then(|| upstream.url.span.clone())
        }
        DialerError::Host(host, _) => upstream.urls().find(|url| url.value.host == *host).map(|url| url.span.clone()),
        _ => None,
    };
    settings.upstreams().find_map(at).unwrap_or_else(|| settings.upstream.url.span.clone())
}
