//! What SecLang's words mean, word by word: small rule texts, one request, and the rules that speak.

use std::net::{IpAddr, Ipv4Addr};

use reeve_waf::{
    Action, BASE_RULES, Engine, EngineMode, Facts, Fault, Options, Report, RequestHead, ResponseHead, Scratch, Source,
    SourceError,
};

struct Text<'t>(&'t str);

impl Source for Text<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        match name {
            "base" => Ok(BASE_RULES.as_bytes().to_vec()),
            "rules" => Ok(self.0.as_bytes().to_vec()),
            "networks" => Ok(b"# ours\n10.0.0.0/8\n\n2001:db8::/32\n192.0.2.10\n".to_vec()),
            "phrases" => Ok(b"# words\nfirst phrase\nSECOND\n".to_vec()),
            _ => Err(SourceError { name: name.to_owned(), cause: String::from("no such file") }),
        }
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

fn loaded(rules: &str, options: Options) -> Result<Engine, Vec<Fault>> {
    Engine::load(&["base", "rules"], &Text(rules), options)
}

fn engine(rules: &str) -> Engine {
    let options = Options { mode: Some(EngineMode::DetectionOnly), ..Options::default() };
    loaded(rules, options)
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(ToString::to_string).collect::<String>()))
}

/// A request with an answer, written short: `GET /path?query`, lines of the head, an empty line, a body.
fn run(engine: &Engine, seconds: i64, text: &str) -> Report {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let line = format!("{method} {target} HTTP/1.1");
    let fields: Vec<_> =
        [("Host", "localhost")].into_iter().chain(lines.map(|line| line.split_once(": ").unwrap())).collect();
    let headers: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let facts = Facts {
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        remote_port: 40_000,
        server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 80,
        unique_id: "one",
        seconds,
    };
    let mut transaction = engine.begin(&facts, Scratch::default());
    let head = RequestHead {
        line: line.as_bytes(),
        method: method.as_bytes(),
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
    };
    let answer = ResponseHead {
        protocol: b"HTTP/1.1",
        status: 200,
        headers: &[(b"Content-Type", b"text/html"), (b"X-Answer", b"yes")],
    };
    let _ = transaction
        .request_head(&head)
        .or_else(|| transaction.request_body(body.as_bytes()))
        .or_else(|| transaction.response_head(&answer))
        .or_else(|| {
            let wanted = transaction.wants_response_body().is_some();
            transaction.response_body(if wanted { b"the answer" } else { b"" })
        });
    transaction.end().0
}

fn ids(report: &Report) -> Vec<u32> {
    report.matches.iter().map(|found| found.rule).collect()
}

/// The rules that speak of a request.
#[track_caller]
fn check(rules: &str, request: &str, expected: &[u32]) {
    assert_eq!(ids(&run(&engine(rules), 1_000, request)), expected, "{rules}\n{request}");
}

const FORM: &str = "POST /a\nContent-Type: application/x-www-form-urlencoded\n\n";

#[test]
fn targets() {
    let get = "GET /a?x=1&y=2&x=3&longer=4";
    check("SecRule &ARGS \"@eq 4\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule &ARGS:x \"@eq 2\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule &ARGS:/^[xy]$/ \"@eq 3\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule &ARGS:none \"@eq 0\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule &ARGS|!ARGS:x \"@eq 2\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule ARGS|!ARGS:/^LON/ \"@streq 4\" \"id:1,phase:1,pass,log\"", get, &[]);
    check(
        "SecRule ARGS|!ARGS:y \"@rx ^[23]$\" \"id:1,phase:1,pass,log,setvar:tx.n=+1\"\nSecRule TX:n \"@eq 1\" \"id:2,phase:1,pass,log\"",
        get,
        &[1, 2],
    );
    // What is not there is not tested, not even for not being something.
    check("SecRule ARGS:none \"!@streq x\" \"id:1,phase:1,pass,log\"", get, &[]);
    check("SecRule REQUEST_HEADERS:Referer \"!@rx .\" \"id:1,phase:1,pass,log\"", get, &[]);
    check("SecRule ARGS:x \"!@streq 1\" \"id:1,phase:1,pass,log\"", get, &[1]);
    check("SecRule REMOTE_HOST \"@streq 192.0.2.10\" \"id:1,phase:1,pass,log\"", get, &[1]);
}

#[test]
fn bodies() {
    let xml = "POST /a\nContent-Type: text/xml\n\n<a b=\"one\" c='two'>text<d>more</d></a>";
    check(
        "SecRule XML:/* \"@contains textmore\" \"id:1,phase:2,pass,log\"\nSecRule XML://@* \"@rx ^(?:one|two)$\" \"id:2,phase:2,pass,log,setvar:tx.n=+1\"\nSecRule TX:n \"@eq 2\" \"id:3,phase:2,pass,log\"",
        xml,
        &[1, 2, 3],
    );
    check("SecRule REQUEST_BODY \"@rx .\" \"id:1,phase:2,pass,log\"", xml, &[]);
    let forced = "SecAction \"id:9,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On\"\nSecRule REQUEST_BODY \"@contains more\" \"id:1,phase:2,pass,log\"";
    check(forced, xml, &[1]);
    check("SecRule REQUEST_BODY \"@streq a=1&b\" \"id:1,phase:2,pass,log\"", &format!("{FORM}a=1&b"), &[1]);
    let typed = "POST /a\nContent-Type: text/plain\n\na=1&b=2";
    check(
        "SecAction \"id:9,phase:1,pass,nolog,ctl:requestBodyProcessor=URLENCODED\"\nSecRule ARGS_POST:b \"@streq 2\" \"id:1,phase:2,pass,log\"\nSecRule REQBODY_PROCESSOR \"@streq URLENCODED\" \"id:2,phase:2,pass,log\"",
        typed,
        &[1, 2],
    );
    check(
        "SecAction \"id:9,phase:1,pass,nolog,ctl:requestBodyAccess=Off\"\nSecRule ARGS_POST|REQUEST_BODY \"@rx .\" \"id:1,phase:2,pass,log\"",
        &format!("{FORM}a=1"),
        &[],
    );
    let parts = "POST /a\nContent-Type: multipart/form-data; boundary=e\n\n--e\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--e--\r\n";
    check(
        "SecRule MULTIPART_PART_HEADERS:f \"@rx ^content-type: text/plain$\" \"id:1,phase:2,pass,log,t:lowercase\"\nSecRule FILES \"@streq a.txt\" \"id:2,phase:2,pass,log\"\nSecRule FILES_NAMES \"@streq f\" \"id:3,phase:2,pass,log\"\nSecRule &MULTIPART_PART_HEADERS \"@eq 2\" \"id:4,phase:2,pass,log\"",
        parts,
        &[1, 2, 3, 4],
    );
    check(
        "SecRule ARGS:json.a.b \"@streq 1\" \"id:1,phase:2,pass,log\"\nSecRule &ARGS:/^json\\.c/ \"@eq 2\" \"id:2,phase:2,pass,log\"",
        "POST /a\nContent-Type: application/json\n\n{\"a\":{\"b\":1},\"c\":\"x\",\"c\":\"y\"}",
        &[1, 2],
    );
}

#[test]
fn variables_that_rules_write() {
    let get = "GET /a?x=1&y=2";
    let sum = |set: &str, test: &str| {
        format!("SecAction \"id:1,phase:1,pass,nolog,{set}\"\nSecRule {test} \"id:2,phase:1,pass,log\"")
    };
    check(&sum("setvar:tx.A=5,setvar:'tx.a=+2',setvar:tx.a=-3", "TX:a \"@eq 4\""), get, &[2]);
    check(&sum("setvar:tx.a=1,setvar:!tx.a", "&TX:a \"@eq 0\""), get, &[2]);
    check(&sum("setvar:tx.a", "TX:a \"@eq 1\""), get, &[2]);
    check(&sum("setvar:'tx.a=%{ARGS.y}-%{tx.none}%{REQUEST_METHOD}'", "TX:a \"@streq 2-GET\""), get, &[2]);
    check(&sum("setvar:'tx.of_%{ARGS.x}=7'", "TX:of_1 \"@eq 7\""), get, &[2]);
    check(&sum("setvar:'tx.of_%{ARGS.x}=7',setvar:tx.of_2=7,setvar:tx.other=7", "&TX:/^OF_/ \"@eq 2\""), get, &[2]);
    check(&sum("setvar:'tx.of_%{ARGS.x}=3',setvar:'tx.of_%{ARGS.x}=+4'", "TX:/of_/ \"@eq 7\""), get, &[2]);
    check(&sum("setenv:name=value", "ENV:name \"@streq value\""), get, &[2]);
    // Once for each match.
    check(
        "SecRule ARGS \"@rx .\" \"id:1,phase:1,pass,nolog,setvar:'tx.all=%{tx.all}%{MATCHED_VAR_NAME};'\"\nSecRule TX:all \"@streq ARGS:x;ARGS:y;\" \"id:2,phase:1,pass,log\"",
        get,
        &[2],
    );
    // What is remembered from phase to phase.
    check(
        "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.a=1\"\nSecRule TX:a \"@eq 1\" \"id:2,phase:5,pass,log\"",
        get,
        &[2],
    );
}

#[test]
fn captures() {
    let get = "GET /a?x=one-two";
    let rules = "SecRule ARGS:x \"@rx ^(\\w+)-(\\w+)(none)?$\" \"id:1,phase:1,pass,log,capture\"\n";
    check(
        &format!(
            "{rules}SecRule TX:0 \"@streq one-two\" \"id:2,phase:1,pass,log\"\nSecRule TX:2 \"@streq two\" \"id:3,phase:1,pass,log\"\nSecRule TX:4 \"@rx ^\" \"id:4,phase:1,pass,log\""
        ),
        get,
        &[1, 2, 3],
    );
    // The next capture wipes what it does not find.
    check(
        &format!(
            "{rules}SecRule ARGS:x \"@rx o\" \"id:2,phase:1,pass,log,capture\"\nSecRule &TX:2 \"@eq 0\" \"id:3,phase:1,pass,log\""
        ),
        get,
        &[1, 2, 3],
    );
    check(
        "SecRule ARGS:x \"@pm nothing two\" \"id:1,phase:1,pass,log,capture,chain\"\n  SecRule TX:0 \"@streq two\" \"t:none\"",
        get,
        &[1],
    );
    check(
        "SecRule ARGS:x \"@rx (\\w+)-(\\w+)\" \"id:1,phase:1,pass,log,capture,chain\"\n  SecRule TX:1 \"@streq %{tx.2}\" \"t:none\"",
        get,
        &[],
    );
    check(
        "SecRule ARGS:x \"@rx (\\w+)-(\\w+)\" \"id:1,phase:1,pass,log,capture,chain\"\n  SecRule TX:1 \"@streq %{tx.2}\" \"t:none\"",
        "GET /a?x=one-one",
        &[1],
    );
}

#[test]
fn chains() {
    let get = "GET /a?x=attack&y=attack&z=fine";
    // All that the link before has found, under their names, and nothing of other links.
    check(
        "SecRule ARGS \"@contains attack\" \"id:1,phase:1,pass,log,chain\"\n SecRule MATCHED_VARS_NAMES \"@streq ARGS:y\" \"t:none\"",
        get,
        &[1],
    );
    check(
        "SecRule ARGS \"@contains attack\" \"id:1,phase:1,pass,log,chain\"\n SecRule &MATCHED_VARS \"@eq 2\" \"t:none\"",
        get,
        &[1],
    );
    check(
        "SecRule ARGS \"@contains attack\" \"id:1,phase:1,pass,log,chain\"\n SecRule MATCHED_VARS \"@contains fine\" \"t:none\"",
        get,
        &[],
    );
    check(
        "SecRule ARGS \"@contains a\" \"id:1,phase:1,pass,log,chain\"\n SecRule REQUEST_METHOD \"@streq GET\" \"chain\"\n SecRule MATCHED_VARS_NAMES \"@streq REQUEST_METHOD\" \"t:none\"",
        get,
        &[1],
    );
    check(
        "SecRule ARGS \"@contains attack\" \"id:1,phase:1,pass,log,chain\"\n SecRule MATCHED_VARS_NAMES \"!@streq ARGS:x\" \"t:none\"",
        get,
        &[1],
    );
    // A link's doings are done when it matches; the chain's word waits for all.
    check(
        "SecRule ARGS:x \"@rx .\" \"id:1,phase:1,deny,log,chain,setvar:tx.a=1\"\n SecRule ARGS:x \"@streq no\" \"setvar:tx.b=1\"\nSecRule TX:a \"@eq 1\" \"id:2,phase:1,pass,log\"\nSecRule TX:b \"@eq 1\" \"id:3,phase:1,pass,log\"",
        get,
        &[2],
    );
}

#[test]
fn ways_through_the_rules() {
    let get = "GET /a?x=1";
    let speak = |id: u32| format!("SecAction \"id:{id},phase:1,pass,log\"\n");
    let (two, three, four) = (speak(2), speak(3), speak(4));
    check(&format!("SecAction \"id:1,phase:1,pass,nolog,skip:2\"\n{two}{three}{four}"), get, &[4]);
    check(
        &format!("SecAction \"id:1,phase:1,pass,nolog,skip:1\"\nSecAction \"id:5,phase:2,pass,log\"\n{two}{three}"),
        get,
        &[3, 5],
    );
    check(&format!("SecAction \"id:1,phase:1,pass,nolog,skipAfter:M\"\n{two}SecMarker M\n{three}"), get, &[3]);
    check(&format!("SecAction \"id:1,phase:1,pass,nolog,skipAfter:3\"\n{two}{three}{four}"), get, &[4]);
    // A marker has no phase: a skip of phase 2 leaves the rules of phase 1 between alone.
    check(
        &format!(
            "SecAction \"id:1,phase:2,pass,nolog,skipAfter:M\"\n{two}SecAction \"id:5,phase:2,pass,log\"\nSecMarker M\nSecAction \"id:6,phase:2,pass,log\"\n"
        ),
        get,
        &[2, 6],
    );
    check(
        &format!("SecAction \"id:1,phase:1,allow:phase,nolog\"\n{two}SecAction \"id:5,phase:2,pass,log\""),
        get,
        &[5],
    );
    check(
        &format!(
            "SecAction \"id:1,phase:1,allow:request,nolog\"\n{two}SecAction \"id:5,phase:2,pass,log\"\nSecAction \"id:6,phase:3,pass,log\""
        ),
        get,
        &[6],
    );
    check(
        &format!(
            "SecAction \"id:1,phase:1,allow,nolog\"\n{two}SecAction \"id:5,phase:2,pass,log\"\nSecAction \"id:6,phase:3,pass,log\"\nSecAction \"id:7,phase:5,pass,log\""
        ),
        get,
        &[7],
    );
}

#[test]
fn controls() {
    let get = "GET /a?x=1&y=2";
    let rules = "SecRule ARGS \"@rx .\" \"id:10,phase:1,pass,log,tag:'one/two',msg:'The message'\"\nSecRule ARGS:y \"@rx .\" \"id:11,phase:1,pass,log\"\n";
    let with = |ctl: &str| format!("SecAction \"id:1,phase:1,pass,nolog,ctl:{ctl}\"\n{rules}");
    check(&with("ruleRemoveById=10"), get, &[11]);
    check(&with("ruleRemoveById=9-11"), get, &[]);
    check(&with("ruleRemoveByTag=^one/"), get, &[11]);
    check(&with("ruleRemoveByMsg=message$"), get, &[11]);
    check(&with("ruleRemoveTargetById=10;ARGS:x"), get, &[10, 11]);
    check(&with("ruleRemoveTargetById=11;ARGS:y"), get, &[10]);
    check(&with("ruleRemoveTargetById=10;ARGS"), get, &[11]);
    check(&with("ruleRemoveTargetByTag=two;ARGS:/^[xy]$/"), get, &[11]);
    check(&with("ruleRemoveTargetByMsg=The;ARGS:x"), "GET /a?x=1", &[]);
    check(&with("ruleEngine=Off"), get, &[]);
    // For this transaction only.
    let engine = engine(
        "SecRule ARGS:off \"@rx .\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=2\"\nSecRule ARGS \"@rx .\" \"id:2,phase:1,pass,log\"",
    );
    assert_eq!(ids(&run(&engine, 0, "GET /?off=1")), Vec::<u32>::new());
    assert_eq!(ids(&run(&engine, 0, "GET /?on=1")), [2]);
}

#[test]
fn changes_of_rules_read_before() {
    let get = "GET /a?x=1&y=2";
    let rules = "SecRule ARGS \"@rx ^1$\" \"id:10,phase:1,pass,log,tag:'one/two',msg:'The message'\"\n";
    check(&format!("{rules}SecRuleUpdateTargetById 10 !ARGS:x"), get, &[]);
    check(&format!("{rules}SecRuleUpdateTargetByTag one \"!ARGS:/x/\""), get, &[]);
    check(&format!("{rules}SecRuleUpdateTargetByMsg message \"REQUEST_METHOD\" ARGS"), get, &[]);
    check(
        &format!("{rules}SecRuleUpdateActionById 10 \"nolog\"\nSecRule ARGS:y \"@rx .\" \"id:11,phase:1,pass,log\""),
        get,
        &[11],
    );
    check(&format!("{rules}SecRuleRemoveByTag two"), get, &[]);
    check(&format!("{rules}SecRuleRemoveByMsg \"^The\""), get, &[]);
    check(&format!("{rules}SecRuleRemoveById 1-9 11"), get, &[10]);
}

#[test]
fn transformations_and_operators() {
    let get = "GET /a?x=%2541B";
    check(
        "SecDefaultAction \"phase:1,pass,nolog,t:lowercase\"\nSecRule ARGS:x \"@streq %41b\" \"id:1,phase:1,pass,log\"\nSecRule ARGS:x \"@streq %41B\" \"id:2,phase:1,pass,log,t:none\"",
        get,
        &[1, 2],
    );
    check(
        "SecRule ARGS:x \"@rx ^(?:%41B|AB|ab)$\" \"id:1,phase:1,pass,log,t:none,t:urlDecodeUni,t:lowercase,multiMatch,setvar:tx.n=+1\"\nSecRule TX:n \"@eq 3\" \"id:2,phase:1,pass,log\"",
        get,
        &[1, 2],
    );
    check("SecRule ARGS:x \"@within a %{REQUEST_METHOD} b\" \"id:1,phase:1,pass,log\"", "GET /a?x=GET", &[1]);
    check("SecRule ARGS:x \"!@within a %{REQUEST_METHOD} b\" \"id:1,phase:1,pass,log\"", "GET /a?x=PUT", &[1]);
    check("SecRule ARGS:x \"@rx ^%{REQUEST_METHOD}+$\" \"id:1,phase:1,pass,log\"", "GET /a?x=GETT", &[1]);
    check(
        "SecRule ARGS \"@rx ^%{ARGS.b}$\" \"id:1,phase:1,pass,log,setvar:tx.n=+1\"\nSecRule TX:n \"@eq 2\" \"id:2,phase:1,pass,log\"",
        "GET /a?x=ccc&b=c*&d=cc",
        &[1, 2],
    );
    check("SecRule ARGS:x \"@gt %{ARGS.y}\" \"id:1,phase:1,pass,log\"", "GET /a?x=10&y=9", &[1]);
    check(
        "SecRule REMOTE_ADDR \"@ipMatch 10.0.0.0/8,192.0.2.0/24\" \"id:1,phase:1,pass,log\"\nSecRule REMOTE_ADDR \"@ipMatchFromFile networks\" \"id:2,phase:1,pass,log\"\nSecRule REMOTE_ADDR \"!@ipMatch ::1\" \"id:3,phase:1,pass,log\"",
        get,
        &[1, 2, 3],
    );
    check("SecRule ARGS:x \"@pmFromFile phrases\" \"id:1,phase:1,pass,log\"", "GET /a?x=the+First+PHRASE", &[1]);
    check(
        "SecRule ARGS:x \"@streq \" \"id:1,phase:1,pass,log\"\nSecRule ARGS:y \"@streq \" \"id:2,phase:1,pass,log\"",
        "GET /a?x=&y=1",
        &[1],
    );
    // Looked up by nobody: no match, and no error either.
    check(
        "SecRule REMOTE_ADDR \"@rbl example.org\" \"id:1,phase:1,pass,log\"\nSecRule REMOTE_ADDR \"@geoLookup\" \"id:2,phase:1,pass,log\"",
        get,
        &[],
    );
}

#[test]
fn answers_and_the_end() {
    let rules = "SecRule RESPONSE_STATUS \"@eq 200\" \"id:1,phase:3,pass,log\"\nSecRule RESPONSE_HEADERS:x-answer \"@streq yes\" \"id:2,phase:3,pass,log\"\nSecRule RESPONSE_BODY \"@contains answer\" \"id:3,phase:4,pass,log\"\nSecRule ARGS:x \"@rx .\" \"id:4,phase:5,deny,log\"";
    check(rules, "GET /a?x=1", &[1, 2, 3, 4]);
    check(
        &format!("SecAction \"id:9,phase:1,pass,nolog,ctl:responseBodyAccess=Off\"\n{rules}"),
        "GET /a?x=1",
        &[1, 2, 4],
    );
    let refused = |rules: &str| {
        let engine = loaded(rules, Options { mode: Some(EngineMode::On), ..Options::default() }).unwrap();
        run(&engine, 0, "GET /a?x=1").refusal.map(|refusal| refusal.action)
    };
    assert_eq!(refused("SecRule ARGS:x \"@rx .\" \"id:1,phase:5,deny,log\""), None);
    assert_eq!(refused("SecRule ARGS:x \"@rx .\" \"id:1,phase:1,deny,log\""), Some(Action::Deny(403)));
    assert_eq!(refused("SecRule ARGS:x \"@rx .\" \"id:1,phase:2,drop,log\""), Some(Action::Drop));
    assert_eq!(
        refused("SecRule ARGS:x \"@rx (.)\" \"id:1,phase:1,capture,redirect:'/to/%{tx.1}',log\""),
        Some(Action::Redirect(302, String::from("/to/1")))
    );
    assert_eq!(
        refused("SecDefaultAction \"phase:1,deny,status:418,log\"\nSecRule ARGS:x \"@rx .\" \"id:1,phase:1,block\""),
        Some(Action::Deny(418))
    );
    assert_eq!(
        refused(
            "SecRule ARGS:x \"@rx .\" \"id:1,phase:1,pass,nolog,ctl:ruleEngine=DetectionOnly\"\nSecRule ARGS:x \"@rx .\" \"id:2,phase:1,deny\""
        ),
        Some(Action::Deny(403))
    );
}

#[test]
fn collections_that_outlive_a_transaction() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR}\"\nSecRule IP:n \"@ge 2\" \"id:2,phase:1,pass,log\"\nSecAction \"id:3,phase:1,pass,nolog,setvar:ip.n=+1,expirevar:ip.n=60\"\nSecRule ARGS:forget \"@rx .\" \"id:4,phase:1,pass,nolog,setvar:!ip.n\"";
    let engine = engine(rules);
    let spoken = |seconds, request| ids(&run(&engine, seconds, request));
    assert_eq!(spoken(100, "GET /"), Vec::<u32>::new());
    assert_eq!(spoken(110, "GET /"), Vec::<u32>::new());
    assert_eq!(spoken(120, "GET /"), [2]);
    assert_eq!(spoken(179, "GET /?forget=1"), [2]);
    assert_eq!(spoken(180, "GET /"), Vec::<u32>::new());
    assert_eq!(spoken(190, "GET /"), Vec::<u32>::new());
    // 60 seconds after the last time that it was set.
    assert_eq!(spoken(250, "GET /"), Vec::<u32>::new());
}

#[test]
fn what_is_refused_or_warned_of_when_rules_are_loaded() {
    let faults = |rules: &str| loaded(rules, Options::default()).map(|_| ()).unwrap_err()[0].to_string();
    assert!(
        faults("SecAction \"id:1,phase:1,exec:/bin/sh\"").starts_with("rules:1: the action `exec` is not supported")
    );
    assert!(
        faults("SecRule ARGS \"@inspectFile x\" \"id:1\"")
            .starts_with("rules:1: the operator `@inspectFile` is not supported")
    );
    let warnings = |rules: &str| engine(rules).warnings().iter().map(ToString::to_string).collect::<Vec<_>>();
    for (rule, expected) in [
        ("SecRule GEO:COUNTRY_CODE|ARGS \"@streq X\" \"id:1\"", 1),
        ("SecRule &TIME_HOUR \"@eq 0\" \"id:1\"", 1),
        ("SecRule ARGS|!FILES_TMPNAMES \"@streq X\" \"id:1\"", 0),
        ("SecRule REMOTE_ADDR \"@rbl example.org\" \"id:1\"", 1),
        ("SecRule ARGS:password \"@rx .\" \"id:1,sanitiseArg:password\"", 0),
    ] {
        assert_eq!(warnings(rule).len(), expected, "{rule}: {:?}", warnings(rule));
    }
}

#[test]
fn what_takes_more_than_the_budget_is_refused_in_every_mode() {
    let rules = "SecRule ARGS \"@rx (?:a|b)+c$\" \"id:1,phase:2,pass,log,t:lowercase\"\nSecRule ARGS \"@rx (?:b|d)+c$\" \"id:2,phase:2,pass,log,t:lowercase\"\nSecAction \"id:3,phase:5,pass,log\"";
    let body = format!("{FORM}a={}", "AB".repeat(10_000));
    for mode in [EngineMode::On, EngineMode::DetectionOnly] {
        let with = |budget_bytes| {
            run(&loaded(rules, Options { mode: Some(mode), budget_bytes, ..Options::default() }).unwrap(), 0, &body)
        };
        let enough = with(1 << 20);
        assert_eq!((enough.exhausted, ids(&enough)), (None, vec![3]));
        let short = with(50_000);
        assert_eq!(short.exhausted, Some(50_000));
        assert_eq!(short.refusal.unwrap().action, Action::Deny(413));
    }
    // The same text costs once, wherever it stands.
    let count = |request: &str| {
        let engine = engine(rules);
        let facts = Facts {
            remote_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            remote_port: 1,
            server_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            server_port: 80,
            unique_id: "one",
            seconds: 0,
        };
        let mut transaction = engine.begin(&facts, Scratch::default());
        let target = request.as_bytes();
        transaction.request_head(&RequestHead {
            line: target,
            method: b"GET",
            target,
            protocol: b"HTTP/1.1",
            headers: &[],
        });
        transaction.request_body(b"");
        transaction.work_bytes()
    };
    let value = "A".repeat(5_000);
    let (once, twice) = (count(&format!("/?a={value}")), count(&format!("/?a={value}&b={value}")));
    assert!(once > 10_000 && twice < once + 10_000, "{once} {twice}");
    assert_eq!(count("/?a=AAA"), count("/?a=AAA"));
}
