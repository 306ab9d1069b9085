//! A short test of rules before they get traffic: attacks of each family must be refused, and what is harmless must pass.
//!
//! It says whether rules do their work at all: that a file was not left out, that a threshold can be reached, that nothing
//! switched the engine off. How well they do it, tests of the rules' own say ([`trial`](crate::trial)). The attacks are
//! not those by which a deployment is proved from outside: rules that knew only these would not pass there.

use std::net::{IpAddr, Ipv4Addr};

use crate::engine::Engine;
use crate::transaction::{Facts, RequestHead, Scratch};

mod families;

use families::{FAMILIES, Family, Sample};

/// What rules said of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The rule that refused it, if one did.
    pub refused_by: Option<u32>,
    /// Rules that spoke, in the order in which they did.
    pub spoke: Vec<u32>,
}

impl Said {
    /// Whether this rule spoke or refused.
    #[must_use]
    pub fn by(&self, rule: u32) -> bool {
        self.refused_by == Some(rule) || self.spoke.contains(&rule)
    }
}

/// Something that rules should have done otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lapse {
    /// An attack was let through.
    #[error("{family} in {place} is not refused")]
    Passed {
        /// Which kind of attack.
        family: &'static str,
        /// Where it stood.
        place: &'static str,
    },
    /// Something harmless was refused.
    #[error("what is harmless and stands beside {family} in {place} is refused by rule {rule}")]
    Refused {
        /// Beside which kind of attack.
        family: &'static str,
        /// Where it stood.
        place: &'static str,
        /// The rule that decided.
        rule: u32,
    },
    /// There was no time for all of it.
    #[error("it is not done within its time; {tried} of {all} requests were tried")]
    OutOfTime {
        /// Requests that were judged.
        tried: usize,
        /// Requests there are.
        all: usize,
    },
}

/// A self-test that rules have stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to say of it")]
pub struct Stood {
    /// Kinds of attack.
    pub families: usize,
    /// Requests, attacks and harmless ones.
    pub requests: usize,
}

/// Runs the self-test. The engine must refuse ([`EngineMode::On`](crate::EngineMode::On)). `go_on` is asked before each
/// request whether there is time for it; one takes well below a millisecond.
///
/// # Errors
/// Every [`Lapse`], at most [`LAPSES_MAX`]; never an empty list.
pub fn run(engine: &Engine, seconds: i64, go_on: &mut dyn FnMut() -> bool) -> Result<Stood, Vec<Lapse>> {
    let mut lapses = Vec::new();
    let mut tried = 0;
    let all = FAMILIES.iter().map(|family| 2 * family.places.len()).sum();
    for family in &FAMILIES {
        for place in family.places {
            if !go_on() {
                lapses.push(Lapse::OutOfTime { tried, all });
                return Err(lapses);
            }
            lapses.extend(judged(engine, family, *place, seconds, tried));
            tried += 2;
            if lapses.len() >= LAPSES_MAX {
                return Err(lapses);
            }
        }
    }
    if lapses.is_empty() { Ok(Stood { families: FAMILIES.len(), requests: tried }) } else { Err(lapses) }
}

/// What rules say of a GET for this target, as a browser would ask. `number` sets its client apart from others.
#[must_use]
pub fn asked(engine: &Engine, target: &str, seconds: i64, number: usize) -> Said {
    let head = Head { method: "GET", target: target.to_owned(), agent: BROWSER, beside: None, body: None };
    head.through(engine, seconds, number)
}

/// An attack and its twin in one place.
fn judged(engine: &Engine, family: &Family, place: Place, seconds: i64, number: usize) -> Vec<Lapse> {
    let (name, at) = (family.name, place.name());
    let attack = place.head(&family.attack).through(engine, seconds, number);
    let twin = place.head(&family.twin).through(engine, seconds, number + 1);
    let passed = attack.refused_by.is_none().then_some(Lapse::Passed { family: name, place: at });
    let refused = twin.refused_by.map(|rule| Lapse::Refused { family: name, place: at, rule });
    passed.into_iter().chain(refused).collect()
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Query,
    Form,
    Json,
    Agent,
}

impl Place {
    const TEXTS: [Self; 3] = [Self::Query, Self::Form, Self::Json];

    const fn name(self) -> &'static str {
        match self {
            Self::Query => "the query",
            Self::Form => "a form",
            Self::Json => "JSON",
            Self::Agent => "User-Agent",
        }
    }

    fn head(self, sample: &Sample) -> Head {
        let &Sample { field, text, beside } = sample;
        let form = || format!("{}={}", escaped(field), escaped(text));
        let post = |kind, body| Head {
            method: "POST",
            target: String::from("/selftest"),
            agent: BROWSER,
            beside,
            body: Some((kind, body)),
        };
        let get = |target, agent| Head { method: "GET", target, agent, beside, body: None };
        match self {
            Self::Query => get(format!("/selftest?{}", form()), BROWSER),
            Self::Form => post("application/x-www-form-urlencoded", form()),
            Self::Json => post("application/json", serde_json::json!({ field: text }).to_string()),
            Self::Agent => get(String::from("/selftest"), text),
        }
    }
}

/// A request, not yet in bytes.
struct Head {
    method: &'static str,
    target: String,
    agent: &'static str,
    beside: Option<(&'static str, &'static str)>,
    /// Its type and its text.
    body: Option<(&'static str, String)>,
}

impl Head {
    fn through(&self, engine: &Engine, seconds: i64, number: usize) -> Said {
        let length = self.body.as_ref().map(|(_, body)| body.len().to_string());
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b"Host", b"localhost"),
            (b"User-Agent", self.agent.as_bytes()),
            (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            (b"Accept-Language", b"en-GB,en;q=0.5"),
        ];
        headers.extend(self.beside.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        if let (Some((kind, _)), Some(length)) = (&self.body, &length) {
            headers.push((b"Content-Type", kind.as_bytes()));
            headers.push((b"Content-Length", length.as_bytes()));
        }
        let line = format!("{} {} HTTP/1.1", self.method, self.target);
        let head = RequestHead {
            line: line.as_bytes(),
            method: self.method.as_bytes(),
            target: self.target.as_bytes(),
            protocol: b"HTTP/1.1",
            headers: &headers,
        };
        let unique = format!("selftest-{number}");
        let mut transaction = engine.begin(&facts(&unique, seconds, number), Scratch::default());
        let mut refusal = transaction.request_head(&head);
        if refusal.is_none() {
            refusal = transaction.request_body(self.body.as_ref().map_or(b"", |(_, body)| body.as_bytes()));
        }
        let (report, _) = transaction.end();
        let spoke = report.matches.iter().map(|found| found.rule).collect();
        Said { refused_by: refusal.map(|refusal| refusal.rule), spoke }
    }
}

/// From networks for documentation (RFC 5737), each from another address: rule sets let the machine itself do what others
/// may not, and remember who was refused.
fn facts(unique: &str, seconds: i64, number: usize) -> Facts<'_> {
    let last = u8::try_from(number % 254).unwrap_or(0).saturating_add(1);
    Facts {
        remote_address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)),
        remote_port: 40_000,
        server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 443,
        unique_id: unique,
        seconds,
    }
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// More of them only say the same.
pub const LAPSES_MAX: usize = 20;

#[cfg(test)]
mod tests;
