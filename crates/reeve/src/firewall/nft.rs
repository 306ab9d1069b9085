//! The words that `nft -j` understands (libnftables-json(5)), for one table of our own.
//!
//! Single addresses stand in sets that are hashed; of IPv6 it is the /64 that is looked up. Wider networks are few and
//! stand in sets of intervals, which refuse overlaps: those inside others are left out, and all of them are written anew
//! when one changes.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::Order;

/// The table's name.
pub(super) const TABLE: &str = "reeve";

/// Whether it is one address, or one /64 of IPv6.
pub(super) fn is_one(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() == 32,
        IpNet::V6(network) => network.prefix_len() == 64,
    }
}

/// The commands that carry out an order, as one transaction.
pub(super) fn commands(order: &Order) -> Value {
    let mut commands = Vec::new();
    if order.reset {
        commands.extend(skeleton());
        let allow = apart(order.allow.iter().copied());
        for (set, four) in [("allow4", true), ("allow6", false)] {
            let networks = allow.iter().filter(|network| network.addr().is_ipv4() == four).map(prefix);
            commands.extend(elements("add", set, networks.collect()));
        }
    }
    for (set, four) in [("one4", true), ("one6", false)] {
        let ban = || order.ban.iter().filter(|(network, _)| network.addr().is_ipv4() == four);
        let lift = || order.lift.iter().filter(|network| network.addr().is_ipv4() == four);
        let plain = || ban().map(|(network, _)| network).chain(lift()).map(|network| json!(network.addr())).collect();
        // Adding what is there would leave its time as it was, and deleting what is not there would fail.
        commands.extend(elements("add", set, plain()));
        commands.extend(elements("delete", set, plain()));
        let banned = ban().map(|(network, seconds)| timed(json!(network.addr()), *seconds));
        commands.extend(elements("add", set, banned.collect()));
    }
    if let Some(wide) = &order.wide {
        for set in ["wide4", "wide6"] {
            commands.push(json!({ "flush": { "set": place(set) } }));
        }
        for network in apart(wide.iter().map(|(network, _)| *network)) {
            let seconds = wide.iter().find(|(one, _)| *one == network).map_or(1, |(_, seconds)| *seconds);
            let set = if network.addr().is_ipv4() { "wide4" } else { "wide6" };
            commands.extend(elements("add", set, vec![timed(prefix(&network), seconds)]));
        }
    }
    json!({ "nftables": commands })
}

/// The command that takes everything away.
pub(super) fn farewell() -> Value {
    let table = json!({ "table": { "family": "inet", "name": TABLE } });
    json!({ "nftables": [{ "add": table }, { "delete": table }] })
}

/// The table with its empty sets and its rules.
fn skeleton() -> Vec<Value> {
    let table = json!({ "table": { "family": "inet", "name": TABLE } });
    let set = |name: &str, kind: &str, flags: &[&str]| {
        let set =
            json!({ "family": "inet", "table": TABLE, "name": name, "type": kind, "flags": flags, "size": SET_MAX });
        json!({ "add": { "set": set } })
    };
    let chain = json!({
        "family": "inet", "table": TABLE, "name": "arriving", "type": "filter", "hook": "input", "prio": PRIORITY,
        "policy": "accept",
    });
    let mut commands = vec![json!({ "add": table }), json!({ "delete": table }), json!({ "add": table })];
    commands.extend([
        set("one4", "ipv4_addr", &["timeout"]),
        set("one6", "ipv6_addr", &["timeout"]),
        set("wide4", "ipv4_addr", &["interval", "timeout"]),
        set("wide6", "ipv6_addr", &["interval", "timeout"]),
        set("allow4", "ipv4_addr", &["interval"]),
        set("allow6", "ipv6_addr", &["interval"]),
        json!({ "add": { "chain": chain } }),
    ]);
    let rule = |expressions: Value| {
        let rule = json!({ "family": "inet", "table": TABLE, "chain": "arriving", "expr": expressions });
        json!({ "add": { "rule": rule } })
    };
    let source = |protocol: &str| json!({ "payload": { "protocol": protocol, "field": "saddr" } });
    let within = |left: Value, set: &str| json!({ "match": { "op": "==", "left": left, "right": format!("@{set}") } });
    let first_half = json!({ "&": [source("ip6"), "ffff:ffff:ffff:ffff::"] });
    let local = json!({ "match": { "op": "==", "left": { "meta": { "key": "iif" } }, "right": "lo" } });
    commands.extend([
        rule(json!([local, { "accept": null }])),
        rule(json!([within(source("ip"), "allow4"), { "accept": null }])),
        rule(json!([within(source("ip6"), "allow6"), { "accept": null }])),
        rule(json!([within(source("ip"), "one4"), { "drop": null }])),
        rule(json!([within(first_half, "one6"), { "drop": null }])),
        rule(json!([within(source("ip"), "wide4"), { "drop": null }])),
        rule(json!([within(source("ip6"), "wide6"), { "drop": null }])),
    ]);
    commands
}

fn place(set: &str) -> Value {
    json!({ "family": "inet", "table": TABLE, "name": set })
}

fn elements(verb: &str, set: &str, values: Vec<Value>) -> Option<Value> {
    let element = || json!({ "family": "inet", "table": TABLE, "name": set, "elem": values });
    (!values.is_empty()).then(|| json!({ verb: { "element": element() } }))
}

fn timed(value: Value, seconds: u64) -> Value {
    json!({ "elem": { "val": value, "timeout": seconds } })
}

fn prefix(network: &IpNet) -> Value {
    if network.prefix_len() == network.max_prefix_len() {
        return json!(network.addr());
    }
    json!({ "prefix": { "addr": network.network(), "len": network.prefix_len() } })
}

/// Those that lie in no other.
fn apart(networks: impl Iterator<Item = IpNet>) -> Vec<IpNet> {
    let mut sorted: Vec<IpNet> = networks.collect();
    sorted.sort_unstable_by_key(|network| (network.network(), network.prefix_len()));
    let mut apart: Vec<IpNet> = Vec::new();
    for network in sorted {
        // Sorted so, whatever holds it comes before it, and nothing between the two ends that one.
        if !apart.last().is_some_and(|last| last.contains(&network)) {
            apart.push(network);
        }
    }
    apart
}

/// Before the usual filters, so that a host's own rules see only who is not banned.
const PRIORITY: i32 = -10;

/// As many as there may be bans.
const SET_MAX: usize = reeve_edge::BANS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_inside_others_are_left_out() {
        let parse = |text: &&str| text.parse::<IpNet>().unwrap();
        let all = ["10.1.0.0/16", "10.0.0.0/8", "192.0.2.0/24", "10.1.2.0/24", "2001:db8::/32", "2001:db8:1::/48"];
        let found = apart(all.iter().map(parse));
        assert_eq!(found, ["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"].iter().map(parse).collect::<Vec<_>>());
    }
}
