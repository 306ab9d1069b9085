//! edge.ip_allow, bot.ua and bot.signature: comes from where nobody is let in, in the name of what nobody wants, and with
//! headers and handshakes of its own.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};

use jiff::tz::TimeZone;
use reeve_base::Cause;
use reeve_policy::catalogue::{BotSignature, BotUa, EdgeIpAllow, Signature};
use serde_json::json;

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::exchange::Until;
use crate::wire::handshake::Reply;
use crate::wire::hypertext::Ask;
use crate::wire::{Site, WireError};

impl Probe for EdgeIpAllow {
    fn plan(&self, _: &Target) -> Sends {
        let count = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        Sends::requests(count.saturating_mul(6), "GETs of each route from an address inside and one outside")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let inside = self.insider(site)?;
            let outside = self.outsider(site)?;
            let mut twin = None;
            for route in &self.routes {
                let path = route.as_str().trim_end_matches('/');
                let met = inside.ask(&Ask::get(shown(path))).await?;
                let from = inside.source().map(|address| address.to_string()).unwrap_or_default();
                if met.status == 403 {
                    let text = format!("{path} is refused from {from} too, which lies in the networks");
                    return Err(Cause::Unexpected(text));
                }
                twin = Some(Twin::seen(notes, format!("{path} from {from} is answered with {}", met.status)));
                for spelled in spellings(path, &site.invented_path()?) {
                    let met = outside.ask(&Ask::get(spelled.clone())).await?;
                    notes.either(match met.status {
                        403 => Ok(format!("{spelled} from outside is refused")),
                        other => Err(format!("{spelled} is answered with {other} to an address outside the networks")),
                    });
                }
            }
            let twin = twin.ok_or_else(|| Cause::EmptyPopulation(String::from("no route is named")))?;
            Ok(Kept::with(twin, format!("{} routes refused from outside and not from inside", self.routes.len())))
        })
    }
}

trait Sides {
    /// The target from an address that the networks hold.
    fn insider(&self, site: &Site) -> Result<Site, Cause>;
    /// The target from one that they do not.
    fn outsider(&self, site: &Site) -> Result<Site, Cause>;
}

impl Sides for EdgeIpAllow {
    fn insider(&self, site: &Site) -> Result<Site, Cause> {
        let loopback = |first: IpAddr| match first {
            IpAddr::V4(four) if four.is_loopback() => Some(four.max(FIRST_LOOPBACK)),
            _ => None,
        };
        let mut inside = self.networks.iter().filter_map(|network| {
            let address = loopback(network.net().network())?;
            network.net().contains(&IpAddr::V4(address)).then_some(address)
        });
        inside.next().and_then(|address| site.at(address)).ok_or_else(|| {
            let text = "no address inside the networks can be taken here, so it cannot be seen that such a one passes";
            Cause::Denied(String::from(text))
        })
    }

    fn outsider(&self, site: &Site) -> Result<Site, Cause> {
        let held = |site: &Site| {
            let address = site.source().map(IpAddr::V4);
            self.networks.iter().any(|network| address.is_none_or(|address| network.net().contains(&address)))
        };
        for _ in 0..TRIES {
            let other = site.elsewhere()?;
            if !held(&other) {
                return Ok(other);
            }
        }
        Err(Cause::Denied(String::from("no address outside the networks can be taken here")))
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() { String::from("/") } else { path.to_owned() }
}

/// The route, something below it, and both in other spellings of the same path.
fn spellings(path: &str, invented: &str) -> Vec<String> {
    let mut all = vec![shown(path), format!("{path}{invented}"), format!("/.{path}/"), format!("/x/..{path}")];
    if let Some(first) = path.strip_prefix('/').and_then(|rest| rest.chars().next()).filter(char::is_ascii) {
        all.push(path.replacen(first, &format!("%{:02x}", u32::from(first)), 1));
    }
    all
}

impl Probe for BotUa {
    fn plan(&self, _: &Target) -> Sends {
        let count = u32::try_from(UNWANTED.len() + ORDINARY.len() + 2).unwrap_or(u32::MAX);
        Sends::requests(count, "GETs of the home page in the names of attack tools and of ordinary clients")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = browser_passes(site, notes).await?;
            for agent in ORDINARY {
                notes.either(match ask(site, &[("User-Agent", agent)]).await? {
                    Met::Refused => Err(format!("{agent} is refused")),
                    Met::Answered(status) => Ok(format!("{agent} is answered with {status}")),
                });
            }
            for agent in UNWANTED {
                notes.either(match ask(site, &[("User-Agent", agent)]).await? {
                    Met::Refused => Ok(format!("{agent} is refused")),
                    Met::Answered(status) => Err(format!("{agent} is answered with {status}")),
                });
            }
            if notes.faults() > 0 {
                return Ok(Kept::with(twin, ""));
            }
            let Some(date) = site.status().await?.bots.and_then(|bots| bots.list) else {
                return Err(Cause::Unexpected(String::from("the deployment does not tell the date of its list")));
            };
            let midnight = date.to_zoned(TimeZone::UTC).map_err(|error| Cause::Unexpected(error.to_string()))?;
            let seconds = site.now().duration_since(midnight.timestamp()).as_secs();
            let (age, most) = (u64::try_from(seconds).unwrap_or_default() / DAY_SECONDS, self.age);
            notes.either(if age.saturating_mul(DAY_SECONDS) <= most.duration().as_secs() {
                Ok(format!("the list is of {date}, {age} days old"))
            } else {
                Err(format!("the list is of {date}, {age} days old; promised are at most {most}"))
            });
            let count = (UNWANTED.len(), ORDINARY.len());
            Ok(Kept::with(
                twin,
                format!("{} tools refused, {} ordinary clients answered; list of {date}", count.0, count.1),
            ))
        })
    }
}

impl Probe for BotSignature {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(
            24,
            "GETs of the home page with contradictory headers, and with fingerprints that are banned meanwhile",
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = browser_passes(site, notes).await?;
            for agent in ORDINARY {
                notes.either(match ask(site, &[("User-Agent", agent)]).await? {
                    Met::Refused => Err(format!("{agent} is refused")),
                    Met::Answered(status) => Ok(format!("{agent} is answered with {status}")),
                });
            }
            for signature in &self.signatures {
                match signature {
                    Signature::Headers => contradictions(site, notes).await?,
                    Signature::HeaderOrder if notes.faults() == 0 => header_order(site, notes).await?,
                    Signature::Ja4 if notes.faults() == 0 => handshake(site, notes).await?,
                    // What is broken already need not be looked into further.
                    Signature::HeaderOrder | Signature::Ja4 => {}
                }
            }
            let kinds: Vec<_> = self.signatures.iter().map(|signature| signature.as_str()).collect();
            Ok(Kept::with(twin, format!("refused by {}; ordinary clients answered", kinds.join(", "))))
        })
    }
}

/// What became of a request.
enum Met {
    /// 403, or a closed connection.
    Refused,
    /// With this status.
    Answered(u16),
}

/// A GET of the home page with exactly these fields behind Host.
async fn ask(site: &Site, fields: &[(&str, &str)]) -> Result<Met, Cause> {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", site.target().authority());
    match site.elsewhere()?.send_raw(request.as_bytes(), Until::Answers(1)).await {
        Ok(met) => match met.status() {
            Some(403) => Ok(Met::Refused),
            Some(status) => Ok(Met::Answered(status)),
            None => Err(Cause::Unexpected(format!("an ordinary head is answered: {}", met.summary()))),
        },
        Err(WireError::Closed | WireError::Connection(_)) => Ok(Met::Refused),
        Err(other) => Err(other.into()),
    }
}

/// The twin: what a browser sends.
async fn browser_passes(site: &Site, notes: &mut Notes) -> Result<Twin, Cause> {
    let fields = [
        ("User-Agent", CHROME),
        ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.9"),
        ("Sec-CH-UA", "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\""),
        ("Sec-CH-UA-Mobile", "?0"),
        ("Sec-CH-UA-Platform", "\"Linux\""),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-User", "?1"),
        ("Upgrade-Insecure-Requests", "1"),
    ];
    match ask(site, &fields).await? {
        Met::Answered(status @ (200..=399 | 401 | 404)) => {
            Ok(Twin::seen(notes, format!("a browser is answered with {status}")))
        }
        Met::Answered(status) => Err(Cause::Unexpected(format!("a browser is answered with {status}"))),
        Met::Refused => Err(Cause::Unexpected(String::from("a browser is refused"))),
    }
}

async fn contradictions(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    let hints = ("Sec-CH-UA", "\"Chromium\";v=\"142\"");
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("a blank User-Agent", &[("User-Agent", "")]),
        ("two User-Agents", &[("User-Agent", "curl/8.14.1"), ("User-Agent", CHROME)]),
        ("a browser's headers without User-Agent", &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none")]),
        ("a Firefox with client hints", &[("User-Agent", firefox), ("Sec-Fetch-Mode", "navigate"), hints]),
        ("a Chrome without fetch metadata", &[("User-Agent", CHROME), ("Accept", "*/*")]),
    ];
    for (what, fields) in cases {
        notes.either(match ask(site, fields).await? {
            Met::Refused => Ok(format!("{what} is refused")),
            Met::Answered(status) => Err(format!("{what} is answered with {status}")),
        });
    }
    Ok(())
}

/// Has a header order banned that nobody else can have, because a name in it is random.
async fn header_order(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let random: [u8; 4] = site.random()?;
    let name = random.iter().fold(String::from("X-Reeve-"), |name, byte| format!("{name}{byte:02x}"));
    let fields = [("User-Agent", site.user_agent()), (name.as_str(), "1")];
    let print = format!("11ge03_{:016x}", fnv(&["Host", "User-Agent", &name]));
    let refused = || async { Ok(matches!(ask(site, &fields).await?, Met::Refused)) };
    banned_for_a_moment(site, notes, ("header_order", &print), refused).await
}

/// Has a handshake banned that nobody else makes: beside the usual suites it offers some out of the range for private
/// use, by chance.
async fn handshake(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let random: [u8; 4] = site.random()?;
    let private = random.map(|byte| 0xff00 | u16::from(byte));
    let suites: Vec<u16> = [0x1301, 0x1302, 0x1303].into_iter().chain(private).collect();
    let offer = site.prepare(&suites)?;
    let print = crate::hello::ja4::ja4(&offer);
    let print = print.ok_or_else(|| Cause::Unexpected(String::from("the probe's own hello has no fingerprint")))?;
    let refused = || async {
        let refused = matches!(site.elsewhere()?.offer_prepared(&offer, &suites).await?, Reply::Refused { .. });
        Ok(refused)
    };
    banned_for_a_moment(site, notes, ("ja4", &print), refused).await
}

/// It passes before the ban and after it, and not meanwhile.
async fn banned_for_a_moment<F: Future<Output = Result<bool, Cause>>>(
    site: &Site,
    notes: &mut Notes,
    (kind, print): (&str, &str),
    refused: impl Fn() -> F,
) -> Result<(), Cause> {
    if !site.status().await?.bots.is_some_and(|bots| bots.judges.iter().any(|judged| judged == kind)) {
        notes.fault(format!("the deployment judges no fingerprint of the kind {kind}"));
        return Ok(());
    }
    if refused().await? {
        return Err(Cause::Unexpected(format!("{print} is refused before it is banned")));
    }
    let ban = json!({ "fingerprint": print, "seconds": CANARY_SECONDS, "reason": "a probe's own" });
    site.tell(&json!({ "prints": { "add": ban } })).await?;
    let meanwhile = refused().await;
    site.tell(&json!({ "prints": { "lift": { "fingerprint": print } } })).await?;
    notes.either(match meanwhile? {
        true => Ok(format!("{print} is refused while it is banned")),
        false => Err(format!("{print} is answered while it is banned")),
    });
    notes.either(match refused().await? {
        false => Ok(format!("{print} is answered again")),
        true => Err(format!("{print} is refused after its ban was lifted")),
    });
    Ok(())
}

/// FNV-1a with 64 bits (RFC 9923) over names, a comma behind each.
fn fnv(names: &[&str]) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes().chain([b',']));
    bytes.fold(14_695_981_039_346_656_037, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211))
}

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// Tools that are on every such list, as they name themselves.
const UNWANTED: [&str; 8] = [
    "sqlmap/1.9.10#stable (https://sqlmap.org)",
    "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:001234)",
    "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    "masscan/1.3 (https://github.com/robertdavidgraham/masscan)",
    "Mozilla/5.0 zgrab/0.x",
    "WPScan v3.8.28 (https://wpscan.com/wordpress-security-scanner)",
    "gobuster/3.8",
    "Mozilla/4.5 (compatible; HTTrack 3.0x; Windows 98)",
];

/// Clients of people and of operators.
const ORDINARY: [&str; 5] = [
    "curl/8.14.1",
    "Wget/1.25.0",
    "python-requests/2.32.5",
    "kube-probe/1.34",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
];

/// Where a network of loopback addresses begins that a socket can take.
const FIRST_LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const TRIES: usize = 16;
const DAY_SECONDS: u64 = 24 * 3_600;

/// Should the probe break off, its ban ends by itself.
const CANARY_SECONDS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_standards() {
        // RFC 9923: the empty string.
        assert_eq!(fnv(&[]), 0xcbf2_9ce4_8422_2325);
        assert_ne!(fnv(&["Host", "Accept"]), fnv(&["Accept", "Host"]));
    }

    #[test]
    fn a_route_is_spelled_in_several_ways() {
        let all = spellings("/admin", "/x1");
        assert_eq!(all, ["/admin", "/admin/x1", "/./admin/", "/x/../admin", "/%61dmin"]);
    }
}
