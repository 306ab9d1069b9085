//! host.firewall: reads the live nftables rules and knocks.
//!
//! What is looked for is a chain on input that drops what no rule admits, for IPv4 and for IPv6. A packet is admitted only
//! if every chain on input admits it, so it is enough to look at one that drops. Each of its rules that accepts must be
//! about loopback, established connections, ICMP, or ports that are promised; what cannot be read as one of these is a
//! fault and not passed over.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use reeve_base::Cause;
use reeve_policy::catalogue::HostFirewall;
use serde_json::Value;

use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::tlog::hexadecimal;
use crate::wire::{Site, WireError};

impl Probe for HostFirewall {
    fn plan(&self, _: &Target) -> Sends {
        let what = format!(
            "{KNOCKS} TCP connections to ports that must not answer, and a reading of the host's nftables rules"
        );
        Sends { what, requests: 1, connections: u32::from(KNOCKS) }
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let command = site.house()?.ruleset.clone();
            let twin = site.serves(notes).await?;
            let rules = tokio::task::spawn_blocking(move || live(&command)).await;
            let rules = rules.map_err(|error| Cause::Unexpected(error.to_string()))??;
            let digest = digest(&rules);
            notes.saw(format!("the live rules are sha256:{digest}"));
            let ports: BTreeSet<u16> = self.ports.iter().copied().collect();
            let ruleset = Ruleset::read(&rules);
            for family in ["ip", "ip6"] {
                notes.either(ruleset.judge(family, &ports));
            }
            let approved = self.ruleset.as_str();
            if approved != "any" {
                notes.either(if approved.strip_prefix("sha256:") == Some(digest.as_str()) {
                    Ok(String::from("they are the approved ones"))
                } else {
                    Err(format!("the live rules are sha256:{digest}, approved are {approved}"))
                });
            }
            for port in closed_ports(site)? {
                if let Err(fault) = knock(site, port).await? {
                    notes.fault(fault);
                }
            }
            let shown: Vec<String> = ports.iter().map(u16::to_string).collect();
            Ok(Kept::with(twin, format!("input is dropped but for ports {}", shown.join(", "))))
        })
    }
}

/// What the command prints: the rules that hold now.
fn live(command: &[String]) -> Result<Vec<Value>, Cause> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Cause::Unexpected(String::from("no command reads the rules")));
    };
    let done = Command::new(program).args(arguments).output();
    let done = done.map_err(|error| Cause::Denied(format!("`{program}` cannot be run: {error}")))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim().to_owned();
        return Err(Cause::Denied(format!("the rules cannot be read, which takes root or CAP_NET_ADMIN: {said}")));
    }
    let unreadable = || Cause::Unexpected(String::from("what `nft` prints cannot be read"));
    let value: Value = serde_json::from_slice(&done.stdout).map_err(|_| unreadable())?;
    Ok(value.get("nftables").and_then(Value::as_array).ok_or_else(unreadable)?.clone())
}

/// The digest of the live rules of this host, for a policy to approve: SHA-256, in hexadecimal.
///
/// # Errors
/// When they cannot be read.
pub fn ruleset_digest(command: &[String]) -> Result<String, String> {
    live(command).map(|rules| digest(&rules)).map_err(|cause| cause.to_string())
}

/// Over everything that does not change by itself: without handles, counters, times, members of sets that come and go,
/// and the table of bans. Members of sets stand in no order, so they are sorted.
fn digest(rules: &[Value]) -> String {
    let kept = rules.iter().filter(|object| object.get("metainfo").is_none() && !is_of_bans(object));
    let lines: Vec<String> = kept.map(canonical).collect();
    hexadecimal(lines.join("\n").as_bytes())
}

fn is_of_bans(object: &Value) -> bool {
    let mut members = object.as_object().into_iter().flat_map(|object| object.iter());
    members.any(|(kind, content)| {
        let name = if kind == "table" { content.get("name") } else { content.get("table") };
        name.and_then(Value::as_str) == Some(BANS_TABLE)
    })
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let flags = members.get("flags").map(Value::to_string).unwrap_or_default();
            let changing = flags.contains("timeout") || flags.contains("dynamic");
            let passes_by = |name: &str| CHANGING.contains(&name) || (changing && name == "elem");
            let mut members: Vec<_> = members
                .iter()
                .filter(|(name, _)| !passes_by(name))
                .map(|(name, content)| match (name.as_str(), content) {
                    ("set" | "elem", Value::Array(items)) => {
                        let mut items: Vec<String> = items.iter().map(canonical).collect();
                        items.sort_unstable();
                        format!("{name}:[{}]", items.join(","))
                    }
                    _ => format!("{name}:{}", canonical(content)),
                })
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The rules, as far as they matter here.
struct Ruleset<'r>(Vec<(&'r str, &'r Value)>);

impl<'r> Ruleset<'r> {
    fn read(rules: &'r [Value]) -> Self {
        let objects = rules.iter().filter(|object| !is_of_bans(object)).filter_map(Value::as_object);
        Self(objects.flat_map(|object| object.iter().map(|(kind, content)| (kind.as_str(), content))).collect())
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &'r Value> {
        self.0.iter().filter(move |(one, _)| *one == kind).map(|(_, content)| *content)
    }

    /// The rules of a chain, each as its expressions.
    fn rules(&self, chain: Chain<'r>) -> Vec<&'r [Value]> {
        let of_chain = self.of("rule").filter(|rule| {
            text(rule, "family") == chain.family
                && text(rule, "table") == chain.table
                && text(rule, "chain") == chain.name
        });
        of_chain.filter_map(|rule| rule.get("expr")?.as_array().map(Vec::as_slice)).collect()
    }

    /// Whether a chain drops what of this family no rule admits, and admits new connections to these ports only.
    fn judge(&self, family: &str, ports: &BTreeSet<u16>) -> Result<String, String> {
        let base = self.of("chain").filter(|chain| {
            text(chain, "hook") == "input"
                && text(chain, "type") == "filter"
                && [family, "inet"].contains(&text(chain, "family"))
        });
        let mut faults = Vec::new();
        for chain in base {
            let place = Chain { family: text(chain, "family"), table: text(chain, "table"), name: text(chain, "name") };
            let rules = self.rules(place);
            let ends_so = rules.last().is_some_and(|rule| is_refusal(rule));
            if text(chain, "policy") != "drop" && !ends_so {
                continue;
            }
            match self.admits(place, ports, 0) {
                Ok(()) => {
                    return Ok(format!(
                        "{family}: the chain {} {} {} drops the rest",
                        place.family, place.table, place.name
                    ));
                }
                Err(fault) => faults.push(fault),
            }
        }
        let none = || format!("{family}: no chain on input drops what no rule admits");
        Err(faults.into_iter().next().map_or_else(none, |fault| format!("{family}: {fault}")))
    }

    /// Finds a rule that admits more than it may.
    fn admits(&self, chain: Chain<'r>, ports: &BTreeSet<u16>, depth: u8) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(String::from("chains that lead on for too long"));
        }
        for rule in self.rules(chain) {
            let harmless = rule.iter().any(|expression| self.narrows(expression, chain, ports));
            for expression in rule {
                if harmless {
                    continue;
                }
                if expression.get("accept").is_some() {
                    let shown: String =
                        serde_json::to_string(rule).unwrap_or_default().chars().take(SHOWN_MAX).collect();
                    return Err(format!("a rule admits what is not promised: {shown}"));
                }
                let target = ["jump", "goto"].iter().find_map(|verb| expression.get(verb)?.get("target")?.as_str());
                if let Some(name) = target {
                    self.admits(Chain { name, ..chain }, ports, depth + 1)?;
                }
                if let Some(map) = expression.get("vmap") {
                    self.map_admits(map, chain, ports, depth)?;
                }
            }
        }
        Ok(())
    }

    /// A map from values to verdicts: each that accepts is like a rule that compares with that value.
    fn map_admits(&self, map: &'r Value, chain: Chain<'r>, ports: &BTreeSet<u16>, depth: u8) -> Result<(), String> {
        let entries = map.get("data").and_then(|data| data.get("set")).and_then(Value::as_array);
        let (Some(key), Some(entries)) = (map.get("key"), entries) else {
            return Err(String::from("a verdict map that cannot be read"));
        };
        for entry in entries {
            let [value, verdict] = entry.as_array().map(Vec::as_slice).unwrap_or_default() else {
                return Err(String::from("a verdict map that cannot be read"));
            };
            if self.compares(key, value, chain, ports) {
                continue;
            }
            if verdict.get("accept").is_some() {
                return Err(format!("a verdict map admits what is not promised: {value}"));
            }
            if let Some(name) = ["jump", "goto"].iter().find_map(|verb| verdict.get(verb)?.get("target")?.as_str()) {
                self.admits(Chain { name, ..chain }, ports, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Whether an expression lets the rule hold for nothing but what may be admitted.
    fn narrows(&self, expression: &Value, chain: Chain<'_>, ports: &BTreeSet<u16>) -> bool {
        let Some(comparison) = expression.get("match") else { return false };
        let equal = matches!(text(comparison, "op"), "==" | "in");
        let (Some(left), Some(right)) = (comparison.get("left"), comparison.get("right")) else { return false };
        equal && self.compares(left, right, chain, ports)
    }

    fn compares(&self, left: &Value, right: &Value, chain: Chain<'_>, ports: &BTreeSet<u16>) -> bool {
        let all = |allowed: &[&str]| {
            let values = items(right);
            !values.is_empty()
                && values.iter().all(|value| value.as_str().is_some_and(|value| allowed.contains(&value)))
        };
        if let Some(meta) = left.get("meta") {
            return match text(meta, "key") {
                "iif" | "iifname" => all(&["lo"]),
                "l4proto" => all(&["icmp", "icmpv6", "ipv6-icmp"]),
                _ => false,
            };
        }
        if let Some(state) = left.get("ct") {
            return text(state, "key") == "state" && all(&["established", "related"]);
        }
        let Some(payload) = left.get("payload") else { return false };
        match (text(payload, "protocol"), text(payload, "field")) {
            ("icmp" | "icmpv6", _) => true,
            ("ip", "protocol") | ("ip6", "nexthdr") => all(&["icmp", "icmpv6", "ipv6-icmp"]),
            ("tcp" | "udp" | "th", "dport") => self.ports_within(right, chain, ports),
            _ => false,
        }
    }

    fn ports_within(&self, right: &Value, chain: Chain<'_>, ports: &BTreeSet<u16>) -> bool {
        let named = right.as_str().and_then(|name| name.strip_prefix('@'));
        let elements = match named {
            Some(name) => {
                let mut sets = self.of("set").filter(|set| {
                    text(set, "name") == name
                        && text(set, "table") == chain.table
                        && text(set, "family") == chain.family
                });
                sets.next().and_then(|set| set.get("elem")?.as_array().cloned()).unwrap_or_default()
            }
            None => items(right),
        };
        elements.iter().all(|element| match element.get("range").and_then(Value::as_array).map(Vec::as_slice) {
            Some([first, last]) => match (port(first), port(last)) {
                (Some(first), Some(last)) => (first..=last).all(|port| ports.contains(&port)),
                _ => false,
            },
            _ => port(element).is_some_and(|port| ports.contains(&port)),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Chain<'r> {
    family: &'r str,
    table: &'r str,
    name: &'r str,
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// One value, or those of a set or a list.
fn items(value: &Value) -> Vec<Value> {
    let list = value.get("set").unwrap_or(value);
    list.as_array().cloned().unwrap_or_else(|| vec![list.clone()])
}

fn port(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}

/// A rule that refuses whatever comes.
fn is_refusal(rule: &[Value]) -> bool {
    let refuses = rule.iter().any(|expression| expression.get("drop").is_some() || expression.get("reject").is_some());
    refuses && !rule.iter().any(|expression| expression.get("match").is_some() || expression.get("limit").is_some())
}

/// Ports from the range that no service is given, beside the site's own.
fn closed_ports(site: &Site) -> Result<Vec<u16>, WireError> {
    let random: [u8; 2 * KNOCKS as usize] = site.random()?;
    let own = [Some(site.target().https.port()), site.target().http.map(|address| address.port())];
    let ports = random.chunks_exact(2).map(|pair| pair.iter().fold(0_u16, |sum, byte| sum << 8 | u16::from(*byte)));
    Ok(ports.map(|port| FIRST_UNUSED + port % UNUSED).filter(|port| !own.contains(&Some(*port))).collect())
}

async fn knock(site: &Site, port: u16) -> Result<Result<(), String>, Cause> {
    let address = SocketAddr::new(site.target().https.ip(), port);
    match site.connect_within(address, site.deadline().min(WAIT)).await {
        Ok(stream) if stream.local_addr().ok() == Some(address) => Ok(Ok(())),
        Ok(_) => Ok(Err(format!("port {port} answers"))),
        Err(WireError::Refused(_) | WireError::NoConnection(..) | WireError::NoRoute(..)) => Ok(Ok(())),
        Err(other) => Err(other.into()),
    }
}

/// What changes by itself, and numbers that the kernel gives anew at each load.
const CHANGING: [&str; 5] = ["handle", "packets", "bytes", "expires", "index"];

/// The table that the gateway itself keeps its bans in: it admits nothing that others would not.
const BANS_TABLE: &str = "reeve";

const DEPTH_MAX: u8 = 16;
const SHOWN_MAX: usize = 160;
const KNOCKS: u8 = 4;
const WAIT: Duration = Duration::from_millis(1_500);

/// Below the range from which systems take ports for clients (RFC 6335 section 6 gives out those up to 49,151).
const FIRST_UNUSED: u16 = 28_300;
const UNUSED: u16 = 1_500;

#[cfg(test)]
mod tests;
