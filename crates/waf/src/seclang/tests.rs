use super::*;
use crate::rule::*;

/// Files in memory; a pattern names all that begin and end like it.
struct Memory<'f>(&'f [(&'f str, &'f [u8])]);

impl Source for Memory<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, text)| text.to_vec())
            .ok_or_else(|| SourceError { name: name.to_owned(), cause: "no such file".to_owned() })
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        let Some((begin, end)) = pattern.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
        let names = self.0.iter().map(|(name, _)| *name);
        Ok(names.filter(|name| name.starts_with(begin) && name.ends_with(end)).map(str::to_owned).collect())
    }
}

#[track_caller]
fn book(text: &str) -> RuleBook {
    match read(&["a.conf"], &Memory(&[("a.conf", text.as_bytes())])) {
        Ok(book) => book,
        Err(faults) => panic!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()),
    }
}

fn chains<'b>(book: &'b RuleBook) -> Vec<&'b Chain> {
    let chain = |item: &'b Item| match item {
        Item::Chain(chain) => Some(&**chain),
        Item::Marker(_) => None,
    };
    book.items.iter().filter_map(chain).collect()
}

fn ids(text: &str) -> Vec<u32> {
    chains(&book(text)).iter().map(|chain| chain.id).collect()
}

fn test_of(chain: &Chain) -> &Test {
    chain.links[0].test.as_ref().unwrap()
}

#[track_caller]
fn faults(text: &[u8], expected: &[&str]) {
    let faults = read(&["a.conf"], &Memory(&[("a.conf", text)])).unwrap_err();
    let found: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.place.line, fault.message)).collect();
    assert_eq!(found, expected);
}

const RULE: &str = "SecRule ARGS \"@rx a\"";

#[test]
fn a_rule_with_all_its_parts() {
    let book = book(&format!(
        "\n{RULE} \\\r\n \"id:1,\\\r\n phase:1,deny,status:429,t:none,t:lowercase,capture,chain\"\r\n SecRule TX:1 \"!@streq b\" \"setvar:tx.x=+1\"\nSecMarker END\n"
    ));
    let [chain] = chains(&book)[..] else { panic!() };
    assert_eq!((chain.id, chain.phase, chain.place.line, chain.status), (1, Phase::RequestHead, 2, Some(429)));
    assert!(matches!(chain.disruption, Disruption::Deny) && chain.log && chain.audit_log);
    assert_eq!((chain.links.len(), chain.links[1].place.line, chain.links[1].effects.len()), (2, 5, 1));
    assert!(test_of(chain).capture && !test_of(chain).negated && chain.links[1].test.as_ref().unwrap().negated);
    assert!(matches!(&book.items[1], Item::Marker(name) if name == "END"));
}

#[test]
fn defaults_of_a_phase() {
    let text = format!(
        "{RULE} \"id:1,phase:1,block\"\n{RULE} \"id:2,phase:1\"\n\
         SecDefaultAction \"phase:1,nolog,auditlog,deny,status:406,t:trim\"\n\
         {RULE} \"id:3,phase:1,block\"\n{RULE} \"id:4,phase:1,t:none,t:length,log,status:400\"\n{RULE} \"id:5,phase:2,block\"\n\
         SecDefaultAction \"phase:1,pass\"\n{RULE} \"id:6,phase:1,block\"\nSecAction \"id:7,phase:1,t:md5\""
    );
    let book = book(&text);
    let chains = chains(&book);
    let shown: Vec<String> =
        chains.iter().map(|chain| format!("{:?} {:?} {}", chain.disruption, chain.status, chain.log)).collect();
    let deny = "Deny Some(406) false";
    assert_eq!(
        shown,
        [
            "Block None true",
            "Pass None true",
            deny,
            "Deny Some(400) true",
            "Block None true",
            "Pass None true",
            "Pass None true"
        ]
    );
    use crate::transformation::Transformation::{Length, Trim};
    assert_eq!(test_of(chains[2]).transformations, [Trim]);
    assert_eq!(test_of(chains[3]).transformations, [Length]);
    assert!(chains[6].links[0].test.is_none());
}

fn five() -> String {
    (1..=5).map(|id| format!("{RULE} \"id:{id},tag:t{id},tag:OWASP,msg:'m {id}',pass\"\n")).collect()
}

#[test]
fn rules_are_removed() {
    assert_eq!(ids(&format!("{}SecRuleRemoveById 1 3-4\n", five())), [2, 5]);
    assert_eq!(ids(&format!("{}SecRuleRemoveById \"1,2\" 5\n", five())), [3, 4]);
    assert_eq!(ids(&format!("{}SecRuleRemoveByTag t[12]\n", five())), [3, 4, 5]);
    assert_eq!(ids(&format!("{}SecRuleRemoveByMsg \"m (?:1|5)\"\n", five())), [2, 3, 4]);
    let early = book(&format!("SecRuleRemoveById 1\n{}", five()));
    assert_eq!((chains(&early).len(), early.warnings.len()), (5, 1));
}

#[test]
fn targets_are_updated() {
    let targets = |directive: &str| {
        let book = book(&format!("{}{directive}\n", five()));
        chains(&book).iter().map(|chain| test_of(chain).targets.len()).collect::<Vec<_>>()
    };
    assert_eq!(targets("SecRuleUpdateTargetById 2 \"!ARGS:a,!REQUEST_COOKIES:/^_ga(?:_\\w+)?$/\""), [1, 3, 1, 1, 1]);
    assert_eq!(targets("SecRuleUpdateTargetById 2-3 !ARGS:a|REQUEST_HEADERS"), [1, 3, 3, 1, 1]);
    assert_eq!(targets("SecRuleUpdateTargetById 2 !ARGS:a\nSecRuleUpdateTargetById 2 !ARGS:a"), [1, 2, 1, 1, 1]);
    assert_eq!(targets("SecRuleUpdateTargetByTag OWASP !ARGS:a"), [2; 5]);
    assert_eq!(targets("SecRuleUpdateTargetByMsg \"m 5\" !ARGS:a"), [1, 1, 1, 1, 2]);
    let replaced = book(&format!("{}SecRuleUpdateTargetById 1 REQUEST_HEADERS ARGS", five()));
    assert_eq!(test_of(chains(&replaced)[0]).targets[0].variable, crate::variable::Variable::RequestHeaders);
    let linked = book(&format!("{RULE} \"id:1,chain\"\n{RULE}\nSecRuleUpdateTargetById 1:1 !ARGS:a"));
    assert_eq!(chains(&linked)[0].links[1].test.as_ref().unwrap().targets.len(), 2);
}

#[test]
fn actions_are_updated() {
    let text = format!(
        "SecDefaultAction \"phase:2,deny,status:406\"\n{RULE} \"id:1,pass,tag:a,t:trim\"\n\
         SecRuleUpdateActionById 1 \"nolog,block,tag:b,msg:'new',t:none,t:length,setvar:tx.a=1,status:400\""
    );
    let book = book(&text);
    let chain = chains(&book)[0];
    assert!(matches!(chain.disruption, Disruption::Deny) && !chain.log && chain.status == Some(400));
    assert_eq!((chain.about.tags.len(), chain.links[0].effects.len(), test_of(chain).transformations.len()), (2, 1, 1));
    assert_eq!(chain.about.message, Some(Text::plain(b"new")));
    faults(
        format!("{}SecRuleUpdateActionById 1 \"id:9\"", five()).as_bytes(),
        &["6: `id`, `phase` and `chain` of a rule stay as they are"],
    );
}

#[test]
fn settings_are_read() {
    let text = "SecRuleEngine On\nSecRequestBodyAccess On\nsecrequestbodylimit 100\nSecRequestBodyNoFilesLimit 10\n\
        SecRequestBodyLimitAction Reject\nSecRequestBodyJsonDepthLimit 512\nSecArgumentsLimit 1000\n\
        SecResponseBodyAccess On\nSecResponseBodyMimeType text/plain Text/HTML\nSecResponseBodyLimit 524288\n\
        SecResponseBodyLimitAction ProcessPartial\nSecArgumentSeparator ;\nSecCookieFormat 0\n\
        SecUnicodeMapFile unicode.mapping 20127\nSecCollectionTimeout 600\nSecComponentSignature \"OWASP_CRS/4\"\n\
        SecPcreMatchLimit 1000\nSecAuditLogRelevantStatus \"^(?:5|4(?!04))\"\nSecDebugLog /dev/null\nSecTmpDir /tmp/\n";
    let book = book(text);
    let settings = &book.settings;
    assert_eq!(settings.mode, EngineMode::On);
    assert!(settings.request_body_access && settings.response_body_access);
    assert_eq!((settings.request_body_limit, settings.request_body_no_files_limit), (Some(100), Some(10)));
    assert_eq!((settings.json_depth_limit, settings.arguments_limit), (Some(512), Some(1000)));
    assert_eq!((settings.response_body_limit, settings.argument_separator), (Some(524_288), b';'));
    assert_eq!(settings.response_body_types, ["text/plain", "text/html"]);
    assert_eq!((settings.collection_timeout, settings.components.len(), book.warnings.len()), (600, 1, 0));
}

#[test]
fn every_fault_is_told() {
    let text = format!(
        "SecRul ARGS a\n{RULE} \"id:1,denny\"\nSecRule AGRS \"@rx (\" \"id:2,t:lowercse\"\n{RULE} \"phase:1\"\n\
         {RULE} \"id:3\"\n{RULE} \"id:3\"\n{RULE} \"id:4,chain\"\n{RULE} \"id:5,msg:x\"\n{RULE} \"id:6,chain\"\nSecMarker A\n\
         SecRuleScript a.lua\nSecRuleInheritance Off\nSecRule ARGS\n<IfModule x>\nSecRuleEngine Maybe\nSecAction \"id:7\n"
    );
    faults(
        text.as_bytes(),
        &[
            "1: unknown directive `SecRul`",
            "2: unknown action `denny`",
            "3: unknown transformation `lowercse`",
            "3: unknown variable `AGRS`",
            "3: the pattern `(`: a `(` is never closed",
            "4: a rule without an id",
            "6: the id 3 is taken, by the rule at a.conf:5",
            "8: `id` in a chained rule: it decides on the whole chain",
            "9: a chain without an end",
            "11: the directive `SecRuleScript` is not supported",
            "12: the directive `SecRuleInheritance` is not supported",
            "13: `SecRule` with 1 values",
            "14: a section of a web server's configuration",
            "15: `Maybe` is neither `On`, `Off` nor `DetectionOnly`",
            "16: a \" is never closed",
        ],
    );
    let fault = read(&["a.conf"], &Memory(&[("a.conf", b"SecRul ARGS a")])).unwrap_err().remove(0);
    assert_eq!(fault.to_string(), "a.conf:1: unknown directive `SecRul` (did you mean `SecRule`?)");
}

#[test]
fn files_within_files() {
    let files = Memory(&[
        ("a.conf", b"Include rules/*.conf\nIncludeOptional gone.conf\nIncludeOptional gone/*.conf\nSecAction id:3"),
        ("rules/1.conf", b"SecAction id:1"),
        ("rules/2.conf", b"SecAction id:2"),
    ]);
    let book = read(&["a.conf"], &files).unwrap();
    assert_eq!(chains(&book).iter().map(|chain| chain.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(&*chains(&book)[1].place.file, "rules/2.conf");
    let message = |files: &[(&str, &[u8])]| read(&["a.conf"], &Memory(files)).unwrap_err()[0].message.clone();
    assert_eq!(message(&[("a.conf", b"Include b.conf"), ("b.conf", b"Include a.conf")]), "`a.conf` includes itself");
    assert_eq!(message(&[("a.conf", b"Include b*.conf")]), "no file matches `b*.conf`");
    assert_eq!(message(&[("a.conf", b"Include b.conf")]), "cannot read `b.conf`: no such file");
    assert_eq!(message(&[]), "cannot read `a.conf`: no such file");
}

#[test]
fn files_within_each_other_have_a_limit() {
    let names: Vec<String> = (0..17).map(|depth| format!("{depth}.conf")).collect();
    let texts: Vec<String> = (1..=17).map(|depth| format!("Include {depth}.conf")).collect();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    files[16].1 = b"";
    let faults = read(&["0.conf"], &Memory(&files)).unwrap_err();
    assert_eq!((faults.len(), faults[0].message.as_str()), (1, "files within each other more than 16 deep"));
    files[15].1 = b"";
    assert!(read(&["0.conf"], &Memory(&files)).is_ok());
}

#[test]
fn rules_have_a_limit() {
    let mut text: String = (1..=50_000).map(|id| format!("SecAction id:{id}\n")).collect();
    assert_eq!(book(&text).items.len(), 50_000);
    text.push_str(&"SecAction id:1000000,pass\n".repeat(1_000_000));
    faults(text.as_bytes(), &["50001: more than 50000 rules"]);
}

#[test]
fn hostile_texts_end() {
    let long = vec![b'x'; 100_000_000];
    faults(&long, &["1: a directive of more than 1048576 bytes"]);
    faults(b"SecMarker \0", &["1: a NUL byte in the text"]);
    faults(b"SecMarker \xff", &["1: a marker that is not UTF-8"]);
    faults(
        b"SecRule ARGS \"@rx \\xzz[\" \"id:1\"",
        &["1: the pattern `\\xzz[`: a `[` is never closed, at byte 5 of the pattern"],
    );
    let many = read(&["a.conf"], &Memory(&[("a.conf", "Foo\n".repeat(100_000).as_bytes())])).unwrap_err();
    assert_eq!(many.len(), 1_000);
    let book =
        read(&["a.conf"], &Memory(&[("a.conf", b"SecRule ARGS:\xe4 \"@rx \xff\" \"id:1,msg:'\xfe'\"")])).unwrap();
    assert!(matches!(&test_of(chains(&book)[0]).operator, Operator::Rx(text) if text.as_plain() == Some(b"\xff")));
}

#[test]
fn a_skip_that_leads_nowhere_is_told() {
    let warnings = |text: &str| book(text).warnings.len();
    assert_eq!(warnings("SecAction id:1,skipAfter:A\nSecAction id:2,skipAfter:3\nSecMarker A\nSecAction id:3"), 0);
    assert_eq!(warnings("SecMarker A\nSecAction id:1,skipAfter:A\nSecAction id:2,skipAfter:B"), 2);
}

#[test]
fn words_are_compared_in_two_chains() {
    let pattern = concat!(
        r#"(?i:[\s'\"`()]*?\b([\d\w]+)\b[\s'\"`()]*?(?:<(?:=(?:[\s'\"`()]*?(?!\b\1\b)[\d\w]+|>[\s'\"`()]*?(?:\b\1\b))|>?"#,
        r#"[\s'\"`()]*?(?!\b\1\b)[\d\w]+)|(?:not\s+(?:regexp|like)|is\s+not|>=?|!=|\^)[\s'\"`()]*?(?!\b\1\b)[\d\w]+|"#,
        r#"(?:(?:sounds\s+)?like|r(?:egexp|like)|=)[\s'\"`()]*?(?:\b\1\b)))"#
    );
    let book = book(&format!("SecRule ARGS \"@rx {pattern}\" \"id:1,block,capture,setvar:tx.a=1\""));
    let chains = chains(&book);
    assert_eq!((chains.len(), book.warnings.len()), (2, 1));
    for (chain, differ) in chains.iter().zip([false, true]) {
        assert_eq!((chain.id, chain.links.len(), chain.links[0].effects.len()), (1, 2, 0));
        assert_eq!(chain.links[1].test.as_ref().unwrap().negated, differ);
        let Operator::Rx(text) = &test_of(chain).operator else { panic!() };
        assert!(test_of(chain).capture && crate::pattern::compile(text.as_plain().unwrap()).is_ok());
    }
}
