//! The requests of the comparison with nginx and ModSecurity in `benches/waf.sh`, and how our engine is taken through them.
//!
//! Also used by `benches/peer`, so that it measures the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use reeve_waf::{Engine, EngineMode, Facts, Options, RequestHead, ResponseHead, Scratch, Source, SourceError, trial};

struct Files(HashMap<String, Vec<u8>>);

impl Source for Files {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        if let Some(text) = self.0.get(name) {
            return Ok(text.clone());
        }
        let folder = beside.and_then(|beside| Path::new(beside).parent()).unwrap_or(Path::new(""));
        fs::read(folder.join(name)).map_err(|error| SourceError { name: name.into(), cause: error.to_string() })
    }

    fn list(&self, pattern: &str, _beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.into()])
    }
}

/// The rules of a folder, with the settings that come with every engine of the kind.
pub(crate) fn engine(folder: &Path, prefilter: bool) -> Engine {
    let rules = folder.join("rules");
    let mut names: Vec<PathBuf> = fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    names.sort();
    let files = Files(HashMap::from([(String::from("base"), trial::BASE.into())]));
    let mut order = vec![String::from("base"), setup(folder).display().to_string()];
    order.extend(names.iter().map(|path| path.display().to_string()));
    let order: Vec<_> = order.iter().map(String::as_str).collect();
    Engine::load(&order, &files, Options { mode: Some(EngineMode::On), prefilter, ..Options::default() }).unwrap()
}

/// Where the set-up of a rule set lies.
pub(crate) fn setup(folder: &Path) -> PathBuf {
    let places = ["crs-setup.conf", "rules/crs-setup.conf", "crs-setup.conf.example", "rules/crs-setup.conf.example"];
    places.map(|place| folder.join(place)).into_iter().find(|place| place.exists()).expect("there is a crs-setup.conf")
}

/// A request as it is sent.
pub(crate) struct Sent {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) kind: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

/// What a browser sends with it.
pub(crate) const BROWSER: &[(&str, &str)] = &[
    ("Host", "shop.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Referer", "https://shop.example.com/start"),
    ("Cookie", "session=4f1c9a7be2d84c0f9d2e6a51; theme=dark; lang=en"),
    ("Sec-Fetch-Mode", "navigate"),
];

fn json(values: usize) -> Vec<u8> {
    let mut text = String::from("{\"items\":[");
    for number in 0..values / 4 {
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            "{comma}{{\"id\":{number},\"name\":\"Article number {number}\",\"colour\":\"dark blue\",\"price\":{}.95}}",
            number * 3
        )
        .unwrap();
    }
    text.push_str("]}");
    text.into_bytes()
}

fn form(fields: usize) -> Vec<u8> {
    let fields = (0..fields)
        .map(|number| format!("field_{number}=some+ordinary+words+that+people+type+{number}%2C+with+a+comma"));
    fields.collect::<Vec<_>>().join("&").into_bytes()
}

/// The requests that are measured.
pub(crate) fn requests() -> Vec<Sent> {
    let get = "/articles/list?page=2&sort=price&category=garden%20tools&q=watering+can";
    let json_kind = Some("application/json");
    vec![
        Sent { name: "GET, 4 arguments", method: "GET", target: get, kind: None, body: Vec::new() },
        Sent { name: "JSON 2 KB", method: "POST", target: "/api/orders", kind: json_kind, body: json(120) },
        Sent {
            name: "form 2 KB",
            method: "POST",
            target: "/contact",
            kind: Some("application/x-www-form-urlencoded"),
            body: form(30),
        },
        Sent { name: "JSON 64 KB", method: "POST", target: "/api/orders", kind: json_kind, body: json(3_500) },
    ]
}

/// Takes one request and an answer through all five phases.
pub(crate) fn transact(engine: &Engine, sent: &Sent, scratch: Scratch) -> Scratch {
    let facts = Facts {
        remote_address: [192, 0, 2, 7].into(),
        remote_port: 40_000,
        server_address: [192, 0, 2, 1].into(),
        server_port: 443,
        unique_id: "01M812S89E71ECYCRP00000000",
        seconds: 1_750_000_000,
    };
    let length = sent.body.len().to_string();
    let mut headers: Vec<(&[u8], &[u8])> =
        BROWSER.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    if let Some(kind) = sent.kind {
        headers.push((b"Content-Type", kind.as_bytes()));
        headers.push((b"Content-Length", length.as_bytes()));
    }
    let line = format!("{} {} HTTP/1.1", sent.method, sent.target);
    let head = RequestHead {
        line: line.as_bytes(),
        method: sent.method.as_bytes(),
        target: sent.target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
    };
    let mut transaction = engine.begin(&facts, scratch);
    assert_eq!(transaction.request_head(&head), None);
    assert_eq!(transaction.request_body(&sent.body), None);
    let answer = ResponseHead { protocol: b"HTTP/1.1", status: 200, headers: &[(b"Content-Type", b"image/png")] };
    assert_eq!(transaction.response_head(&answer), None);
    assert_eq!(transaction.response_body(b""), None);
    let (report, scratch) = transaction.end();
    assert!(report.matches.is_empty(), "{}: {:?}", sent.name, report.matches);
    scratch
}
