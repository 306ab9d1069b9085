//! input.charset: whether control characters and broken encodings are refused, wherever they stand.

use reeve_base::Cause;
use reeve_policy::catalogue::{InputCharset, Refused};

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::{End, Until};

impl Probe for InputCharset {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(
            40,
            "requests with control characters and broken UTF-8 in each part, and with other scripts there",
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let mut passed: Option<Twin> = None;
            let mut tried = Vec::new();
            for place in Place::ALL {
                let invented = site.invented_path()?;
                let good = send(site, &place.request(site, &invented, place.good())).await?;
                let Some(status) = good.0.filter(|status| !matches!(status, 400 | 415)) else {
                    // A site that takes nothing here shows nothing here.
                    notes.saw(format!("{}: other scripts are answered with {}: not tried", place.name(), good.1));
                    continue;
                };
                passed = Some(Twin::seen(notes, format!("other scripts in {}: {status}", place.name())));
                for (refused, bad) in place.bad() {
                    if !self.refused.contains(refused) {
                        continue;
                    }
                    let (status, summary) = send(site, &place.request(site, &invented, bad)).await?;
                    let what = format!("{} in {}", refused.as_str(), place.name());
                    notes.either(match status {
                        Some(400) | None => Ok(format!("{what}: {summary}")),
                        Some(status) => Err(format!("{what} is answered with {status}")),
                    });
                }
                tried.push(place.name());
            }
            let nothing =
                || Cause::Unexpected(String::from("no part of a request takes other scripts, so nothing is seen"));
            let twin = passed.ok_or_else(nothing)?;
            Ok(Kept::with(twin, format!("refused in {}, where other scripts pass", tried.join(", "))))
        })
    }
}

/// A part of a request.
#[derive(Debug, Clone, Copy)]
enum Place {
    Path,
    Query,
    Header,
    Form,
    Json,
}

/// A text, as it stands in the part.
type Written = &'static [u8];

impl Place {
    const ALL: [Self; 5] = [Self::Path, Self::Query, Self::Header, Self::Form, Self::Json];

    const fn name(self) -> &'static str {
        match self {
            Self::Path => "the path",
            Self::Query => "the query",
            Self::Header => "a header field",
            Self::Form => "a form",
            Self::Json => "JSON",
        }
    }

    const fn good(self) -> Written {
        match self {
            Self::Path | Self::Query | Self::Form => b"%E6%9D%8E%C3%BC",
            Self::Header | Self::Json => "李ü".as_bytes(),
        }
    }

    /// What must be refused here. A field cannot hold a bare control character at all: the framing forbids it.
    const fn bad(self) -> &'static [(&'static Refused, Written)] {
        match self {
            Self::Path | Self::Query | Self::Form => &[
                (&Refused::Nul, b"a%00b"),
                (&Refused::Controls, b"a%1Bb"),
                (&Refused::Controls, b"a%C2%85b"),
                (&Refused::Overlong, b"a%C0%AFb"),
                (&Refused::Overlong, b"a%FFb"),
            ],
            Self::Header => &[(&Refused::Controls, b"a\xc2\x85b"), (&Refused::Overlong, b"a\xc0\xafb")],
            Self::Json => &[
                (&Refused::Nul, b"a\\u0000b"),
                (&Refused::Controls, b"a\\u001bb"),
                (&Refused::Overlong, b"a\xc0\xafb"),
            ],
        }
    }

    fn request(self, site: &Site, invented: &str, text: Written) -> Vec<u8> {
        let (authority, agent) = (site.target().authority(), site.user_agent());
        let head = |line: &[u8], more: &[u8]| {
            let rest = format!(" HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\nConnection: close\r\n");
            [line, rest.as_bytes(), more, b"\r\n"].concat()
        };
        let post = |kind: &str, body: Vec<u8>| {
            let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
            [head(format!("POST {invented}").as_bytes(), fields.as_bytes()), body].concat()
        };
        match self {
            Self::Path => head(&[b"GET ", invented.as_bytes(), text].concat(), b""),
            Self::Query => head(&[&b"GET /?reeve-probe="[..], text].concat(), b""),
            Self::Header => head(b"GET /", &[&b"X-Reeve-Probe: "[..], text, b"\r\n"].concat()),
            Self::Form => post("application/x-www-form-urlencoded", [&b"reeve-probe="[..], text].concat()),
            Self::Json => post("application/json", [&b"{\"reeve-probe\":\""[..], text, b"\"}"].concat()),
        }
    }
}

/// The status, if the connection was not just closed, and what came in words.
async fn send(site: &Site, bytes: &[u8]) -> Result<(Option<u16>, String), Cause> {
    // From elsewhere: whoever is refused often enough is banned, and this is not what is tried here.
    let met = site.elsewhere()?.send_raw(bytes, Until::Answers(1)).await?;
    match (met.status(), met.end) {
        (None, End::Open) => Err(Cause::Unreachable(String::from("no answer"))),
        (status, _) => Ok((status, met.summary())),
    }
}
