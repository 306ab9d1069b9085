//! Requests and answers as bytes, and what the rules find in them.

use std::net::{IpAddr, Ipv4Addr};

use reeve_waf::{Action, Engine, Facts, OWN_RULES, Options, RequestHead, ResponseHead, Scratch, Source, SourceError};

/// Where an attack comes in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    /// The value of this argument in the query.
    Query(&'static str),
    /// The same in a form.
    Form(&'static str),
    /// The same in JSON.
    Json(&'static str),
    /// A member of this name in a list of objects.
    DeepJson(&'static str),
    /// A multipart field.
    Field(&'static str),
    /// The value of this cookie.
    Cookie(&'static str),
    /// A header.
    Header(&'static str),
    /// A path, encoded.
    Path,
    /// The target, as it stands.
    Target,
    /// The name of an argument in the query.
    Name,
    /// The name of a member in JSON.
    Member,
    /// The name of an uploaded file.
    File,
    /// The text of an element.
    Xml,
    /// A whole body of this type.
    Body(&'static str),
    /// The method.
    Method,
    /// The name of a header.
    HeaderName,
    /// Headers, one on each line.
    Headers,
    /// What the application answers.
    Answer,
}

/// A request, and what is answered.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

/// What was found, the same with every pattern run and with only those that look promising.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) ids: Vec<u32>,
    pub(crate) families: Vec<String>,
    pub(crate) status: Option<u16>,
}

pub(crate) struct Bench {
    quick: Engine,
    thorough: Engine,
}

struct Texts(String);

impl Source for Texts {
    fn read(&self, name: &str, _beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        match name {
            "set-up" => Ok(self.0.clone().into_bytes()),
            "own" => Ok(OWN_RULES.as_bytes().to_vec()),
            other => Err(SourceError { name: other.into(), cause: "there is none".into() }),
        }
    }

    fn list(&self, pattern: &str, _beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.into()])
    }
}

/// Our own rules at a level of paranoia.
pub(crate) fn load(paranoia: u8, options: Options) -> Engine {
    let text = format!("SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={paranoia}\"");
    Engine::load(&["set-up", "own"], &Texts(text), options).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
}

impl Bench {
    pub(crate) fn new(paranoia: u8) -> Self {
        let with = |prefilter| load(paranoia, Options { prefilter, ..Options::default() });
        Self { quick: with(true), thorough: with(false) }
    }

    pub(crate) fn judge(&self, exchange: &Exchange) -> Judged {
        let quick = exchange.judge(&self.quick);
        assert_eq!(quick, exchange.judge(&self.thorough), "{exchange:?}");
        quick
    }
}

impl Exchange {
    /// From a text as it goes over the wire, with line ends of its own in the head.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim_start_matches('\n');
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers: Vec<_> = headers.map(|(name, value)| (name.into(), value.into())).collect();
        let multipart = head.contains("multipart/form-data");
        let body = if multipart { body.replace('\n', "\r\n") } else { body.trim_end_matches('\n').to_owned() };
        Self { method: method.into(), target: target.into(), headers, body: body.into_bytes(), answer: Vec::new() }
    }

    pub(crate) fn judge(&self, engine: &Engine) -> Judged {
        let line = [self.method.as_slice(), b" ", &self.target, b" HTTP/1.1"].concat();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let head = RequestHead {
            line: &line,
            method: &self.method,
            target: &self.target,
            protocol: b"HTTP/1.1",
            headers: &headers,
        };
        let typed = [(b"Content-Type".as_slice(), b"text/html; charset=utf-8".as_slice())];
        let answered = ResponseHead { protocol: b"HTTP/1.1", status: 200, headers: &typed };
        let mut transaction = engine.begin(&FACTS, Scratch::default());
        let mut refusal = transaction.request_head(&head);
        refusal = refusal.or_else(|| transaction.request_body(&self.body));
        refusal = refusal.or_else(|| transaction.response_head(&answered));
        if refusal.is_none() {
            assert!(transaction.wants_response_body().is_some());
        }
        refusal = refusal.or_else(|| transaction.response_body(&self.answer));
        let (report, _) = transaction.end();
        let tags = report.matches.iter().flat_map(|found| found.tags.iter());
        Judged {
            ids: report.matches.iter().map(|found| found.rule).collect(),
            families: tags.filter(|tag| tag.starts_with("family/")).cloned().collect(),
            status: refusal.map(|refusal| match refusal.action {
                Action::Deny(status) => status,
                other => panic!("{other:?}"),
            }),
        }
    }
}

impl At {
    /// A request that is ordinary but for this.
    pub(crate) fn exchange(&self, value: &[u8]) -> Exchange {
        let mut made = Exchange { method: b"GET".to_vec(), target: b"/shop/items".to_vec(), ..Exchange::default() };
        let mut headers: Vec<(&[u8], Vec<u8>)> =
            vec![(b"Host", b"shop.example".to_vec()), (b"Accept", b"*/*".to_vec())];
        let agent = (b"User-Agent".as_slice(), b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101".to_vec());
        if !matches!(self, Self::Header("User-Agent")) {
            headers.push(agent);
        }
        match self {
            Self::Query(name) => made.target = [b"/shop/items?", name.as_bytes(), b"=", &encoded(value)].concat(),
            Self::Name => made.target = [b"/shop/items?", encoded(value).as_slice(), b"=1"].concat(),
            Self::Path => made.target = [b"/shop/", encoded(value).as_slice()].concat(),
            Self::Target => made.target = value.to_vec(),
            Self::Method => made.method = value.to_vec(),
            Self::Cookie(name) => headers.push((b"Cookie", [name.as_bytes(), b"=", value].concat())),
            Self::Header(name) => headers.push((name.as_bytes(), value.to_vec())),
            Self::HeaderName => headers.push((value, b"1".to_vec())),
            Self::Headers => {
                for line in value.split(|byte| *byte == b'\n') {
                    let colon = line.iter().position(|byte| *byte == b':').unwrap();
                    headers.push((&line[..colon], line[colon + 1..].trim_ascii().to_vec()));
                }
            }
            Self::Answer => made.answer = value.to_vec(),
            _ => {
                let (kind, body) = self.body(value);
                made.method = b"POST".to_vec();
                made.body = body;
                headers.push((b"Content-Type", kind.into()));
            }
        }
        made.headers = headers.into_iter().map(|(name, value)| (name.to_vec(), value)).collect();
        made
    }

    fn body(self, value: &[u8]) -> (&'static str, Vec<u8>) {
        let text = String::from_utf8_lossy(value);
        let multipart = |disposition: &str, value: &[u8]| {
            let head = format!("--line\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
            ("multipart/form-data; boundary=line", [head.as_bytes(), value, b"\r\n--line--\r\n"].concat())
        };
        match self {
            Self::Form(name) => {
                ("application/x-www-form-urlencoded", [name.as_bytes(), b"=", &encoded(value), b"&page=2"].concat())
            }
            Self::Json(name) => {
                ("application/json", format!("{{\"page\":2,\"{name}\":{}}}", quoted(&text)).into_bytes())
            }
            Self::DeepJson(name) => {
                ("application/vnd.api+json", format!("{{\"list\":[1,{{\"{name}\":{}}}]}}", quoted(&text)).into_bytes())
            }
            Self::Member => ("application/json", format!("{{{}:1}}", quoted(&text)).into_bytes()),
            Self::Field(name) => multipart(&format!("name=\"{name}\""), value),
            Self::File => multipart(&format!("name=\"upload\"; filename=\"{text}\""), b"some bytes"),
            Self::Xml => {
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                ("text/xml", format!("<order><note>{text}</note></order>").into_bytes())
            }
            Self::Body(kind) => (kind, value.to_vec()),
            other => panic!("{other:?} has no body"),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out + "\""
}

/// Percent-encoded but for letters, digits and what addresses keep.
fn encoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'$' | b'[' | b']' => {
                out.push(*byte);
            }
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

const FACTS: Facts<'static> = Facts {
    remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
    remote_port: 40_000,
    server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    server_port: 443,
    unique_id: "one",
    seconds: 1_750_000_000,
};
