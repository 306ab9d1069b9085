//! Settings that are each readable and make no sense together.

mod certificates;
mod upstreams;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reeve_base::Diagnostic;
use reeve_base::document::Faults;

use super::{HostName, Listen, Located, Protocol, Settings, Upstream};

/// Records what contradicts itself.
pub(super) fn check(settings: &Settings, faults: &mut Faults) {
    taken_twice(&settings.listen, faults);
    for upstream in settings.upstreams() {
        own_listener(upstream, &settings.listen, faults);
        unused_ca(upstream, faults);
        unused_keys(upstream, faults);
    }
    upstreams::check(settings, faults);
    open_metrics(settings, faults);
    traced_in_a_circle(settings, faults);
    certificates::check(settings, faults);
    certificates::unnamed_public(settings, faults);
}

/// Figures that anybody could read, or a port that is taken already.
fn open_metrics(settings: &Settings, faults: &mut Faults) {
    let Some(metrics) = &settings.metrics else { return };
    if let Some(taken) = listeners(&settings.listen).find(|listener| overlap(listener.value, metrics.value)) {
        let message = format!("`{}` is listened on for the site as well", metrics.value);
        faults.push(
            Diagnostic::error("settings::listener-twice", message)
                .at(metrics.span.clone(), "metrics could not be read here")
                .at(taken.span.clone(), "because of this listener")
                .help("give the metrics a port of their own, such as \"127.0.0.1:9464\""),
        );
    }
    let address = metrics.value.ip();
    let private = match address {
        IpAddr::V4(four) => four.is_private() || four.is_link_local(),
        IpAddr::V6(six) => six.is_unique_local() || six.is_unicast_link_local(),
    };
    if !address.is_loopback() && !private {
        let fault = Diagnostic::warning("settings::open-metrics", "whoever reaches this address can read the metrics");
        let fault = fault.at(metrics.span.clone(), "no address of a private network");
        faults.push(fault.help("write a loopback or private address; the metrics are served without a password"));
    }
}

/// A collector behind the gateway itself: what tells of requests would make more of them.
fn traced_in_a_circle(settings: &Settings, faults: &mut Faults) {
    let Some(tracing) = &settings.tracing else { return };
    let otlp = &tracing.otlp;
    if let Some(listener) = leads_back(&otlp.value.host, otlp.value.port, &settings.listen) {
        let message = format!("`{}` is the gateway itself: spans would make spans", otlp.value);
        faults.push(
            Diagnostic::error("settings::loop", message)
                .at(otlp.span.clone(), "spans go out here")
                .at(listener.span.clone(), "and come in again here")
                .help("write the address on which the collector listens, such as \"http://127.0.0.1:4318\""),
        );
    }
}

/// Two listeners on one port: the second could not open.
fn taken_twice(listen: &Listen, faults: &mut Faults) {
    let all: Vec<_> = listeners(listen).collect();
    for (index, first) in all.iter().enumerate() {
        for second in all.get(index + 1..).unwrap_or_default() {
            if overlap(first.value, second.value) {
                let message = if first.value == second.value {
                    format!("`{}` is listened on twice", first.value)
                } else {
                    format!("`{}` and `{}` are one port", first.value, second.value)
                };
                faults.push(
                    Diagnostic::error("settings::listener-twice", message)
                        .at(second.span.clone(), "this listener could not open")
                        .at(first.span.clone(), "because of this one")
                        .help("give each listener a port of its own, or remove one of them"),
                );
            }
        }
    }
}

fn listeners(listen: &Listen) -> impl Iterator<Item = &Located<SocketAddr>> {
    listen.https.iter().chain(&listen.http)
}

/// Port 0 asks the system for a free one, and all addresses of a family (`0.0.0.0`) include each.
fn overlap(first: SocketAddr, second: SocketAddr) -> bool {
    let (one, other) = (first.ip(), second.ip());
    let shared = one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()));
    first.port() != 0 && first.port() == second.port() && shared
}

/// An upstream that is the gateway itself: each request would come back until nothing is left.
fn own_listener(upstream: &Upstream, listen: &Listen, faults: &mut Faults) {
    for url in upstream.urls() {
        if let Some(listener) = leads_back(&url.value.host, url.value.port, listen) {
            faults.push(
                Diagnostic::error("settings::loop", "the upstream is the gateway itself")
                    .at(url.span.clone(), "requests would be sent here")
                    .at(listener.span.clone(), "and come in again here")
                    .help("write the address on which the application listens"),
            );
        }
    }
}

/// The listener to which this address leads.
fn leads_back<'l>(host: &str, port: u16, listen: &'l Listen) -> Option<&'l Located<SocketAddr>> {
    // Other names are not looked up: what they mean may change, and reading settings asks nobody.
    let address = literal(host)?;
    listeners(listen).find(|listener| {
        let at = listener.value;
        // Whoever listens on all addresses also listens on this one, if it is the machine's; loopback always is.
        let here = at.ip() == address || (at.ip().is_unspecified() && address.is_loopback());
        at.port() == port && at.port() != 0 && here
    })
}

fn literal(host: &str) -> Option<IpAddr> {
    match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        other => other.parse().ok(),
    }
}

fn unused_ca(upstream: &Upstream, faults: &mut Faults) {
    let protocol = upstream.url.value.protocol;
    if let (Some(ca), Protocol::Http | Protocol::H2c) = (&upstream.ca, protocol) {
        faults.push(
            Diagnostic::warning("settings::unused-ca", format!("`ca` does nothing with `{}://`", protocol.scheme()))
                .at(ca.span.clone(), "no certificate is looked at")
                .at(upstream.url.span.clone(), "because this is plaintext")
                .help("write `https://` if the application speaks TLS, or remove `ca`"),
        );
    }
}

fn unused_keys(upstream: &Upstream, faults: &mut Faults) {
    let protocol = upstream.url.value.protocol;
    if protocol == Protocol::Https {
        return;
    }
    let pins = upstream.pins.first().map(|pin| ("pins", pin.span.clone()));
    let client = upstream.client.as_ref().map(|client| ("certificate", client.certificate.span.clone()));
    for (key, span) in pins.into_iter().chain(client) {
        faults.push(
            Diagnostic::error(
                "settings::no-upstream-tls",
                format!("`{key}` needs TLS, and this is `{}://`", protocol.scheme()),
            )
            .at(span, "nobody would look at it")
            .at(upstream.url.span.clone(), "because this is plaintext")
            .help("write `https://` if the application speaks TLS"),
        );
    }
}

/// Whether a certificate for `name` is one for `host`; a wildcard stands for exactly one label (RFC 6125 section 6.4.3).
fn covers(name: &HostName, host: &str) -> bool {
    match name.as_str().strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name.as_str() == host,
    }
}
