//! Requests and answers in which a given text is what a given variable holds.

use crate::rule::{Selector, Target};
use crate::transaction::{RequestHead, ResponseHead};
use crate::variable::Variable;

use super::words::{self, Dice};

pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) method: Vec<u8>,
    pub(super) path: Vec<u8>,
    pub(super) query: Option<Vec<u8>>,
    pub(super) protocol: Vec<u8>,
    pub(super) headers: Fields,
    pub(super) body: Option<Vec<u8>>,
    pub(super) status: u16,
    pub(super) answer_headers: Fields,
    pub(super) answer_body: Vec<u8>,
}

impl Default for Exchange {
    fn default() -> Self {
        let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Self {
            method: b"GET".to_vec(),
            path: b"/".to_vec(),
            query: None,
            protocol: b"HTTP/1.1".to_vec(),
            headers: vec![
                field("Host", "localhost"),
                field("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"),
                field("Accept", "*/*"),
            ],
            body: None,
            status: 200,
            answer_headers: vec![field("Content-Type", "text/html")],
            answer_body: b"served".to_vec(),
        }
    }
}

impl Exchange {
    pub(super) fn target(&self) -> Vec<u8> {
        match &self.query {
            Some(query) => [&self.path, &b"?"[..], query].concat(),
            None => self.path.clone(),
        }
    }

    pub(super) fn line(&self) -> Vec<u8> {
        [&self.method, &b" "[..], &self.target(), b" ", &self.protocol].concat()
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_vec(), value.to_vec()));
    }

    fn sent(&mut self, kind: &str, body: Vec<u8>) -> Option<()> {
        if self.body.is_some() {
            return None;
        }
        self.method = b"POST".to_vec();
        if !kind.is_empty() {
            self.set(b"Content-Type", kind.as_bytes());
        }
        self.set(b"Content-Length", body.len().to_string().as_bytes());
        self.body = Some(body);
        Some(())
    }

    fn asked(&mut self, query: Vec<u8>) {
        self.query = Some(self.query.take().map_or(query.clone(), |before| [&before, &b"&"[..], &query].concat()));
    }

    pub(super) fn head<'e>(
        &'e self,
        line: &'e [u8],
        target: &'e [u8],
        fields: &'e [(&'e [u8], &'e [u8])],
    ) -> RequestHead<'e> {
        RequestHead { line, method: &self.method, target, protocol: &self.protocol, headers: fields }
    }

    pub(super) fn answer<'e>(&'e self, fields: &'e [(&'e [u8], &'e [u8])]) -> ResponseHead<'e> {
        ResponseHead { protocol: b"HTTP/1.1", status: self.status, headers: fields }
    }
}

/// One way to bring a text into a variable.
pub(super) struct Placed {
    pub(super) how: &'static str,
    pub(super) exchange: Exchange,
    /// What the variable then holds.
    pub(super) seen: Vec<u8>,
}

/// Every way to bring a text where a target looks, into an exchange that may have been given other texts before.
pub(super) fn all(target: &Target, text: &[u8], before: &Exchange, dice: &mut Dice) -> Vec<Placed> {
    let name = match &target.selector {
        Selector::All => b"q".to_vec(),
        Selector::Key(key) => key.to_vec(),
        Selector::Pattern(pattern) => words::of(pattern.as_bytes(), 1, dice).pop().unwrap_or_else(|| b"q".to_vec()),
    };
    let ways = ways(target.variable);
    ways.iter()
        .filter_map(|how| {
            let mut exchange = before.clone();
            let seen = put(how, target, &name, text, &mut exchange)?;
            Some(Placed { how, exchange, seen })
        })
        .collect()
}

fn ways(variable: Variable) -> &'static [&'static str] {
    use Variable as V;
    match variable {
        V::Args => &["query", "form", "json", "multipart"],
        V::ArgsGet => &["query"],
        V::ArgsPost => &["form", "json", "multipart"],
        V::ArgsNames => &["query name", "form name", "json name", "multipart name"],
        V::ArgsGetNames => &["query name"],
        V::ArgsPostNames => &["form name"],
        V::RequestCookies => &["cookie"],
        V::RequestCookiesNames => &["cookie name"],
        V::RequestHeaders => &["header"],
        V::RequestHeadersNames => &["header name"],
        V::RequestFilename | V::PathInfo => &["path", "path raw"],
        V::RequestBasename => &["basename", "basename raw"],
        V::RequestUri | V::RequestUriRaw => &["target in path", "target in query", "target raw"],
        V::RequestLine => &["line", "line method"],
        V::QueryString => &["query string", "query string raw"],
        V::RequestBody => &["form body", "other body"],
        V::RequestMethod => &["method"],
        V::RequestProtocol => &["protocol"],
        V::Files | V::MultipartFilename => &["file"],
        V::FilesNames | V::MultipartName => &["file name"],
        V::MultipartPartHeaders => &["part header"],
        V::XmlText => &["xml text", "xml data"],
        V::XmlAttributes => &["xml attribute"],
        V::ResponseBody => &["answer"],
        V::ResponseHeaders => &["answer header"],
        V::ResponseStatus => &["status"],
        _ => &[],
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each way, side by side")]
fn put(how: &str, target: &Target, name: &[u8], text: &[u8], exchange: &mut Exchange) -> Option<Vec<u8>> {
    let same = || Some(text.to_vec());
    match how {
        "query" => exchange.asked([&percent(name), &b"="[..], &percent(text)].concat()),
        "query name" => exchange.asked([&percent(text), &b"=1"[..]].concat()),
        "form" => exchange.sent(FORM, [&percent(name), &b"="[..], &percent(text)].concat())?,
        "form name" => exchange.sent(FORM, [&percent(text), &b"=1"[..]].concat())?,
        "json" if target.selector == Selector::All => {
            let value = serde_json::to_string(std::str::from_utf8(text).ok()?).unwrap();
            exchange.sent("application/json", format!("{{\"q\": {value}}}").into_bytes())?;
        }
        "json name" => {
            let text = std::str::from_utf8(text).ok()?;
            let value = serde_json::to_string(text).unwrap();
            exchange.sent("application/json", format!("{{{value}: 1}}").into_bytes())?;
            return Some(format!("json.{text}").into_bytes());
        }
        "multipart" => exchange.sent(MULTIPART, part(name, None, "", text)?)?,
        "multipart name" => exchange.sent(MULTIPART, part(text, None, "", b"1")?)?,
        "file" => exchange.sent(MULTIPART, part(b"f", Some(text), "", b"content")?)?,
        "file name" => exchange.sent(MULTIPART, part(text, Some(b"a.txt"), "", b"content")?)?,
        "part header" => {
            let line = std::str::from_utf8(text).ok()?.trim();
            if line.contains(['\r', '\n', '\0']) || line != std::str::from_utf8(text).ok()? {
                return None;
            }
            // A rule may ask for a whole line, or for something in one.
            let line = if line.split(':').next().is_some_and(|name| line.contains(':') && token(name.as_bytes())) {
                line.to_owned()
            } else {
                format!("X-Part: {line}")
            };
            exchange.sent(
                MULTIPART,
                part(if target.selector == Selector::All { b"q" } else { name }, None, &format!("{line}\r\n"), b"1")?,
            )?;
            return Some(line.into_bytes());
        }
        "cookie" if clean(text, b";") => exchange.set(b"Cookie", &[name, b"=", text].concat()),
        "cookie name" if clean(text, b";=") && !text.is_empty() => exchange.set(b"Cookie", &[text, b"=1"].concat()),
        "header" if clean(text, b"") => {
            let name = if target.selector == Selector::All { b"X-Test" } else { name };
            exchange.set(name, text);
        }
        "header name" if token(text) => exchange.set(text, b"1"),
        "path" | "path raw" => {
            let text = if text.starts_with(b"/") { text.to_vec() } else { [b"/", text].concat() };
            let raw = how == "path raw";
            if raw && !text.iter().all(|byte| byte.is_ascii_graphic() && !b"%?#".contains(byte)) {
                return None;
            }
            exchange.path = if raw { text.clone() } else { percent_but(&text, b"/") };
            return Some(text);
        }
        "basename" | "basename raw" if !text.iter().any(|byte| b"/\\".contains(byte)) => {
            let raw = how == "basename raw";
            if raw && !text.iter().all(|byte| byte.is_ascii_graphic() && !b"%?#".contains(byte)) {
                return None;
            }
            exchange.path = [b"/a/", &*if raw { text.to_vec() } else { percent(text) }].concat();
        }
        "target in path" => {
            exchange.path =
                percent_but(&if text.starts_with(b"/") { text.to_vec() } else { [b"/", text].concat() }, b"/");
            return Some(exchange.target());
        }
        "target in query" => {
            exchange.asked(percent(text));
            return Some(exchange.target());
        }
        "target raw" if text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') => {
            let text = if text.starts_with(b"/") { text.to_vec() } else { [b"/", text].concat() };
            let at = text.iter().position(|byte| *byte == b'?').unwrap_or(text.len());
            exchange.path = text[..at].to_vec();
            exchange.query = text.get(at + 1..).map(<[u8]>::to_vec);
            return Some(text);
        }
        "line" => {
            exchange.asked(percent(text));
            return Some(exchange.line());
        }
        "line method" if token(text) => {
            exchange.method = text.to_vec();
            return Some(exchange.line());
        }
        "query string" => {
            exchange.query = Some(percent_but(text, b"=&"));
            return exchange.query.clone();
        }
        "query string raw" if text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') => {
            exchange.query = Some(text.to_vec());
        }
        "form body" => exchange.sent(FORM, text.to_vec())?,
        "other body" => exchange.sent("application/x-other", text.to_vec())?,
        "method" if token(text) => exchange.method = text.to_vec(),
        "protocol" if clean(text, b" ") => exchange.protocol = text.to_vec(),
        "xml text" => exchange.sent("text/xml", format!("<a>{}</a>", xml(text)?).into_bytes())?,
        "xml data" => {
            xml(text)?;
            let text = std::str::from_utf8(text).ok().filter(|text| !text.contains("]]>"))?;
            exchange.sent("text/xml", format!("<a><![CDATA[{text}]]></a>").into_bytes())?;
        }
        "xml attribute" => {
            let value = xml(text)?;
            exchange.sent("text/xml", format!("<a b=\"{value}\"/>").into_bytes())?;
        }
        "answer" => exchange.answer_body = text.to_vec(),
        "answer header" if clean(text, b"") => exchange.answer_headers.push((name.to_vec(), text.to_vec())),
        "status" => {
            exchange.status =
                std::str::from_utf8(text).ok()?.parse().ok().filter(|status| (100..=599).contains(status))?;
        }
        _ => return None,
    }
    same()
}

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=edge";

fn part(name: &[u8], file: Option<&[u8]>, lines: &str, text: &[u8]) -> Option<Vec<u8>> {
    let quotable = |text: &[u8]| text.iter().all(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
    if !quotable(name)
        || !file.is_none_or(quotable)
        || text.windows(6).any(|window| window == b"--edge")
        || text.contains(&0)
    {
        return None;
    }
    let mut body = [&b"--edge\r\nContent-Disposition: form-data; name=\""[..], name, b"\""].concat();
    if let Some(file) = file {
        body.extend([&b"; filename=\""[..], file, b"\""].concat());
    }
    body.extend([b"\r\n", lines.as_bytes(), b"\r\n", text, b"\r\n--edge--\r\n"].concat());
    Some(body)
}

/// Percent-encoded but for letters and digits.
pub(super) fn percent(text: &[u8]) -> Vec<u8> {
    percent_but(text, b"")
}

fn percent_but(text: &[u8], but: &[u8]) -> Vec<u8> {
    let form = |byte: &u8| {
        let plain = byte.is_ascii_alphanumeric() || but.contains(byte);
        if plain { vec![*byte] } else { format!("%{byte:02x}").into_bytes() }
    };
    text.iter().flat_map(form).collect()
}

/// What a header can carry, and a reader does not trim.
fn clean(text: &[u8], without: &[u8]) -> bool {
    text.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0) && !without.contains(byte)) && text.trim_ascii() == text
}

fn token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// As character references, where XML can have it at all; blanks at the ends, which readers treat differently, not.
fn xml(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let allowed = |character: char| matches!(character, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
    let inner = |character: char| !matches!(character, '\t' | '\n' | '\r');
    if text.is_empty() || text.trim() != text || !text.chars().all(|character| allowed(character) && inner(character)) {
        return None;
    }
    Some(
        text.chars()
            .map(|character| match character {
                '<' => String::from("&lt;"),
                '>' => String::from("&gt;"),
                '&' => String::from("&amp;"),
                '"' => String::from("&quot;"),
                other => other.to_string(),
            })
            .collect(),
    )
}
