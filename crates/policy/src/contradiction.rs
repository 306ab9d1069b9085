//! Clauses that cannot both be kept, or that state two values for one thing (the X table of the clause list).
//!
//! Two clauses with one control are no contradiction where one is simply stricter (X1, X13): the stricter value is
//! enforced and keeps both. They contradict where neither value is stricter.

use reeve_base::document::{Faults, Table};
use reeve_base::{Diagnostic, Period, Span};

use crate::catalogue::{
    Control, Framing, HdrCsp, HdrFrame, HdrHsts, NetOpenPorts, PlainHttp, TlsCipherBits, TlsCiphers, TlsHttpsOnly,
};
use crate::model::{Clause, Hold};

/// Finds all contradictions among the clauses.
pub(crate) fn find(clauses: &[Clause], faults: &mut Faults) {
    for (index, left) in clauses.iter().enumerate() {
        for right in clauses.get(index + 1..).unwrap_or_default() {
            same_control(left, right, faults);
            two_controls(left, right, faults);
            two_controls(right, left, faults);
        }
    }
}

fn same_control(left: &Clause, right: &Clause, faults: &mut Faults) {
    if let (Hold::Typed(first), Hold::Typed(second)) = (&left.hold, &right.hold) {
        // Two sections' roll-ups, or two lists of links, are two subjects.
        if matches!(first, Control::CoverageSection(_) | Control::TrustLinks(_)) {
            return;
        }
        for difference in first.differences(second).unwrap_or_default() {
            if difference.strictness.is_none() {
                let message = format!("`{}` and `{}` state two values for `{}`", left.id, right.id, difference.name);
                faults.push(contradiction(
                    message,
                    left,
                    right,
                    "give both clauses the same value, or keep one of them",
                ));
            }
        }
    }
}

fn two_controls(left: &Clause, right: &Clause, faults: &mut Faults) {
    let (Hold::Typed(first), Hold::Typed(second)) = (&left.hold, &right.hold) else { return };
    match (first, second) {
        (Control::HdrFrame(HdrFrame { framing }), Control::HdrCsp(HdrCsp { policy, .. })) => {
            let ancestors = frame_ancestors(policy.as_str());
            let agrees = match framing {
                Framing::Deny => ancestors.is_none_or(|sources| sources == "'none'"),
                Framing::SameOrigin => ancestors.is_none_or(|sources| matches!(sources, "'self'" | "'none'")),
            };
            if !agrees {
                let sources = ancestors.unwrap_or_default();
                let message = format!("`{}` and `{}` disagree on who may frame a page", left.id, right.id);
                faults.push(contradiction(message, left, right, &format!(
                    "`framing = \"{}\"` does not go with `frame-ancestors {sources}`; browsers follow frame-ancestors",
                    framing.as_str(),
                )));
            }
        }
        (Control::TlsCipherBits(TlsCipherBits { bits }), Control::TlsCiphers(TlsCiphers { ciphers })) => {
            let short: Vec<_> = ciphers.iter().filter(|cipher| cipher.key_bits() < *bits).collect();
            if let Some(cipher) = short.first() {
                let message =
                    format!("`{}` asks for {bits} bits and `{}` lists {}", left.id, right.id, cipher.as_str());
                faults.push(contradiction(
                    message,
                    left,
                    right,
                    "take the shorter cipher off the list, or lower `bits`",
                ));
            }
        }
        (
            Control::TlsHttpsOnly(TlsHttpsOnly { http: PlainHttp::Closed }),
            Control::NetOpenPorts(NetOpenPorts { ports, .. }),
        ) if ports.contains(&80) => {
            let message = format!("`{}` closes plain HTTP and `{}` promises port 80 open", left.id, right.id);
            faults.push(contradiction(message, left, right, "take 80 out of `ports`, or write `http = \"redirect\"`"));
        }
        _ => {}
    }
}

/// The sources of the frame-ancestors directive, if the policy has one (CSP 3, section 6.4.2).
fn frame_ancestors(policy: &str) -> Option<&str> {
    policy.split(';').find_map(|directive| directive.trim().strip_prefix("frame-ancestors ")).map(str::trim)
}

fn contradiction(message: String, left: &Clause, right: &Clause, help: &str) -> Diagnostic {
    Diagnostic::error("policy::contradiction", message)
        .at(left.span.clone(), "this clause")
        .at(right.span.clone(), "and this one")
        .help(help)
}

/// Faults of one control's parameters taken together. They point at what is written, or else at the control.
pub(crate) fn sense(control: &Control, span: &Span, with: Option<&Table>, faults: &mut Faults) {
    let place =
        |key| with.and_then(|with| with.entry(key)).map_or_else(|| span.clone(), |entry| entry.value.span.clone());
    match control {
        Control::HdrHsts(HdrHsts { max_age, subdomains, preload: true })
            if *max_age < Period::days(365) || !subdomains =>
        {
            let mut fault = Diagnostic::error("policy::preload", "the preload list would not take this site");
            if *max_age < Period::days(365) {
                fault = fault.at(place("max_age"), "shorter than the list asks for");
            }
            if !subdomains {
                fault = fault.at(place("subdomains"), "the list asks for subdomains too");
            }
            faults.push(
                fault
                    .at(place("preload"), "promised here")
                    .help("set `max_age = \"365d\"` or more and `subdomains = true`, or write `preload = false`"),
            );
        }
        Control::TlsCipherBits(TlsCipherBits { bits }) if !matches!(bits, 128 | 256) => {
            let fault = Diagnostic::error("policy::cipher-bits", format!("no cipher has {bits} bits"));
            faults.push(fault.at(place("bits"), "this value").help("write `bits = 256` or `bits = 128`"));
        }
        Control::TlsCiphers(TlsCiphers { ciphers }) if ciphers.is_empty() => {
            faults.push(empty_list("ciphers", "no connection could be made", place("ciphers")));
        }
        Control::InputMethods(methods) if methods.methods.is_empty() => {
            faults.push(empty_list("methods", "no request could be made", place("methods")));
        }
        Control::TrustLinks(links) if links.links.is_empty() => {
            faults.push(empty_list("links", "there would be nothing to judge", place("links")));
        }
        Control::NetOpenPorts(ports) if ports.ports.is_empty() => {
            faults.push(empty_list("ports", "nobody could reach the site", place("ports")));
        }
        _ => {}
    }
}

fn empty_list(name: &str, consequence: &str, span: Span) -> Diagnostic {
    Diagnostic::error("policy::empty-list", format!("`{name}` is empty: {consequence}"))
        .at(span, "nothing listed")
        .help("list at least one")
}
