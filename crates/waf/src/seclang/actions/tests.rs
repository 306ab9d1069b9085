use super::*;
use crate::rule::Change;

fn parse(text: &str) -> Actions {
    let (actions, wrongs) = read(text.as_bytes());
    assert_eq!(wrongs, []);
    actions
}

#[track_caller]
fn effect(text: &str, expected: &str) {
    let shown: Vec<String> = parse(text).effects.iter().map(|effect| format!("{effect:?}")).collect();
    // Texts are shown as bytes, which nobody reads.
    let expected = [
        "Tx", "Ip", "Env", "Set", "Add", "Subtract", "Unset", "Expire", "Open", "Control", "User", "Session",
        "Resource", "Global",
    ]
    .iter()
    .filter(|word| expected.split(' ').any(|expected| expected == **word))
    .all(|word| shown.iter().any(|effect| effect.contains(word)));
    assert!(expected && !shown.is_empty(), "{text}: {shown:?}");
}

#[test]
fn what_a_rule_says_of_itself() {
    let actions = parse(
        "id:'942100',phase:request,msg:'A, b',logdata:'x %{TX.0}',severity:'CRITICAL',tag:'a',tag:b,ver:'V/1',rev:2,\
         maturity:9,accuracy:8",
    );
    assert_eq!((actions.id, actions.phase), (Some(942_100), Some(Phase::RequestBody)));
    assert_eq!(actions.about.message, Some(Text::plain(b"A, b")));
    assert_eq!(actions.about.data.as_ref().map(|data| data.0.len()), Some(2));
    assert_eq!(actions.about.severity, Some(Severity::Critical));
    assert_eq!(actions.about.tags, [Text::plain(b"a"), Text::plain(b"b")]);
    assert_eq!((actions.about.version.as_deref(), actions.about.revision.as_deref()), (Some("V/1"), Some("2")));
    assert_eq!(parse("severity:5").about.severity, Some(Severity::Notice));
    for (text, phase) in
        [("phase:1", Phase::RequestHead), ("phase:response", Phase::ResponseBody), ("phase:logging", Phase::Logging)]
    {
        assert_eq!(parse(text).phase, Some(phase));
    }
}

#[test]
fn what_becomes_of_the_request() {
    assert!(matches!(parse("deny,status:429"), Actions { disruption: Some(Disruption::Deny), status: Some(429), .. }));
    assert!(matches!(parse("allow").disruption, Some(Disruption::Allow(Allow::Transaction))));
    assert!(matches!(parse("allow:phase").disruption, Some(Disruption::Allow(Allow::Phase))));
    assert!(matches!(parse("allow:request").disruption, Some(Disruption::Allow(Allow::Request))));
    assert!(matches!(parse("redirect:'https://a/?x=%{rule.id}'").disruption, Some(Disruption::Redirect(_))));
    assert!(matches!(parse("drop").disruption, Some(Disruption::Drop)));
    let twice = parse("pass,deny");
    assert!(matches!(twice.disruption, Some(Disruption::Deny)) && twice.warnings.len() == 1);
    assert_eq!(parse("skip:2").skip, Some(Skip::Count(2)));
    assert_eq!(parse("skipAfter:END-A").skip, Some(Skip::After("END-A".to_owned())));
}

#[test]
fn what_is_logged() {
    let logs = |text| (parse(text).log, parse(text).audit_log);
    assert_eq!(logs("chain"), (None, None));
    assert_eq!(logs("nolog"), (Some(false), Some(false)));
    assert_eq!(logs("nolog,auditlog"), (Some(false), Some(true)));
    assert_eq!(logs("log,noauditlog"), (Some(true), Some(false)));
}

#[test]
fn transformations_and_marks() {
    let actions = parse("t:lowercase,t:none,t:urlDecodeUni,t:normalisePath,capture,multiMatch,chain");
    assert_eq!(actions.transformations, [Transformation::UrlDecodeUni, Transformation::NormalizePath]);
    assert!(actions.resets && actions.capture && actions.multi_match && actions.chain);
    assert!(!parse("t:trim").resets);
}

#[test]
fn writes_to_collections() {
    effect("setvar:tx.a", "Set Tx");
    effect("setvar:'tx.a_%{tx.b}=%{tx.c} d'", "Set Tx");
    effect("setvar:tx.a=+1", "Add Tx");
    effect("setvar:'tx.a=+%{tx.critical}'", "Add Tx");
    effect("setvar:ip.a=-1", "Subtract Ip");
    effect("setvar:!ip.a", "Unset Ip");
    effect("expirevar:'ip.a=%{tx.b}'", "Expire Ip");
    effect("expirevar:ip.a=60", "Expire Ip");
    effect("initcol:ip=%{remote_addr}_%{tx.ua_hash}", "Open Ip");
    effect("initcol:global=global", "Open Global");
    effect("setuid:%{ARGS.user}", "Open User");
    effect("setsid:%{REQUEST_COOKIES.sid}", "Open Session");
    effect("setrsc:abc", "Open Resource");
    effect("setenv:a=b", "Set Env");
    effect("setenv:!a", "Unset Env");
    effect("ctl:ruleRemoveById=1-5", "Control");
    let Some(Effect::Set(set)) = parse("setvar:'tx.A=x=y'").effects.pop() else { panic!() };
    assert_eq!(set.key, Text::plain(b"A"));
    assert!(matches!(set.change, Change::Set(text) if text == Text::plain(b"x=y")));
}

#[test]
fn actions_without_meaning() {
    let actions = parse("sanitiseArg:password,sanitiseMatched,sanitiseRequestHeader:Cookie,xmlns:a=b");
    assert!(actions.effects.is_empty());
}

#[track_caller]
fn wrong(text: &str, messages: &[&str]) {
    let (_, wrongs) = read(text.as_bytes());
    let found: Vec<&str> = wrongs.iter().map(|wrong| wrong.message.as_str()).collect();
    assert_eq!(found, messages);
}

#[test]
fn every_wrong_action_is_told() {
    wrong(
        "id:0,phase:6,severity:BAD",
        &["`0` is no number from 1 to 4294967295", "`6` is no phase", "`BAD` is no severity"],
    );
    wrong("t:lowercse", &["unknown transformation `lowercse`"]);
    wrong("denny", &["unknown action `denny`"]);
    wrong(
        "exec:/bin/x,proxy:y,append:z,deprecatevar:w,pause:1",
        &[
            "the action `exec` is not supported",
            "the action `proxy` is not supported",
            "the action `append` is not supported",
            "the action `deprecatevar` is not supported",
            "the action `pause` is not supported",
        ],
    );
    wrong("setvar:ty.a=1", &["unknown collection `ty`"]);
    wrong("setvar:a", &["`a` names no member of a collection"]);
    wrong("setvar:tx.", &["the name of the member is empty"]);
    wrong("setvar:tx.a=%{nope}", &["unknown variable `nope`"]);
    wrong("expirevar:ip.a", &["`expirevar` without seconds"]);
    wrong("expirevar:ip.a=x", &["`x` are no seconds"]);
    wrong("initcol:tx=a", &["`tx` needs no `initcol`"]);
    wrong("status:99", &["`99` is no number from 200 to 599"]);
    wrong("redirect", &["`redirect` has no value"]);
    wrong("msg:'a", &["the ' of `msg` is never closed"]);
    wrong(&"t:trim,".repeat(65), &["more than 64 transformations"]);
    assert_eq!(read(b"denny").1[0].help.as_deref(), Some("did you mean `deny`?"));
}
