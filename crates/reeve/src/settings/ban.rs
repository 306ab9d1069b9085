//! Who is never banned: `[ban]`.

use ipnet::IpNet;
use reeve_base::document::{Faults, Fields, Table};
use reeve_base::{Diagnostic, Span};

use super::Located;

/// What this deployment adds to the policy's bans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BanSettings {
    /// Addresses and networks that are never banned.
    pub(crate) allow: Vec<Located<IpNet>>,
    /// Whether bans go into the kernel too, so that they hold for the whole host.
    pub(crate) nftables: Located<bool>,
}

pub(super) fn read(table: &Table, faults: &mut Faults) -> BanSettings {
    let mut fields = Fields::new(table, "`[ban]`", faults);
    let written: Vec<Located<String>> = fields.optional("allow").unwrap_or_default();
    if let Some(first) = written.get(reeve_edge::EXEMPT_MAX) {
        let message = format!("`allow` has {} networks; {} are the most", written.len(), reeve_edge::EXEMPT_MAX);
        let fault = Diagnostic::error("settings::out-of-range", message);
        fields.faults().push(fault.at(first.span.clone(), "one too many").help("write wider networks, and fewer"));
    }
    let allow = written.into_iter().filter_map(|text| network(text, &mut fields)).collect();
    let nftables = fields.optional("nftables").unwrap_or(Located { value: false, span: 0..0 });
    fields.finish();
    BanSettings { allow, nftables }
}

fn network(written: Located<String>, fields: &mut Fields<'_, '_>) -> Option<Located<IpNet>> {
    let span: Span = written.span.clone();
    match reeve_edge::parse_network(&written.value) {
        Ok(network) => Some(Located { value: network, span }),
        Err(message) => {
            let fault = Diagnostic::error("document::wrong-value", message);
            fields.faults().push(fault.at(span, "this value").help("name addresses and networks, not hosts"));
            None
        }
    }
}
