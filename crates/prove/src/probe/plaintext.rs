//! tls.only and tls.https_only: what a visitor without TLS gets, and whether the site leads anybody there.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use reeve_base::Cause;
use reeve_policy::catalogue::{PlainHttp, TlsHttpsOnly, TlsOnly};
use url::Url;

use super::{Kept, Notes, Probe, Running, Sends, page};
use crate::Target;
use crate::wire::exchange::{End, Transcript, Until};
use crate::wire::hypertext::{Answer, Ask};
use crate::wire::{Site, WireError};

impl Probe for TlsOnly {
    fn plan(&self, target: &Target) -> Sends {
        let ports = if target.http.is_some() { "the TLS port and the plaintext port" } else { "the TLS port" };
        Sends::requests(3, format!("a plain HTTP request to {ports}, and one over TLS"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let ports = [Some(site.target().https), site.target().http];
            for port in ports.into_iter().flatten() {
                let met = ask_in_the_clear(site, port).await?;
                notes.either(met.judge(port, Allowed::RedirectOrRefusal, site.target()));
            }
            Ok(Kept::with(twin, "plain HTTP gets a redirect to HTTPS or nothing, TLS is answered"))
        })
    }
}

impl Probe for TlsHttpsOnly {
    fn plan(&self, target: &Target) -> Sends {
        let plain = target.http.map_or_else(String::new, |port| format!("a plain HTTP request to {port}, then "));
        Sends::requests(PAGES_MAX + 2, format!("{plain}GETs of up to {PAGES_MAX} pages that the home page leads to"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            crawl(site, notes).await?;
            let Some(port) = site.target().http else {
                let text = "no plaintext port is known to ask; name it beside the target";
                return Err(Cause::EmptyPopulation(String::from(text)));
            };
            let allowed = match self.http {
                PlainHttp::Redirect => Allowed::RedirectOrRefusal,
                PlainHttp::Closed => Allowed::Nothing,
            };
            let met = ask_in_the_clear(site, port).await?;
            let found = met.judge(port, allowed, site.target());
            let seen = found.clone().unwrap_or_default();
            notes.either(found);
            Ok(Kept::with(twin, format!("{seen}; no plain link to the site and no cookie without Secure on its pages")))
        })
    }
}

/// What a plain request may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// A redirect to HTTPS, or no service.
    RedirectOrRefusal,
    /// No open port.
    Nothing,
}

/// What a plain request met.
enum Met {
    Refused,
    Heard(Transcript),
}

async fn ask_in_the_clear(site: &Site, port: SocketAddr) -> Result<Met, Cause> {
    let authority = site.target().host().to_owned();
    let agent = site.user_agent();
    let request = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
    match site.send_plain(port, request.as_bytes(), Until::Answers(1)).await {
        Ok(transcript) => Ok(Met::Heard(transcript)),
        Err(WireError::Refused(_)) => Ok(Met::Refused),
        Err(error) => Err(error.into()),
    }
}

impl Met {
    fn judge(&self, port: SocketAddr, allowed: Allowed, target: &Target) -> Result<String, String> {
        let transcript = match self {
            Self::Refused => return Ok(format!("{port} is closed")),
            Self::Heard(_) if allowed == Allowed::Nothing => return Err(format!("{port} is open to plain HTTP")),
            Self::Heard(transcript) => transcript,
        };
        let Some(answer) = transcript.answers.first() else {
            return match transcript.end {
                End::Closed | End::Reset => Ok(format!("{port} closes the connection on plain HTTP")),
                End::Open => Err(format!("{port} keeps a plain HTTP connection open without an answer")),
            };
        };
        match answer.status {
            301 | 302 | 307 | 308 => {
                let location = answer.value("location").unwrap_or_default();
                leads_to_https(location, target)?;
                Ok(format!("{port} redirects plain HTTP to {location} ({})", answer.status))
            }
            // What a TLS port says to plain text: it served nothing.
            400 | 403 | 421 | 426 | 497 => Ok(format!("{port} refuses plain HTTP ({})", answer.status)),
            status => Err(format!("{port} answers plain HTTP with {status}")),
        }
    }
}

/// Whether a redirect leads to the same host over HTTPS.
fn leads_to_https(location: &str, target: &Target) -> Result<(), String> {
    let Ok(url) = Url::parse(location) else {
        return Err(format!("plain HTTP is redirected to `{location}`, which is no whole URL"));
    };
    if url.scheme() != "https" {
        return Err(format!("plain HTTP is redirected to `{location}`, which is not HTTPS"));
    }
    let host = url.host_str().unwrap_or_default();
    let bare = |name: &str| name.strip_prefix("www.").unwrap_or(name).to_owned();
    if bare(host) != bare(target.host()) {
        return Err(format!("plain HTTP is redirected to another host, `{host}`"));
    }
    Ok(())
}

/// Follows the site's own links for a few pages and looks at every link and every cookie on the way.
async fn crawl(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let home = site.target().url.clone();
    let mut waiting = VecDeque::from([String::from("/")]);
    let mut known: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut pages = 0;
    while let Some(path) = waiting.pop_front() {
        if pages == PAGES_MAX {
            notes.saw(format!("the crawl ends after {PAGES_MAX} pages; {} more were linked", waiting.len() + 1));
            break;
        }
        pages += 1;
        let Ok(here) = home.join(&path) else { continue };
        let answer = site.ask(&Ask::get(path.clone())).await?;
        cookies(&path, &answer, notes);
        let mut leads: Vec<String> = answer.values("location");
        if answer.is_html() {
            leads.extend(page::links(&answer.text()));
        }
        notes.saw(format!("GET {path}: {}, {} links", answer.status, leads.len()));
        for link in leads {
            let Ok(link) = here.join(&link) else { continue };
            if link.scheme() == "http" && link.host_str() == home.host_str() {
                notes.fault(format!("{path} leads to {link}"));
            } else if let Some(path) = page::same_site_path(&home, &link)
                && known.len() < KNOWN_MAX
                && harmless(&path)
                && known.insert(path.clone())
            {
                waiting.push_back(path);
            }
        }
    }
    Ok(())
}

/// Links that do something when followed are left alone, even though a GET should not.
fn harmless(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    !["logout", "signout", "sign-out", "log-out", "delete", "remove", "unsubscribe"]
        .iter()
        .any(|word| lower.contains(word))
}

fn cookies(path: &str, answer: &Answer, notes: &mut Notes) {
    for cookie in answer.values("set-cookie") {
        let mut parts = cookie.split(';').map(str::trim);
        let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default().to_owned();
        if parts.any(|attribute| attribute.eq_ignore_ascii_case("secure")) {
            notes.saw(format!("{path}: cookie {name} is Secure"));
        } else {
            notes.fault(format!("{path} sets the cookie {name} without Secure"));
        }
    }
}

/// How many pages are fetched.
const PAGES_MAX: u32 = 10;

/// How many links are remembered.
const KNOWN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trust;
    use crate::wire::transcript;

    fn target() -> Target {
        let url = Url::parse("https://example.com:8443/").unwrap();
        let https = "127.0.0.1:8443".parse().unwrap();
        Target { url, https, http: None, trust: Trust::System, error_path: None, trace_path: None, house: None }
    }

    #[track_caller]
    fn check(bytes: &str, end: End, allowed: Allowed, expected: Result<(), &str>) {
        let met = Met::Heard(Transcript {
            answers: transcript::answers(bytes.as_bytes()),
            bytes: bytes.as_bytes().to_vec(),
            end,
        });
        match (met.judge("127.0.0.1:80".parse().unwrap(), allowed, &target()), expected) {
            (Ok(_), Ok(())) => {}
            (Err(fault), Err(part)) if fault.contains(part) => {}
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn plain_http_may_meet_a_redirect_or_nothing() {
        let redirect = |location| format!("HTTP/1.1 308 R\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let allowed = Allowed::RedirectOrRefusal;
        check(&redirect("https://example.com/"), End::Open, allowed, Ok(()));
        check(&redirect("https://www.example.com/"), End::Open, allowed, Ok(()));
        check(&redirect("http://example.com/x"), End::Open, allowed, Err("not HTTPS"));
        check(&redirect("https://other.example/"), End::Open, allowed, Err("another host"));
        check(&redirect("/login"), End::Open, allowed, Err("no whole URL"));
        check(&redirect("https://example.com/"), End::Open, Allowed::Nothing, Err("is open"));
        check("HTTP/1.1 200 OK\r\n\r\nhello", End::Closed, allowed, Err("answers plain HTTP with 200"));
        check("HTTP/1.1 400 Bad\r\n\r\n", End::Closed, allowed, Ok(()));
        check("", End::Reset, allowed, Ok(()));
        check("", End::Open, allowed, Err("keeps a plain HTTP connection open"));
    }

    #[test]
    fn links_that_act_are_not_followed() {
        assert!(harmless("/about") && !harmless("/account/Logout?now") && !harmless("/items/3/delete"));
    }
}
