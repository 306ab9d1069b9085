//! The rules of the firewall, from the files that the settings name.

mod survey;

use std::path::PathBuf;
use std::sync::Arc;

use reeve_base::Timestamp;
use reeve_edge::{
    Canary, CustomRules, DetectOnly, Exclude, RuleFiles as Ordered, RuleOrigin, RuleShelf, SelfTest, TestShelf,
    WafSettings,
};
use reeve_waf::{Source, SourceError};

use crate::feed::{Cabinet, FeedSet};
use crate::rule_files::{self, RuleFiles};
use crate::settings::{self, Settings};

pub(super) use survey::{detecting, ended, explained, not_excluded, survey, unmatched};

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
        exclude: waf.exclude.iter().map(left_out).collect(),
        budget: waf.budget,
        tell_all: waf.tell_all,
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

/// Folders and files of rules; none for those that are built in.
pub(crate) fn waf_rules(named: Vec<PathBuf>) -> WafSettings {
    let some = !named.is_empty();
    WafSettings { rules: some.then(|| shelf(named) as Arc<dyn RuleShelf>), ..WafSettings::default() }
}

fn left_out(one: &settings::Exclude) -> Exclude {
    Exclude {
        rules: one.rules.value.clone(),
        path: one.path.value.clone(),
        method: one.method.clone(),
        variable: one.variable.as_ref().map(|variable| variable.value.clone()),
        whole: one.whole,
        until: one.until,
    }
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
