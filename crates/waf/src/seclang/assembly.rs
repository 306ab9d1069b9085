//! From single rules to chains: what a phase's defaults say is put in, ids are unique, links find their heads.

use std::collections::{HashMap, HashSet};

use super::actions::Actions;
use super::wrong::Wrong;
use crate::pattern;
use crate::rule::{Chain, Disruption, Item, Link, Operator, Phase, Place, Role, Selector, Skip, Target, Test, Text};
use crate::transformation::Transformation;
use crate::variable::Variable;

/// Rules, actions and markers. The Core Rule Set has some 750.
pub(super) const ITEMS_MAX: usize = 50_000;
/// Rules of one chain.
const LINKS_MAX: usize = 256;

/// Rules read so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// None where a rule was removed.
    pub(super) items: Vec<Option<Item>>,
    /// What a directive has taken away, until the reader has noted where.
    pub(super) removed: Vec<Chain>,
    /// And which rules it has made to refuse no longer.
    pub(super) tamed: Vec<u32>,
    ids: HashMap<u32, Place>,
    open: Option<Open>,
    defaults: HashMap<Phase, Defaults>,
}

/// A chain whose next rule is awaited.
#[derive(Debug)]
struct Open {
    chain: Chain,
    /// A part of it could not be read: it is told already, and the rest only has to be passed.
    broken: bool,
    inherited: Vec<Transformation>,
}

/// SecDefaultAction for one phase.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    disruption: Disruption,
    status: Option<u16>,
    log: bool,
    audit_log: bool,
    transformations: Vec<Transformation>,
}

/// Nothing was said for the phase: `block` stays open, and a rule that says nothing passes.
const UNSAID: Defaults =
    Defaults { disruption: Disruption::Block, status: None, log: true, audit_log: true, transformations: Vec::new() };

/// What a SecRule tests, without what its actions say; none for a SecAction.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) targets: Vec<Target>,
    pub(super) operator: Operator,
    pub(super) negated: bool,
}

impl Assembly {
    pub(super) fn set_defaults(&mut self, actions: Actions) -> Result<(), Wrong> {
        let Some(phase) = actions.phase else {
            return Err(Wrong::new("SecDefaultAction without a phase").help("as in \"phase:2,log,pass\""));
        };
        let Some(disruption) = actions.disruption else {
            return Err(Wrong::new("SecDefaultAction without `pass`, `deny`, `drop` or `redirect`"));
        };
        if matches!(disruption, Disruption::Block) {
            return Err(Wrong::new("`block` is what this very directive gives a meaning to").help("`deny` or `pass`"));
        }
        if actions.id.is_some() || actions.chain || actions.skip.is_some() || !actions.effects.is_empty() {
            return Err(Wrong::new("an action that only a rule can have").help(
                "defaults are a phase, whether it logs, \
                what it does to the request, a status and transformations",
            ));
        }
        let log = actions.log.unwrap_or(true);
        let defaults = Defaults {
            disruption,
            status: actions.status,
            log,
            audit_log: actions.audit_log.unwrap_or(log),
            transformations: actions.transformations,
        };
        self.defaults.insert(phase, defaults);
        Ok(())
    }

    fn defaults(&self, phase: Phase) -> Defaults {
        self.defaults.get(&phase).cloned().unwrap_or(UNSAID)
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_MAX
    }

    pub(super) fn marker(&mut self, name: String) {
        self.items.push(Some(Item::Marker(name)));
    }

    /// A chain that something other than a rule comes after; where its first rule stands.
    pub(super) fn abandon(&mut self) -> Option<Place> {
        self.open.take().filter(|open| !open.broken).map(|open| open.chain.place)
    }

    /// A rule or an action. `broken`: parts of it could not be read, so that it is only passed.
    pub(super) fn rule(&mut self, place: Place, tested: Option<Tested>, actions: Actions, broken: bool) -> Vec<Wrong> {
        let goes_on = actions.chain;
        let mut wrongs = Vec::new();
        let mut open = match self.open.take() {
            Some(mut open) => {
                wrongs.extend(faults_of_link(&actions, &open));
                open.broken |= broken || !wrongs.is_empty();
                let link = link(place, tested, &open.inherited, actions);
                open.chain.links.push(link);
                open
            }
            None => {
                let (open, faults) = self.begin(place, tested, actions, broken);
                wrongs.extend(faults);
                open
            }
        };
        if goes_on {
            if open.chain.links.len() >= LINKS_MAX {
                open.chain.links.truncate(1);
                open.broken = true;
                wrongs.push(Wrong::new(format!("a chain of more than {LINKS_MAX} rules")));
            }
            self.open = Some(open);
        } else if !open.broken {
            self.items.extend(compared(open.chain).into_iter().map(|chain| Some(Item::Chain(Box::new(chain)))));
        }
        wrongs
    }

    fn begin(&mut self, place: Place, tested: Option<Tested>, actions: Actions, broken: bool) -> (Open, Vec<Wrong>) {
        let mut wrongs = Vec::new();
        if actions.id.is_none() && !broken {
            wrongs.push(Wrong::new("a rule without an id").help("add `id:` and a number that no other rule has"));
        }
        let id = actions.id.unwrap_or_default();
        if let Some(first) = actions.id.and_then(|id| self.ids.insert(id, place.clone())) {
            let wrong = Wrong::new(format!("the id {id} is taken, by the rule at {}:{}", first.file, first.line));
            wrongs.push(wrong.help("give one of them another"));
        }
        let phase = actions.phase.unwrap_or(Phase::RequestBody);
        let defaults = self.defaults(phase);
        let said = !matches!(defaults.disruption, Disruption::Block);
        let disruption = match actions.disruption.clone() {
            Some(Disruption::Block) => defaults.disruption,
            Some(disruption) => disruption,
            None if said => defaults.disruption,
            None => Disruption::Pass,
        };
        let chain = Chain {
            id,
            phase,
            place: place.clone(),
            about: actions.about.clone(),
            disruption,
            status: actions.status.or(defaults.status),
            log: actions.log.unwrap_or(defaults.log),
            audit_log: actions.audit_log.unwrap_or(defaults.audit_log),
            skip: actions.skip.clone(),
            links: vec![link(place, tested, &defaults.transformations, actions)],
        };
        let broken = broken || !wrongs.is_empty();
        (Open { chain, broken, inherited: defaults.transformations }, wrongs)
    }

    /// Rules that skip to what is not there.
    pub(super) fn lost_skips(&self) -> Vec<(Place, String)> {
        let mut marks = HashSet::new();
        let mut lost = Vec::new();
        // From the end, for only what comes after a rule can be skipped to.
        for item in self.items.iter().rev().flatten() {
            match item {
                Item::Marker(name) => {
                    marks.insert(name.clone());
                }
                Item::Chain(chain) => {
                    if let Some(Skip::After(name)) = chain.skip.as_ref().filter(|skip| !found(&marks, skip)) {
                        lost.push((chain.place.clone(), name.clone()));
                    }
                    marks.insert(chain.id.to_string());
                }
            }
        }
        lost
    }

    /// SecRuleUpdateActionById: actions that a rule is given later.
    pub(super) fn update(&self, chain: &mut Chain, at: usize, actions: &Actions) -> Result<(), Wrong> {
        if actions.id.is_some() || actions.phase.is_some() || actions.chain {
            return Err(Wrong::new("`id`, `phase` and `chain` of a rule stay as they are").help("take them out"));
        }
        let Some(link) = chain.links.get_mut(at) else {
            return Err(Wrong::new(format!(
                "the chain of rule {} has {} rules, counted from 0",
                chain.id,
                chain.links.len()
            )));
        };
        link.effects.extend(actions.effects.iter().cloned());
        if let Some(test) = &mut link.test {
            if actions.resets {
                test.transformations.clear();
            }
            test.transformations.extend(&actions.transformations);
            test.capture |= actions.capture;
            test.multi_match |= actions.multi_match;
        }
        match actions.disruption.clone() {
            Some(Disruption::Block) => chain.disruption = self.defaults(chain.phase).disruption,
            Some(disruption) => chain.disruption = disruption,
            None => {}
        }
        chain.status = actions.status.or(chain.status);
        chain.log = actions.log.unwrap_or(chain.log);
        chain.audit_log = actions.audit_log.unwrap_or(chain.audit_log);
        chain.skip = actions.skip.clone().or(chain.skip.take());
        let (about, said) = (&mut chain.about, actions.about.clone());
        about.message = said.message.or(about.message.take());
        about.data = said.data.or(about.data.take());
        about.severity = said.severity.or(about.severity);
        about.version = said.version.or(about.version.take());
        about.revision = said.revision.or(about.revision.take());
        about.tags.extend(said.tags);
        Ok(())
    }
}

fn found(marks: &HashSet<String>, skip: &Skip) -> bool {
    matches!(skip, Skip::After(name) if marks.contains(name))
}

fn faults_of_link(actions: &Actions, open: &Open) -> Option<Wrong> {
    let name = actions.of_head.filter(|_| !open.broken)?;
    Some(
        Wrong::new(format!("`{name}` in a chained rule: it decides on the whole chain"))
            .help(format!("move it to the chain's first rule, line {}", open.chain.place.line)),
    )
}

fn link(place: Place, tested: Option<Tested>, inherited: &[Transformation], actions: Actions) -> Link {
    let mut transformations = if actions.resets { Vec::new() } else { inherited.to_vec() };
    transformations.extend(actions.transformations);
    let test = tested.map(|tested| Test {
        targets: tested.targets,
        transformations,
        multi_match: actions.multi_match,
        operator: tested.operator,
        negated: tested.negated,
        capture: actions.capture,
    });
    Link { place, test, effects: actions.effects }
}

/// A rule whose pattern compares two words by back-references becomes chains that find the words, and then compare
/// them: one for each comparison, all under the rule's id.
fn compared(chain: Chain) -> Vec<Chain> {
    let Chain { links, .. } = &chain;
    let comparisons = match links.as_slice() {
        [Link { test: Some(Test { operator: Operator::Rx(text), negated: false, .. }), .. }] => {
            text.as_plain().map_or(&[][..], pattern::compared)
        }
        _ => &[],
    };
    if comparisons.is_empty() {
        return vec![chain];
    }
    comparisons.iter().filter_map(|comparison| with_comparison(&chain, *comparison)).collect()
}

fn with_comparison(chain: &Chain, comparison: pattern::Comparison) -> Option<Chain> {
    let head = chain.links.first()?;
    let test = head.test.as_ref()?;
    // What refers back under `(?i)` finds the same word in any case; the comparison is of bytes.
    let mut transformations = test.transformations.clone();
    transformations.push(Transformation::Lowercase);
    let finds = Test {
        targets: test.targets.clone(),
        transformations,
        multi_match: test.multi_match,
        operator: Operator::Rx(Text::plain(comparison.pattern.as_bytes())),
        negated: false,
        capture: true,
    };
    let word =
        |name: &[u8]| Target { variable: Variable::Tx, selector: Selector::Key(name.into()), role: Role::Member };
    let compares = Test {
        targets: vec![word(b"1")],
        transformations: Vec::new(),
        multi_match: false,
        operator: Operator::Is(super::text::read(b"%{tx.2}").ok()?),
        negated: comparison.differ,
        capture: false,
    };
    let links = vec![
        Link { place: head.place.clone(), test: Some(finds), effects: Vec::new() },
        Link { place: head.place.clone(), test: Some(compares), effects: head.effects.clone() },
    ];
    Some(Chain {
        id: chain.id,
        phase: chain.phase,
        place: chain.place.clone(),
        about: chain.about.clone(),
        disruption: chain.disruption.clone(),
        status: chain.status,
        log: chain.log,
        audit_log: chain.audit_log,
        skip: chain.skip.clone(),
        links,
    })
}
