//! The rules of the firewall, from the files that the settings name.

use std::path::PathBuf;
use std::sync::Arc;

use reeve_base::{Diagnostic, Timestamp};
use reeve_edge::{DetectOnly, RuleFiles as Ordered, RuleShelf, WafSettings};
use reeve_policy::catalogue::Controls;
use reeve_waf::{Source, SourceError};

use crate::rule_files::{self, RuleFiles};
use crate::settings::{self, Settings};

/// What the settings mean for the gateway.
pub(super) fn edge(settings: &Settings) -> WafSettings {
    let named: Vec<_> = settings.waf.rules.iter().map(|path| path.value.clone()).collect();
    let shelf = || Arc::new(Named { named: named.clone(), files: RuleFiles::default() }) as Arc<dyn RuleShelf>;
    let detect_only = settings.waf.detect_only.iter();
    WafSettings {
        rules: (!named.is_empty()).then(shelf),
        detect_only: detect_only.map(|one| DetectOnly { path: one.path.clone(), until: one.until }).collect(),
        tell_all: settings.waf.tell_all,
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
}
