//! Headers that contradict the program they claim to come from.
//!
//! Each rule refuses only what no program sends that is what it says: an ordinary client without the header in question
//! is another matter and passes. So a request without User-Agent passes (health checks of load balancers send none), and
//! so do curl, wget, libraries and monitors, which do not claim to be browsers.
//!
//! 1. More than one User-Agent (RFC 9110 section 5.3 allows one), or one that is blank.
//! 2. Headers that only a browser sets (`Sec-Fetch-*`, `Sec-CH-UA`) and no User-Agent: scripts cannot set the one nor remove the
//!    other (Fetch standard, forbidden request-headers).
//! 3. A Firefox with `Sec-CH-UA`: it has never sent client hints.
//! 4. A Chrome or Firefox of version 90 or newer that sends a GET over TLS without any of `Sec-Fetch-*` and `Sec-CH-UA`. Both send
//!    the former with every request to an https address since 80 and 90 (Fetch Metadata, W3C), and Chrome the latter since 89.
//! 5. The same in HTTP/1.0.
//!
//! Rules 4 and 5 look at a client's own TLS only: behind a proxy that the settings trust, or that names itself in Via,
//! headers may have been taken away. They do not concern programs that name themselves beside the browser that they
//! render with (crawlers, previews, monitors), nor embedded browsers and those that browse through servers of their own
//! ([`BESIDE`]), nor WebSockets, which carry no fetch metadata.

use aho_corasick::{AhoCorasick, BuildError};
use http::header::{UPGRADE, VIA};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use memchr::memmem;

use super::agents::searcher;

#[derive(Debug)]
pub(super) struct Claims {
    beside: AhoCorasick,
    allow: Option<AhoCorasick>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    Chrome,
    Firefox,
}

impl Claims {
    pub(super) fn new(allow: &[String]) -> Result<Self, BuildError> {
        let allowed = (!allow.is_empty()).then(|| searcher(allow.iter().map(String::as_str)));
        Ok(Self { beside: searcher(BESIDE.into_iter())?, allow: allowed.transpose()? })
    }

    /// What contradicts itself, if anything does. `direct`: over TLS of the client's own.
    pub(super) fn contradicts(&self, parts: &Parts, agent: Option<&[u8]>, direct: bool) -> Option<&'static str> {
        let headers = &parts.headers;
        let Some(agent) = agent else {
            return fetch_metadata(headers).then_some("headers of a browser and no User-Agent");
        };
        if agent.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Some("a blank User-Agent");
        }
        let browser = Self::claimed(agent)?;
        if self.beside.is_match(agent) || self.allow.as_ref().is_some_and(|allow| allow.is_match(agent)) {
            return None;
        }
        if browser == Browser::Firefox && headers.contains_key("sec-ch-ua") {
            return Some("claims to be a Firefox and sends client hints");
        }
        if !direct || headers.contains_key(VIA) {
            return None;
        }
        if parts.version == Version::HTTP_10 {
            return Some("claims to be a browser and speaks HTTP/1.0");
        }
        let fetched = parts.method == Method::GET && !headers.contains_key(UPGRADE);
        (fetched && !fetch_metadata(headers)).then_some("claims to be a browser and sends no fetch metadata")
    }

    /// The browser that this is said to be, if it is one of those that are judged, in a version that is.
    fn claimed(agent: &[u8]) -> Option<Browser> {
        if !agent.starts_with(b"Mozilla/5.0 (") {
            return None;
        }
        [(b"Chrome/".as_slice(), Browser::Chrome), (b"Firefox/", Browser::Firefox)].into_iter().find_map(
            |(name, browser)| {
                let at = memmem::find(agent, name)? + name.len();
                let digits = agent.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).take(VERSION_DIGITS_MAX);
                let version = digits.fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
                (version >= VERSION_MIN).then_some(browser)
            },
        )
    }
}

fn fetch_metadata(headers: &HeaderMap) -> bool {
    METADATA.iter().any(|name| headers.contains_key(*name))
}

const METADATA: [&str; 4] = ["sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest", "sec-ch-ua"];

/// The first major version, of Chrome and of Firefox, that sends fetch metadata in every build.
const VERSION_MIN: u32 = 90;
const VERSION_DIGITS_MAX: usize = 5;

/// What programs call themselves that render with a browser and are none of the browsers, or that browse through servers
/// which may change headers.
const BESIDE: [&str; 20] = [
    "bot",
    "crawl",
    "spider",
    "+http",
    "compatible;",
    "google",
    "preview",
    "monitor",
    "uptime",
    "pingdom",
    "lighthouse",
    "facebookexternalhit",
    "; wv)",
    "electron/",
    "ucbrowser",
    "qqbrowser",
    "puffin/",
    "opera mini",
    "cfnetwork",
    "prerender",
];
