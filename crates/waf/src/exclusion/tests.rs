//! Tests.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::seclang::{Source, SourceError};
use crate::transaction::{Facts, RequestHead, Scratch};
use crate::{OWN_RULES, Options};

struct Texts<'t>(&'t str);

impl Source for Texts<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        Ok(if name == "own" { OWN_RULES } else { self.0 }.as_bytes().to_vec())
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

fn own() -> Engine {
    Engine::load(&["own"], &Texts(""), Options::default()).unwrap()
}

const SMALL: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecAction "id:10,phase:1,pass,nolog,setvar:tx.limit=5"
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:11,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule TX:level "@lt 2" "id:12,phase:2,pass,nolog,skipAfter:END"
SecMarker END
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|!REQUEST_COOKIES:free "@contains evil" "id:100,phase:2,pass,log,t:none,t:lowercase,multiMatch,setvar:tx.score=+5"
SecRule ARGS "@contains worse" "id:101,phase:2,pass,log,t:none,chain"
    SecRule MATCHED_VARS "@contains and" "t:none,setvar:tx.score=+5"
SecRule ARGS:a|ARGS:/^list\d$/ "@contains narrow" "id:102,phase:2,pass,log,t:none,setvar:tx.score=+5"
SecRule REQUEST_FILENAME "@endsWith .bak" "id:103,phase:1,pass,log,t:none,setvar:tx.score=+5"
SecRule &ARGS:token "@gt 1" "id:104,phase:2,pass,log,t:none,setvar:tx.score=+5"
SecRule TX:limit "@ge 1" "id:190,phase:2,pass,nolog,setvar:tx.total=+%{tx.score}"
SecRule TX:total "@ge %{tx.limit}" "id:199,phase:2,deny,status:403,log"
SecRule TX:/^SCO/ "@ge 5" "id:980,phase:5,pass,log"
"#;

fn small() -> Engine {
    Engine::load(&["small"], &Texts(SMALL), Options::default()).unwrap()
}

/// Whether it is refused, and which rules spoke, with these exclusions.
fn judge(
    engine: &Engine,
    exclusions: &[Exclusion],
    target: &str,
    kind: &str,
    cookie: &str,
    body: &str,
) -> (bool, Vec<u32>) {
    let facts = Facts {
        remote_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        remote_port: 1,
        server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 443,
        unique_id: "one",
        seconds: 1_800_000_000,
    };
    let line = format!("POST {target} HTTP/1.1");
    let headers = [("Host", "a.example"), ("Content-Type", kind), ("Cookie", cookie), ("User-Agent", "Firefox")];
    let headers = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let head = RequestHead {
        line: line.as_bytes(),
        method: b"POST",
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
    };
    let mut transaction = engine.begin(&facts, Scratch::default());
    exclusions.iter().for_each(|exclusion| transaction.exclude(exclusion));
    let refused = transaction.request_head(&head).or_else(|| transaction.request_body(body.as_bytes())).is_some();
    let ids = transaction.end().0.matches.iter().map(|found| found.rule).filter(|id| *id < 199).collect();
    (refused, ids)
}

const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn check(exclusion: (&[u32], Part<'_>), target: &str, cookie: &str, body: &str, expected: &[u32]) {
    let kind = if body.starts_with('{') { "application/json" } else { FORM };
    for prefilter in [true, false] {
        let engine = Engine::load(&["small"], &Texts(SMALL), Options { prefilter, ..Options::default() }).unwrap();
        let exclusion = engine.exclusion(exclusion.0, exclusion.1).unwrap();
        let found = judge(&engine, &[exclusion], target, kind, cookie, body);
        assert_eq!(found, (!expected.is_empty(), expected.to_vec()), "{target} {cookie} {body}");
    }
}

#[test]
fn a_member_is_left_out_and_nothing_beside_it() {
    let q = (&[100][..], Part::Variable("ARGS:q"));
    check(q, "/?q=evil", "", "", &[]);
    check(q, "/?Q=EVIL", "", "", &[]);
    check(q, "/", "", "q=evil", &[]);
    check(q, "/?q=evil&r=evil", "", "", &[100]);
    check(q, "/?r=evil", "", "", &[100]);
    check(q, "/?evil=q", "", "", &[100]);
    check(q, "/", "q=evil", "", &[100]);
    check(q, "/?q=worse+and", "", "", &[101]);
    check(q, "/?qq=evil", "", "", &[100]);
}

#[test]
fn names_cookies_json_and_patterns() {
    check((&[100], Part::Variable("ARGS_NAMES:evil")), "/?evil=q", "", "", &[]);
    check((&[100], Part::Variable("ARGS_NAMES:evil")), "/?evil=evil", "", "", &[100]);
    check((&[100], Part::Variable("REQUEST_COOKIES:sid")), "/", "sid=evil", "", &[]);
    check((&[100], Part::Variable("REQUEST_COOKIES:sid")), "/", "sid=evil; side=evil", "", &[100]);
    check((&[100], Part::Variable("ARGS:json.a.b")), "/", "", r#"{"a":{"b":"evil"}}"#, &[]);
    check((&[100], Part::Variable("ARGS:json.a.b")), "/", "", r#"{"a":{"c":"evil"}}"#, &[100]);
    let list = (&[100][..], Part::Variable(r"ARGS:/^json\.list\.array_\d+$/"));
    check(list, "/", "", r#"{"list":["fine","evil","evil"]}"#, &[]);
    check(list, "/", "", r#"{"list":["fine",{"x":"evil"}]}"#, &[100]);
    check((&[100], Part::Collection("ARGS")), "/?a=evil&b=evil", "", "c=evil", &[]);
    check((&[100], Part::Collection("ARGS")), "/?evil=a", "", "", &[100]);
}

#[test]
fn chains_counts_and_whole_rules() {
    check((&[101], Part::Variable("ARGS:q")), "/?q=worse+and", "", "", &[]);
    check((&[101], Part::Variable("ARGS:q")), "/?q=worse+and&r=worse+and", "", "", &[101]);
    check((&[101], Part::Variable("ARGS:q")), "/?q=worse+and&r=worse", "", "", &[]);
    check((&[104], Part::Variable("ARGS:token")), "/?token=1&token=2", "", "", &[]);
    check((&[103], Part::Variable("REQUEST_FILENAME")), "/a.bak?q=evil", "", "", &[100]);
    check((&[103], Part::Rule), "/a.bak", "", "", &[]);
    check((&[100, 101], Part::Rule), "/a.bak?q=evil+worse+and", "", "", &[103]);
    check((&[100, 101], Part::Variable("ARGS:q")), "/?q=evil+worse+and", "", "", &[]);
    check((&[102], Part::Variable("ARGS:list1")), "/?list1=narrow&list2=narrow", "", "", &[102]);
}

#[test]
fn it_ends_with_its_transaction_and_is_for_its_engine() {
    let engine = small();
    let all = engine.exclusion(&[100], Part::Rule).unwrap();
    let other = own().exclusion(&[9_701_000], Part::Rule).unwrap();
    assert_eq!(judge(&engine, &[all], "/?q=evil", FORM, "", ""), (false, vec![]));
    assert_eq!(judge(&engine, &[other], "/?q=evil", FORM, "", ""), (true, vec![100]));
    let facts = Facts {
        remote_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        remote_port: 1,
        server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 443,
        unique_id: "one",
        seconds: 0,
    };
    let mut first = engine.begin(&facts, Scratch::default());
    first.exclude(&engine.exclusion(&[100], Part::Variable("ARGS:q")).unwrap());
    let (_, scratch) = first.end();
    let line = b"GET /?q=evil HTTP/1.1";
    let head = RequestHead { line, method: b"GET", target: b"/?q=evil", protocol: b"HTTP/1.1", headers: &[] };
    let mut second = engine.begin(&facts, scratch);
    assert!(second.request_head(&head).is_none());
    assert!(second.request_body(b"").is_some());
}

#[track_caller]
fn refused(rules: &[u32], part: Part<'_>, expected: &str) {
    let errors = small().exclusion(rules, part).unwrap_err();
    let told: Vec<_> = errors.iter().map(|error| format!("{error} ({})", error.help())).collect();
    assert_eq!(told.join("; "), expected);
}

#[test]
fn what_others_need_stays() {
    let name = "name the rule that finds what is no attack; the event says which it was, and `reeve waf suggest` proposes the entry";
    refused(
        &[199],
        Part::Rule,
        &format!("rule 199 decides by what others have found: without it nothing is refused ({name})"),
    );
    refused(&[190], Part::Rule, &format!("rule 190 adds up what others have found, and finds nothing itself ({name})"));
    for (id, kind) in [
        (10, RuleKind::SetsUp),
        (11, RuleKind::SetsUp),
        (12, RuleKind::Steers),
        (100, RuleKind::Finds),
        (190, RuleKind::Sums),
        (199, RuleKind::Decides),
        (980, RuleKind::Sums),
    ] {
        assert_eq!(small().kind(id), Some(kind), "{id}");
    }
}

#[test]
fn what_is_not_there_or_not_looked_at_is_refused() {
    refused(
        &[105],
        Part::Rule,
        "no rule 105 is loaded (mistyped, or gone since the rules were updated: take it out; the nearest are 104)",
    );
    refused(
        &[100],
        Part::Variable("REQUEST_HEADERS:Referer"),
        "rule 100 does not look at `REQUEST_HEADERS:Referer` (it looks at `ARGS`, `ARGS_NAMES`, `REQUEST_COOKIES`)",
    );
    refused(&[102], Part::Variable("ARGS:b"), "rule 102 does not look at `ARGS:b` (it looks at `ARGS:a`, `ARGS:/…/`)");
    refused(
        &[100],
        Part::Variable("REQUEST_COOKIES:free"),
        "rule 100 does not look at `REQUEST_COOKIES:free` (it looks at `ARGS`, `ARGS_NAMES`, `REQUEST_COOKIES`)",
    );
    refused(
        &[100],
        Part::Variable("ARGS"),
        "`ARGS` is every member of the collection (name one, as in `ARGS:name`, or write `whole = true` if all of them are meant)",
    );
    assert!(small().looks_at(100, "ARGS:q") && small().looks_at(102, "ARGS:list7"));
    assert!(!small().looks_at(100, "ARGS_GET:q") && !small().looks_at(7, "ARGS:q"));
}

#[test]
fn patterns_spell_names_out() {
    let loose = |pattern: &str| small().exclusion(&[100], Part::Variable(&format!("ARGS:/{pattern}/"))).is_err();
    for pattern in ["a", "^a", "a$", "^.*$", "^(?:.+)$", "^[a-z]+$", "^json\\..*$", "^a|b$", "^a$|", r"^a\$"] {
        assert!(loose(pattern), "{pattern}");
    }
    for pattern in [r"^json\.list\.array_\d+$", "^(?:a|b)1$", r"^item\[\d+\]$"] {
        assert!(!loose(pattern), "{pattern}");
    }
    for wrong in ["ARG:q", "ARGS:", "!ARGS:q", "ARGS:q|ARGS:r", "&ARGS:q", "", "MATCHED_VAR", "TX", "TX:1", "XML:/a"] {
        assert!(small().exclusion(&[100], Part::Variable(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn of_the_rules_that_are_built_in_those_that_speak_can_be_left_out() {
    let engine = own();
    for (id, kind) in &engine.program.kinds {
        let finds = (9_700_100..9_709_000).contains(id) && ![9_704_000, 9_704_010].contains(id);
        assert_eq!(*kind == RuleKind::Finds, finds, "{id} {kind:?}");
    }
    assert!(engine.looks_at(9_701_000, "TX:reeve_text") && engine.looks_at(9_701_000, "XML:/*"));
    assert_eq!(engine.message(9_701_101), "Script element");
}
