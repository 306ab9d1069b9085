//! A request, anyhow: no bytes of it may make the firewall's engine panic, and looking at values before patterns run must
//! change nothing of what is found.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reeve_waf::{Engine, Facts, Options, RequestHead, Scratch, Source, SourceError};

const RULES: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "@rx json" "id:1,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx xml" "id:2,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/*|XML://@* "@detectSQLi" "id:3,phase:2,pass,log,t:utf8toUnicode,t:urlDecodeUni,t:removeNulls,multiMatch,setvar:tx.score=+5"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/*|XML://@* "@detectXSS" "id:4,phase:2,pass,log,t:htmlEntityDecode,t:jsDecode,t:cssDecode"
SecRule ARGS|REQUEST_FILENAME "@rx (?i)(?:^|[;|&])\s*(?:cat|ls|id)\b" "id:5,phase:2,pass,log,capture,t:cmdLine,t:normalizePath,chain"
  SecRule TX:0 "@rx [a-z]" "t:lowercase,t:escapeSeqDecode"
SecRule ARGS "@pm select union <script" "id:6,phase:2,pass,log,t:base64Decode,t:replaceComments,t:compressWhitespace"
SecRule REQUEST_URI_RAW "@rx (?:\x5c|(?:%(?:2f|5c|252f)))\.\." "id:7,phase:1,pass,log"
SecRule MULTIPART_PART_HEADERS|FILES|FILES_NAMES "@rx [^\x21-\x7e]" "id:8,phase:2,pass,log,t:hexDecode,t:sqlHexDecode"
SecRule &ARGS "@gt 3" "id:9,phase:2,pass,log"
SecRule ARGS "!@rx ^\w*$" "id:10,phase:2,pass,log,t:removeWhitespace,t:trim"
SecRule TX:score "@ge 5" "id:11,phase:2,deny,log"
"#;

struct Text;

impl Source for Text {
    fn read(&self, _: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        Ok(RULES.into())
    }

    fn list(&self, name: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![name.into()])
    }
}

fn engine(prefilter: bool) -> Engine {
    Engine::load(&["rules"], &Text, Options { prefilter, ..Options::default() })
        .expect("the rules of this target are right")
}

static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| [engine(true), engine(false)]);

const KINDS: [&[u8]; 5] = [
    b"application/x-www-form-urlencoded",
    b"application/json",
    b"text/xml",
    b"multipart/form-data; boundary=b",
    b"text/plain",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (target, body) = bytes.split_at(at);
    let headers: [(&[u8], &[u8]); 2] =
        [(b"Content-Type", KINDS[usize::from(*kind) % KINDS.len()]), (b"Cookie", target)];
    let head = RequestHead { line: target, method: b"POST", target, protocol: b"HTTP/1.1", headers: &headers };
    let facts = Facts {
        remote_address: [192, 0, 2, 7].into(),
        remote_port: 40_000,
        server_address: [192, 0, 2, 1].into(),
        server_port: 443,
        unique_id: "1",
        seconds: 0,
    };
    let found = ENGINES.each_ref().map(|engine| {
        let mut transaction = engine.begin(&facts, Scratch::default());
        if transaction.request_head(&head).is_none() {
            let _ = transaction.request_body(body);
        }
        let (report, _) = transaction.end();
        let said = report.matches.into_iter().map(|found| (found.rule, found.variable, found.data, found.score));
        (said.collect::<Vec<_>>(), report.refusal)
    });
    assert_eq!(found[0], found[1], "looked at before, and not");
});
