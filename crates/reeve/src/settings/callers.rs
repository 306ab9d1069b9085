//! Who stands in front of the gateway, and which programs it does not answer: keys of `[listen]`, and `[bots]`.

use std::net::SocketAddr;

use ipnet::IpNet;
use reeve_base::document::{Faults, Fields, Table};
use reeve_base::{Diagnostic, Span};
use reeve_edge::ForwardedHeader;

use super::Located;

/// The proxies in front of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Proxies {
    /// What these say of others is believed.
    pub(crate) trusted: Vec<Located<IpNet>>,
    /// Listeners on which connections begin with a PROXY preamble.
    pub(crate) preamble: Vec<Located<SocketAddr>>,
    /// The field in which they tell for whom they speak.
    pub(crate) header: ForwardedHeader,
}

/// Which programs are refused, and which are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bots {
    /// Parts of User-Agent that are refused.
    pub(crate) deny: Vec<Located<String>>,
    /// Parts of User-Agent that are not, whatever the shipped list says.
    pub(crate) allow: Vec<Located<String>>,
    /// Fingerprints that are refused.
    pub(crate) fingerprints: Vec<Located<String>>,
}

/// Reads `proxies`, `proxy_protocol` and `forwarded` of `[listen]`, whose listeners are `listeners`.
pub(super) fn read_proxies(fields: &mut Fields<'_, '_>, listeners: &[Located<SocketAddr>]) -> Proxies {
    let written = list::<String>(fields, "proxies", PROXIES_MAX);
    let trusted: Vec<_> = written.into_iter().filter_map(|text| network(text, fields)).collect();
    let preamble = list::<SocketAddr>(fields, "proxy_protocol", LISTENERS_MAX);
    for named in &preamble {
        if !listeners.iter().any(|listener| listener.value == named.value) {
            let fault = Diagnostic::error("settings::no-such-listener", format!("nobody listens on `{}`", named.value));
            let fault = fault.at(named.span.clone(), "this value");
            fields.faults().push(fault.help("name listeners as `https` and `http` of `[listen]` write them"));
        }
    }
    if let Some(first) = preamble.first().filter(|_| trusted.is_empty()) {
        let fault = Diagnostic::error(
            "settings::no-proxies",
            "connections must begin with a preamble, and nobody's is believed",
        )
        .at(first.span.clone(), "no client could come in here")
        .help("name the proxies: `proxies = [\"10.0.0.7\"]`");
        fields.faults().push(fault);
    }
    let header = forwarded(fields);
    Proxies { trusted, preamble, header }
}

fn forwarded(fields: &mut Fields<'_, '_>) -> ForwardedHeader {
    let Some(written) = fields.optional::<Located<String>>("forwarded") else { return ForwardedHeader::XForwardedFor };
    match written.value.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => ForwardedHeader::XForwardedFor,
        "forwarded" => ForwardedHeader::Forwarded,
        _ => {
            let fault =
                Diagnostic::error("document::wrong-value", format!("`{}` is no field that is read", written.value));
            let help = "write \"X-Forwarded-For\" or \"Forwarded\", whichever your proxies set";
            fields.faults().push(fault.at(written.span, "this value").help(help));
            ForwardedHeader::XForwardedFor
        }
    }
}

fn network(written: Located<String>, fields: &mut Fields<'_, '_>) -> Option<Located<IpNet>> {
    let span: Span = written.span.clone();
    let read = written.value.parse::<std::net::IpAddr>().map(IpNet::from).or_else(|_| written.value.parse::<IpNet>());
    let fault = match read {
        Ok(network) if network.prefix_len() == 0 => {
            let message = format!("`{}` would have everybody believed", written.value);
            Diagnostic::error("settings::everybody", message).help("name your own proxies, and nobody else")
        }
        Ok(network) => return Some(Located { value: network.trunc(), span }),
        Err(_) => {
            let message = format!("`{}` is neither an address nor a network", written.value);
            Diagnostic::error("document::wrong-value", message).help("write `10.0.0.7` or `10.0.0.0/24`")
        }
    };
    fields.faults().push(fault.at(span, "this value"));
    None
}

/// Reads `[bots]`.
pub(super) fn read_bots(table: &Table, faults: &mut Faults) -> Bots {
    let mut fields = Fields::new(table, "`[bots]`", faults);
    let deny = patterns(&mut fields, "deny");
    let allow = patterns(&mut fields, "allow");
    let fingerprints = list::<String>(&mut fields, "fingerprints", PATTERNS_MAX);
    for print in &fingerprints {
        if !reeve_edge::is_fingerprint(&print.value) {
            let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no fingerprint", print.value));
            let help =
                "write a `ja4` or a `header_order` as events show it, such as \"t13d1516h2_8daaf6152771_e5627efa2ab1\"";
            fields.faults().push(fault.at(print.span.clone(), "this value").help(help));
        }
    }
    fields.finish();
    Bots { deny, allow, fingerprints }
}

/// Parts of names: long enough not to hit everybody, and in plain ASCII, because capitals count for nothing.
fn patterns(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<Located<String>> {
    let written = list::<String>(fields, key, PATTERNS_MAX);
    for pattern in &written {
        let plain = pattern.value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let length = pattern.value.trim().len();
        if !plain || !(PATTERN_BYTES_MIN..=PATTERN_BYTES_MAX).contains(&length) {
            let message = format!("`{key}` holds a pattern that is no part of a name");
            let fault = Diagnostic::error("document::wrong-value", message).at(pattern.span.clone(), "this value");
            let help = format!(
                "write {PATTERN_BYTES_MIN} to {PATTERN_BYTES_MAX} characters of plain ASCII; shorter ones would hit others"
            );
            fields.faults().push(fault.help(help));
        }
    }
    written
}

fn list<T>(fields: &mut Fields<'_, '_>, key: &'static str, most: usize) -> Vec<Located<T>>
where
    Vec<Located<T>>: reeve_base::document::FromValue,
{
    let written: Vec<Located<T>> = fields.optional(key).unwrap_or_default();
    if let Some(first) = written.get(most) {
        let message = format!("`{key}` has {} entries; {most} are the most", written.len());
        let fault = Diagnostic::error("settings::out-of-range", message).at(first.span.clone(), "one too many");
        fields.faults().push(fault);
    }
    written
}

const PROXIES_MAX: usize = 64;
const LISTENERS_MAX: usize = 64;

/// Patterns and fingerprints of one list.
const PATTERNS_MAX: usize = 1_024;
const PATTERN_BYTES_MIN: usize = 4;
const PATTERN_BYTES_MAX: usize = 128;
