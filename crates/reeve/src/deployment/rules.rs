//! The rules of the firewall, from the files that the settings name.

use std::path::PathBuf;
use std::sync::Arc;

use reeve_base::{Diagnostic, Span, Timestamp};
use reeve_edge::{
    Canary, CustomRules, DetectOnly, RuleFiles as Ordered, RuleOrigin, RuleShelf, SelfTest, TestShelf, WafError,
    WafSettings,
};
use reeve_policy::catalogue::Controls;
use reeve_waf::{Source, SourceError};

use crate::feed::{Cabinet, FeedSet};
use crate::rule_files::{self, RuleFiles};
use crate::settings::{self, Settings};

/// What the settings mean for the gateway, with the rules that the feed has brought if it has brought some.
pub(super) fn edge(settings: &Settings) -> WafSettings {
    with_feed(&settings.waf, Cabinet::of(settings).and_then(|cabinet| cabinet.current()))
}

/// The same with rules of the feed that have not been taken up yet.
pub(crate) fn with_feed(waf: &settings::Waf, brought: Option<FeedSet>) -> WafSettings {
    let named: Vec<_> = waf.rules.iter().map(|path| path.value.clone()).collect();
    let rules = match brought {
        Some(set) => Some(Arc::new(Brought { files: shelf(vec![set.folder.clone()]), set }) as Arc<dyn RuleShelf>),
        None => (!named.is_empty()).then(|| shelf(named) as Arc<dyn RuleShelf>),
    };
    let detect_only = waf.detect_only.iter();
    let custom = waf.custom.iter().map(|custom| custom_rules(custom.file.value.clone(), canaries(custom)));
    let tests = waf.tests.as_ref().map(|tests| Arc::new(Tests(tests.value.clone())) as Arc<dyn TestShelf>);
    WafSettings {
        rules,
        detect_only: detect_only.map(|one| DetectOnly { path: one.path.clone(), until: one.until }).collect(),
        digest: waf.digest.as_ref().map(|digest| digest.value.clone()),
        custom: custom.collect(),
        self_test: if waf.self_test.value { SelfTest::Demanded } else { SelfTest::LeftOut },
        tests,
        prepared: None,
    }
}

fn shelf(named: Vec<PathBuf>) -> Arc<Named> {
    Arc::new(Named { named, files: RuleFiles::default() })
}

/// Rules of an application's own, out of a file.
pub(crate) fn custom_rules(file: PathBuf, canaries: Vec<Canary>) -> CustomRules {
    CustomRules { shelf: shelf(vec![file]), canaries }
}

fn canaries(custom: &settings::Custom) -> Vec<Canary> {
    let app = custom.app.as_ref().map_or(settings::DEFAULT_UPSTREAM, |app| app.value.as_str());
    let canary = |canary: &settings::Canary| Canary {
        app: app.to_owned(),
        rule: canary.rule,
        attack: canary.attack.clone(),
        twin: canary.twin.clone(),
    };
    custom.canaries.iter().map(canary).collect()
}

/// What settings and policy do not say of the same thing.
pub(super) fn unmatched(settings: &Settings, controls: &Controls) -> Vec<Diagnostic> {
    let waf = &settings.waf;
    let mut found = Vec::new();
    if let (Some(custom), None) = (waf.custom.first(), &controls.waf_custom) {
        let fault = Diagnostic::warning("settings::waf-custom", "rules of applications' own do not run");
        let fault = fault.at(custom.file.span.clone(), "the policy does not promise `waf.custom`");
        found.push(fault.help("add a clause with `control = \"waf.custom\"` to the policy, or remove the entry"));
    }
    if !waf.self_test.value && controls.waf_attack_set.is_some() {
        let fault = Diagnostic::warning("settings::waf-self-test", "rules get traffic untried");
        let fault = fault.at(waf.self_test.span.clone(), "set here");
        found.push(fault.help("remove the line; `reeve prove` says what passes such rules"));
    }
    found
}

/// Where in the settings the rules are wrong, and what to do about it.
pub(super) fn explained(waf: &settings::Waf, cause: &WafError) -> (&'static str, Span, &'static str) {
    let rules = || waf.rules.first().map(|rules| rules.span.clone()).unwrap_or_default();
    let custom = || waf.custom.first().map(|custom| custom.file.span.clone()).unwrap_or_default();
    match cause {
        WafError::Digest { .. } => (
            "settings::waf-digest",
            waf.digest.as_ref().map(|digest| digest.span.clone()).unwrap_or_default(),
            "`reeve waf pin` lists the files with their digests: compare them with those that were approved, and write the digest that was found if the change was meant",
        ),
        WafError::SelfTest(_) => (
            "settings::waf-self-test",
            rules(),
            "rules of one application go into `[[waf.custom]]`, and `rules` names a whole set; is the policy's threshold one that an attack reaches? `self_test = false` lets rules run untried",
        ),
        WafError::Canary(_) => (
            "settings::waf-canary",
            custom(),
            "each rule that refuses has an entry in `canaries`, with a request that it refuses and a harmless one that passes all rules",
        ),
        WafError::Tests(_) => (
            "settings::waf-tests",
            waf.tests.as_ref().map(|tests| tests.span.clone()).unwrap_or_default(),
            "tests run on the rules as the policy has them run; `reeve waf test --rules DIR --mode blocking --paranoia N TESTS` shows more",
        ),
        _ => (
            "settings::waf",
            rules(),
            "each fault names its file and line; `reeve waf test --rules DIR TESTS` tries rules without a gateway",
        ),
    }
}

/// Where nothing is refused although the policy promises it, and where that is over.
pub(super) fn detecting(settings: &Settings, controls: &Controls, now: Timestamp) -> Vec<Diagnostic> {
    if controls.waf_attack_set.is_none() {
        return Vec::new();
    }
    let warn = |route: &settings::DetectOnly| {
        let (message, help) = if now < route.until {
            let message = format!("the policy promises `waf.attack_set`, and under `{}` rules only find", route.path);
            (message, "events with the outcome `detected` say what would be refused; let it end when they are none")
        } else {
            (format!("rules refuse again under `{}`", route.path), "remove the entry")
        };
        Diagnostic::warning("settings::detect-only", message).at(route.span.clone(), "set here").help(help)
    };
    settings.waf.detect_only.iter().map(warn).collect()
}

/// Folders and files of rules. What is in them is looked up each time.
#[derive(Debug)]
struct Named {
    named: Vec<PathBuf>,
    files: RuleFiles,
}

impl Source for Named {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        self.files.read(name, beside)
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        self.files.list(pattern, beside)
    }
}

impl RuleShelf for Named {
    fn files(&self) -> Result<Ordered, String> {
        let arranged = rule_files::present(&self.named).and_then(|()| rule_files::arrange(&self.named));
        let mut arranged = arranged.map_err(|error| error.to_string())?;
        let rules = arranged.files.split_off(arranged.set_up.min(arranged.files.len()));
        Ok(Ordered { set_up: arranged.files, rules })
    }

    fn label(&self, name: &str, beside: Option<&str>) -> String {
        rule_files::label(&self.named, name, beside)
    }

    /// The time of the youngest file. Package managers leave files the times of their making.
    fn made(&self, read: &[(String, Option<String>)]) -> Option<Timestamp> {
        let time = |(name, beside): &(String, Option<String>)| rule_files::written(name, beside.as_deref());
        // One whose time is not known may be the youngest.
        let times: Option<Vec<_>> = read.iter().map(time).collect();
        times?.into_iter().max()
    }
}

/// Rules that a feed has brought.
#[derive(Debug)]
struct Brought {
    files: Arc<Named>,
    set: FeedSet,
}

impl Source for Brought {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        self.files.read(name, beside)
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        self.files.list(pattern, beside)
    }
}

impl RuleShelf for Brought {
    fn files(&self) -> Result<Ordered, String> {
        self.files.files()
    }

    fn label(&self, name: &str, beside: Option<&str>) -> String {
        self.files.label(name, beside)
    }

    fn origin(&self) -> RuleOrigin {
        RuleOrigin::Feed
    }

    fn version(&self) -> Option<String> {
        Some(self.set.version.clone())
    }

    fn made(&self, _: &[(String, Option<String>)]) -> Option<Timestamp> {
        Some(self.set.made)
    }
}

/// A folder or file of tests.
#[derive(Debug)]
struct Tests(PathBuf);

impl TestShelf for Tests {
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        rule_files::tests(&self.0)
    }
}
