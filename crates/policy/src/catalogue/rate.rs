//! Controls that limit how often somebody may ask, beside the one for addresses, and the values that all of them share.

use std::cmp::Ordering;

use reeve_base::Rate;
use reeve_base::document::{FromValue, Kind, Mismatch, Table, Value};
use serde_json::json;

use super::value::{ParameterValue, UrlPath, equal, lower};

control! {
    /// Each signed-in user gets so many requests, from however many addresses; the rest is told to come back later.
    RateUser = "rate.user";
    enforced "the gateway counts by what the settings name as a session (a cookie, a bearer token), hashed, with GCRA, and answers 429 with Retry-After; a session that somebody made up is held by the limit on its address";
    proved "sends a burst past the limit in one invented session, spread over several addresses, and expects 429 with Retry-After also from an address that asked for nothing before; another session must be served there meanwhile";
    serves ["OWASP ASVS 5.0 2.4.1", "NIST SP 800-53r5 SC-5", "OWASP API Security 2023 API4"];
    /// The rate that may be kept up.
    rate: Rate = Rate::per_minute(600), lower, from Rate::per_minute(1), to Rate::per_minute(60_000_000);
    /// How many may come at once on top of it.
    burst: u32 = 100, lower, from 1, to 1_000_000;
    /// Paths under which a rate of their own holds as well.
    routes: Vec<RouteRate> = Vec::new(), tighter;
}

control! {
    /// Each API key gets so many requests, from however many addresses; the rest is told to come back later.
    RateHeader = "rate.header";
    enforced "the gateway counts by the value of this header, hashed, with GCRA, and answers 429 with Retry-After; requests without it are held by the limit on their address";
    proved "sends a burst past the limit with one invented key, spread over several addresses, and expects 429 with Retry-After also from an address that asked for nothing before; another key must be served there meanwhile";
    serves ["OWASP ASVS 5.0 2.4.1", "NIST SP 800-53r5 SC-5", "OWASP API Security 2023 API4"];
    /// The header that carries the key.
    header: FieldName = FieldName::from("X-API-Key"), equal;
    /// The rate that may be kept up.
    rate: Rate = Rate::per_minute(600), lower, from Rate::per_minute(1), to Rate::per_minute(60_000_000);
    /// How many may come at once on top of it.
    burst: u32 = 100, lower, from 1, to 1_000_000;
    /// Paths under which a rate of their own holds as well.
    routes: Vec<RouteRate> = Vec::new(), tighter;
}

/// A rate for one part of a site, beside the one for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the gateway and the probes need all of it")]
pub struct RouteRate {
    /// The path, and whatever is below it.
    pub path: UrlPath,
    /// The rate that may be kept up there.
    pub rate: Rate,
    /// How many may come at once on top of it.
    pub burst: u32,
}

impl FromValue for RouteRate {
    const EXPECTED: &'static str = "a table such as { path = \"/login\", rate = \"5/min\", burst = 5 }";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let Kind::Table(table) = &value.kind else {
            return Err(Mismatch::kind(value, Self::EXPECTED, &value.kind));
        };
        let known = |key: &str| matches!(key, "path" | "rate" | "burst");
        if let Some(unknown) = table.entries.iter().find(|entry| !known(&entry.key)) {
            return Err(Mismatch::content(value, Self::EXPECTED, format!("has a key `{}` too many", unknown.key)));
        }
        let route = Self {
            path: member(value, table, "path")?,
            rate: member(value, table, "rate")?,
            burst: member(value, table, "burst")?,
        };
        let (least, most) = (Rate::per_minute(1), Rate::per_minute(60_000_000));
        if route.rate < least || route.rate > most {
            let message = format!("holds a rate of `{}`, outside `{least}` to `{most}`", route.rate);
            return Err(Mismatch::content(value, Self::EXPECTED, message));
        }
        if route.burst == 0 || route.burst > BURST_MAX {
            let message = format!("holds a burst of `{}`, outside `1` to `{BURST_MAX}`", route.burst);
            return Err(Mismatch::content(value, Self::EXPECTED, message));
        }
        Ok(route)
    }
}

fn member<T: FromValue>(value: &Value, table: &Table, key: &str) -> Result<T, Mismatch> {
    match table.entry(key) {
        Some(entry) => T::from_value(&entry.value),
        None => Err(Mismatch::content(value, RouteRate::EXPECTED, format!("has no `{key}`"))),
    }
}

impl ParameterValue for RouteRate {
    fn english(&self) -> String {
        let requests = if self.burst == 1 { "request" } else { "requests" };
        format!("{} with bursts of {} {requests} under {}", self.rate.english(), self.burst, self.path.as_str())
    }

    fn written(&self) -> String {
        let (path, rate) = (self.path.written(), self.rate.written());
        format!("{{ path = {path}, rate = {rate}, burst = {} }}", self.burst)
    }

    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "description": Self::EXPECTED,
            "properties": { "path": UrlPath::schema(), "rate": Rate::schema(), "burst": u32::schema() },
            "required": ["path", "rate", "burst"],
            "additionalProperties": false,
        })
    }
}

/// More routes with a rate of their own, none of them looser, are the stricter promise.
#[expect(clippy::ptr_arg, reason = "a `Strictness<Vec<T>>` takes the parameter's own type")]
pub(super) fn tighter(left: &Vec<RouteRate>, right: &Vec<RouteRate>) -> Option<Ordering> {
    match (holds(left, right), holds(right, left)) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        (false, false) => None,
    }
}

/// Whether every promise of `other` is kept by one of `these`.
fn holds(these: &[RouteRate], other: &[RouteRate]) -> bool {
    other.iter().all(|promise| {
        these.iter().any(|one| one.path == promise.path && one.rate <= promise.rate && one.burst <= promise.burst)
    })
}

/// The name of a header field (RFC 9110 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(String);

impl FieldName {
    /// The name, as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for FieldName {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl FromValue for FieldName {
    const EXPECTED: &'static str = "the name of a header such as \"X-API-Key\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let text = String::from_value(value)?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_token) {
            return Err(Mismatch::content(value, Self::EXPECTED, format!("`{text}` is no name of a header")));
        }
        Ok(Self(text))
    }
}

impl ParameterValue for FieldName {
    fn english(&self) -> String {
        self.0.clone()
    }

    fn written(&self) -> String {
        format!("{:?}", self.0)
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "description": Self::EXPECTED })
    }
}

/// As for the rates without a path.
const BURST_MAX: u32 = 1_000_000;

/// Longer than any name in use.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &'static str, per_minute: u64, burst: u32) -> RouteRate {
        RouteRate { path: UrlPath::from(path), rate: Rate::per_minute(per_minute), burst }
    }

    #[test]
    fn a_list_of_routes_is_stricter_if_it_keeps_all_that_the_other_promises() {
        let (none, one) = (Vec::new(), vec![route("/login", 5, 5)]);
        let (looser, two) = (vec![route("/login", 6, 5)], vec![route("/login", 5, 5), route("/reset", 1, 1)]);
        assert_eq!(tighter(&none, &none), Some(Ordering::Equal));
        assert_eq!(tighter(&one, &none), Some(Ordering::Greater));
        assert_eq!(tighter(&looser, &one), Some(Ordering::Less));
        assert_eq!(tighter(&two, &looser), Some(Ordering::Greater));
        assert_eq!(tighter(&vec![route("/reset", 1, 1)], &one), None);
    }

    #[test]
    fn a_route_speaks_and_writes_itself() {
        let route = route("/login", 5, 1);
        assert_eq!(route.english(), "5 requests per minute with bursts of 1 request under /login");
        assert_eq!(route.written(), "{ path = \"/login\", rate = \"5/min\", burst = 1 }");
    }
}
