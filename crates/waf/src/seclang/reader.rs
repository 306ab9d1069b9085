//! Reads files with what they include, directive by directive.

use std::collections::HashMap;
use std::sync::Arc;

use super::assembly::{Assembly, ITEMS_MAX, Tested};
use super::lex::{self, Directive};
use super::operators::{self, PhraseFiles, Surroundings};
use super::wrong::Wrong;
use super::{Fault, Source, actions, settings, targets, updates};
use crate::kind::Taken;
use crate::rule::{Place, RuleBook, Settings};

/// Files within each other.
const DEPTH_MAX: usize = 16;
/// Files in all. The Core Rule Set has 30.
const FILES_MAX: usize = 10_000;
/// Bytes of all rule files; the Core Rule Set has 0.8 million.
const BYTES_MAX: usize = 128 * 1_048_576;
/// Faults that are told; further ones are not looked for.
const FAULTS_MAX: usize = 1_000;

pub(super) struct Reader<'s> {
    source: &'s dyn Source,
    settings: Settings,
    assembly: Assembly,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    taken: Vec<Taken>,
    phrases: PhraseFiles,
    /// The files that are being read, each with the one that includes it before it.
    within: Vec<Arc<str>>,
    files: usize,
    bytes: usize,
    /// A limit of the whole was met: nothing more is read.
    stopped: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s dyn Source) -> Self {
        Self {
            source,
            settings: Settings::default(),
            assembly: Assembly::default(),
            faults: Vec::new(),
            warnings: Vec::new(),
            taken: Vec::new(),
            phrases: HashMap::new(),
            within: Vec::new(),
            files: 0,
            bytes: 0,
            stopped: false,
        }
    }

    pub(super) fn finish(mut self) -> Result<RuleBook, Vec<Fault>> {
        if self.faults.is_empty() {
            for (place, name) in self.assembly.lost_skips() {
                let wrong = Wrong::new(format!("`skipAfter` looks for `{name}`, and finds no such marker or rule"));
                self.warn(&place, wrong.help("where it matches, the rest of the phase is left out"));
            }
            let items = self.assembly.items.into_iter().flatten().collect();
            Ok(RuleBook { settings: self.settings, items, warnings: self.warnings, taken: self.taken })
        } else {
            Err(self.faults)
        }
    }

    /// A file that nobody includes.
    pub(super) fn top(&mut self, name: &str) {
        let place = Place { file: name.into(), line: 0 };
        match self.source.list(name, None) {
            Ok(names) if names.is_empty() => {
                self.fault(&place, Wrong::new("no file is called so").help("name at least one rule file"));
            }
            Ok(names) => names.iter().for_each(|name| self.file(name, &place)),
            Err(error) => self.fault(&place, Wrong::new(error.to_string())),
        }
    }

    fn file(&mut self, name: &str, place: &Place) {
        if self.stopped {
            return;
        }
        if self.within.iter().any(|within| **within == *name) {
            return self.fault(place, Wrong::new(format!("`{name}` includes itself")).help("take the Include out"));
        }
        if self.within.len() >= DEPTH_MAX {
            return self.fault(place, Wrong::new(format!("files within each other more than {DEPTH_MAX} deep")));
        }
        let text = match self.source.read(name, None) {
            Ok(text) => text,
            Err(error) => return self.fault(place, Wrong::new(error.to_string())),
        };
        self.files += 1;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.files > FILES_MAX || self.bytes > BYTES_MAX {
            let most = format!("more than {FILES_MAX} rule files, or {BYTES_MAX} bytes in them");
            return self.stop(place, Wrong::new(most).help("load fewer"));
        }
        let file: Arc<str> = name.into();
        self.within.push(Arc::clone(&file));
        self.directives(&text, &file);
        self.within.pop();
    }

    fn directives(&mut self, text: &[u8], file: &Arc<str>) {
        for directive in lex::directives(text) {
            if self.stopped {
                return;
            }
            match directive {
                Ok(Directive { line, words }) => {
                    let place = Place { file: Arc::clone(file), line };
                    if let Some((name, words)) = words.split_first() {
                        self.directive(&place, &String::from_utf8_lossy(name), words);
                    }
                }
                Err((line, wrong)) => self.fault(&Place { file: Arc::clone(file), line }, wrong),
            }
        }
        self.close_chain();
    }

    fn directive(&mut self, place: &Place, name: &str, words: &[Vec<u8>]) {
        let known = DIRECTIVES.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
        let done = match (known.unwrap_or_default(), words) {
            ("SecRule", [variables, operator]) => {
                self.rule(place, Some((variables, operator)), b"");
                Ok(())
            }
            ("SecRule", [variables, operator, actions]) => {
                self.rule(place, Some((variables, operator)), actions);
                Ok(())
            }
            ("SecAction", [actions]) => {
                self.rule(place, None, actions);
                Ok(())
            }
            ("SecMarker", [name]) => self.marker(name),
            ("SecDefaultAction", [text]) => self.defaults(place, text),
            ("Include", [name]) => {
                self.include(place, name, false);
                Ok(())
            }
            ("IncludeOptional", [name]) => {
                self.include(place, name, true);
                Ok(())
            }
            ("SecRuleUpdateActionById", [ids, text]) => self.update_actions(place, ids, text),
            ("", _) => self.setting(place, name, words),
            (known, _) => match updates::carry_out(&mut self.assembly, known, words) {
                Some(count) => self.changed(place, count),
                None => Err(Wrong::new(format!("`{known}` with {} values", words.len()))
                    .help("put each value that has blanks in it into quotes")),
            },
        };
        if let Err(wrong) = done {
            self.fault(place, wrong);
        }
    }

    fn setting(&mut self, place: &Place, name: &str, words: &[Vec<u8>]) -> Result<(), Wrong> {
        let Some(done) = settings::set(&mut self.settings, name, words) else {
            if name.starts_with('<') {
                return Err(Wrong::new("a section of a web server's configuration").help(
                    "take it out, and keep the \
                    directives in it",
                ));
            }
            let known = DIRECTIVES.iter().copied().chain(settings::names());
            return Err(Wrong::unknown("directive", name.as_bytes(), known));
        };
        if let Some(warning) = done? {
            self.warn(place, warning);
        }
        Ok(())
    }

    fn rule(&mut self, place: &Place, tested: Option<(&[u8], &[u8])>, text: &[u8]) {
        if self.assembly.is_full() {
            return self.stop(place, Wrong::new(format!("more than {ITEMS_MAX} rules")).help("load fewer"));
        }
        let (mut actions, mut wrongs) = actions::read(text);
        let mut warnings = std::mem::take(&mut actions.warnings);
        let tested = tested.and_then(|(variables, operator)| {
            let targets = targets::read(variables).map_err(|wrong| wrongs.push(wrong));
            let mut surroundings = Surroundings {
                source: self.source,
                file: &place.file,
                phrases: &mut self.phrases,
                warnings: &mut warnings,
            };
            let operator = operators::read(operator, &mut surroundings).map_err(|wrong| wrongs.push(wrong));
            warnings.extend(targets.iter().filter_map(|targets| targets::never_set(targets)));
            let (operator, negated) = operator.ok()?;
            Some(Tested { targets: targets.ok()?, operator, negated })
        });
        let broken = !wrongs.is_empty();
        wrongs.extend(self.assembly.rule(place.clone(), tested, actions, broken));
        wrongs.into_iter().for_each(|wrong| self.fault(place, wrong));
        warnings.into_iter().for_each(|warning| self.warn(place, warning));
    }

    fn marker(&mut self, name: &[u8]) -> Result<(), Wrong> {
        self.close_chain();
        let name = str::from_utf8(name).map_err(|_| Wrong::new("a marker that is not UTF-8"))?;
        if self.assembly.is_full() {
            return Err(Wrong::new(format!("more than {ITEMS_MAX} rules")).help("load fewer"));
        }
        self.assembly.marker(name.to_owned());
        Ok(())
    }

    /// A chain goes on in the rule that follows, in the same file.
    fn close_chain(&mut self) {
        if let Some(place) = self.assembly.abandon() {
            let wrong = Wrong::new("a chain without an end");
            self.fault(&place, wrong.help("take `chain` out of its last rule, or add the rule that is missing"));
        }
    }

    fn defaults(&mut self, place: &Place, text: &[u8]) -> Result<(), Wrong> {
        let actions = self.actions(place, text);
        actions.map_or(Ok(()), |actions| self.assembly.set_defaults(actions))
    }

    fn update_actions(&mut self, place: &Place, ids: &[u8], text: &[u8]) -> Result<(), Wrong> {
        let Some(actions) = self.actions(place, text) else { return Ok(()) };
        let changed = updates::actions_by_id(&mut self.assembly, ids, &actions);
        self.changed(place, changed)
    }

    /// None if they could not be read, which is told.
    fn actions(&mut self, place: &Place, text: &[u8]) -> Option<actions::Actions> {
        let (mut actions, wrongs) = actions::read(text);
        let whole = wrongs.is_empty();
        wrongs.into_iter().for_each(|wrong| self.fault(place, wrong));
        std::mem::take(&mut actions.warnings).into_iter().for_each(|warning| self.warn(place, warning));
        whole.then_some(actions)
    }

    /// An exclusion that excludes nothing is worth a word: it stands before the rules it means, or they are gone.
    fn changed(&mut self, place: &Place, count: Result<usize, Wrong>) -> Result<(), Wrong> {
        let removed = self.assembly.removed.drain(..).map(|chain| (chain.id, Some(chain)));
        let tamed = self.assembly.tamed.drain(..).map(|id| (id, None));
        self.taken.extend(removed.chain(tamed).map(|(id, chain)| Taken { place: place.clone(), id, chain }));
        if count? == 0 {
            let wrong = Wrong::new("no rule before this line is meant");
            self.warn(place, wrong.help("it only changes rules that were read before it"));
        }
        Ok(())
    }

    fn include(&mut self, place: &Place, name: &[u8], optional: bool) {
        let Ok(name) = str::from_utf8(name) else {
            return self.fault(place, Wrong::new("a file name that is not UTF-8"));
        };
        match self.source.list(name, Some(&place.file)) {
            Ok(names) if names.is_empty() && !optional => {
                self.fault(place, Wrong::new(format!("no file matches `{name}`")).help("use IncludeOptional"));
            }
            Ok(names) => {
                for name in &names {
                    if optional && let Err(error) = self.source.read(name, None) {
                        self.warn(place, Wrong::new(error.to_string()));
                    } else {
                        self.file(name, place);
                    }
                }
            }
            Err(error) if optional => self.warn(place, Wrong::new(error.to_string())),
            Err(error) => self.fault(place, Wrong::new(error.to_string())),
        }
    }

    fn fault(&mut self, place: &Place, wrong: Wrong) {
        self.faults.push(Fault { place: place.clone(), message: wrong.message, help: wrong.help });
        if self.faults.len() >= FAULTS_MAX {
            self.stopped = true;
        }
    }

    fn stop(&mut self, place: &Place, wrong: Wrong) {
        self.stopped = true;
        self.fault(place, wrong);
    }

    fn warn(&mut self, place: &Place, wrong: Wrong) {
        if self.warnings.len() < FAULTS_MAX {
            self.warnings.push(Fault { place: place.clone(), message: wrong.message, help: wrong.help });
        }
    }
}

const DIRECTIVES: &[&str] = &[
    "Include",
    "IncludeOptional",
    "SecAction",
    "SecDefaultAction",
    "SecMarker",
    "SecRule",
    "SecRuleRemoveById",
    "SecRuleRemoveByMsg",
    "SecRuleRemoveByTag",
    "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByMsg",
    "SecRuleUpdateTargetByTag",
];
