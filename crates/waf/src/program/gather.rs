//! From the rules of a book to the steps of a program: what rules have in common is found and kept once.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Check, Deed, Exception, Field, Gate, Glance, Key, Lane, Matcher, Plan, Program, Rule, Sought, Stage, Stages, Step,
    Triggers, Use, is_volatile, which, written,
};
use crate::kind::Disarmed;
use crate::need::Need;
use crate::operator::{Compiled, Fixed};
use crate::pattern::PatternError;
use crate::rule::{
    Assignment, Chain, Change, Collection, Control, Disruption, Effect, Item, Link, Operator, Place, Role, RuleBook,
    Selector, Skip, Target, Test,
};
use crate::scan::{Bit, Classes, Scan};
use crate::seclang::Fault;
use crate::store::{Names, as_number};
use crate::transformation::Transformation;
use crate::variable::Variable;

/// An operator, and the bit under which it is looked for, with the least length of what it matches.
type Known = (Arc<Compiled>, Option<(Bit, usize)>);

/// What has been gathered so far.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    fields: Vec<Field>,
    field_numbers: HashMap<(Variable, String), usize>,
    chains: Vec<Vec<Transformation>>,
    lanes: Vec<Lane>,
    lane_numbers: HashMap<Lane, usize>,
    groups: Vec<Box<[usize]>>,
    group_numbers: HashMap<Box<[usize]>, usize>,
    operators: HashMap<String, Known>,
    needs: Vec<Need>,
    names: Names,
    faults: Vec<Fault>,
    /// For each phase, how many steps are before each item of the book.
    before: [Vec<usize>; 5],
}

impl Gatherer {
    pub(super) fn new(book: &RuleBook) -> Self {
        let mut before: [Vec<usize>; 5] = Default::default();
        let mut counts = [0; 5];
        for item in &book.items {
            for (counted, count) in before.iter_mut().zip(counts) {
                counted.push(count);
            }
            if let Item::Chain(chain) = item
                && let Some(count) = counts.get_mut(chain.phase as usize)
            {
                *count += 1;
            }
        }
        Self { before, ..Self::default() }
    }

    pub(super) fn program(mut self, book: RuleBook) -> Result<Program, Vec<Fault>> {
        let mut phases: [Vec<Step>; 5] = Default::default();
        let mut number = 0;
        for (at, item) in book.items.iter().enumerate() {
            let Item::Chain(chain) = item else { continue };
            let step = self.step(chain, at, number, &book);
            if let Some(phase) = phases.get_mut(chain.phase as usize) {
                phase.push(step);
            }
            number += 1;
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let all = self.chains.iter().flatten().filter_map(|how| how.triggers());
        let scan = Scan::new(&self.needs, &all.collect::<Vec<_>>());
        let chains = self.chains.iter().map(|chain| stages(chain, scan.classes())).collect();
        let captures = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
            .map(|name| self.names.slot(Collection::Tx, name));
        Ok(Program {
            captures,
            settings: book.settings,
            warnings: book.warnings,
            disarmed: Disarmed::default(),
            kinds: Vec::new(),
            phases,
            fields: self.fields,
            chains,
            lanes: self.lanes,
            groups: self.groups,
            names: self.names,
            scan,
            rules: number,
        })
    }

    fn step(&mut self, chain: &Chain, at: usize, number: usize, book: &RuleBook) -> Step {
        let links: Box<[Plan]> = chain.links.iter().map(|link| self.plan(link, book)).collect();
        let jump = chain.skip.as_ref().map(|skip| self.jump(skip, chain, at, book));
        let gate = jump.is_some().then(|| self.gate(chain)).flatten();
        let first = links.first().and_then(|link| link.check.as_ref()?.sought);
        let glance = match (gate, first) {
            (Some(gate), _) => Glance::Gate(gate),
            (None, Some(Sought { bit, group: Some(group), .. })) => Glance::Sought { group, bit },
            (None, _) => Glance::None,
        };
        let rule = Rule {
            id: chain.id,
            phase: chain.phase,
            place: chain.place.clone(),
            about: chain.about.clone(),
            disruption: chain.disruption.clone(),
            status: chain.status,
            log: chain.log,
            links,
        };
        Step { number, jump, glance, rule: Box::new(rule) }
    }

    /// The step of the chain's phase with which a skip goes on; the end of the phase if what it names is not there.
    fn jump(&self, skip: &Skip, chain: &Chain, at: usize, book: &RuleBook) -> usize {
        let Some(before) = self.before.get(chain.phase as usize) else { return usize::MAX };
        match skip {
            Skip::Count(count) => {
                before.get(at).map_or(usize::MAX, |index| (index + 1).saturating_add(*count as usize))
            }
            Skip::After(name) => {
                let following = book.items.iter().enumerate().skip(at + 1);
                let found = following.map(|(place, item)| match item {
                    Item::Marker(marker) => (marker == name).then_some(place),
                    // A rule is named by its id; one goes on behind it.
                    Item::Chain(other) => (other.id.to_string() == *name).then_some(place + 1),
                });
                let place = found.flatten().next();
                place.and_then(|place| before.get(place).copied()).unwrap_or(usize::MAX)
            }
        }
    }

    /// The comparison that a chain is, if it is no more than that.
    fn gate(&mut self, chain: &Chain) -> Option<Gate> {
        let [Link { test: Some(test), effects, .. }] = chain.links.as_slice() else { return None };
        let [Target { variable: Variable::Tx, selector: Selector::Key(key), role: Role::Member }] =
            test.targets.as_slice()
        else {
            return None;
        };
        let quiet = effects.is_empty() && !chain.log && matches!(chain.disruption, Disruption::Pass);
        if !quiet || test.negated || test.capture || !test.transformations.is_empty() {
            return None;
        }
        let Ok(Compiled::Fixed(Fixed::Number(comparison, number))) = Compiled::new(&test.operator) else { return None };
        Some(Gate { slot: self.names.slot(Collection::Tx, key), comparison, number })
    }

    fn plan(&mut self, link: &Link, book: &RuleBook) -> Plan {
        let check = link.test.as_ref().and_then(|test| match self.check(test) {
            Ok(check) => Some(check),
            Err(error) => {
                self.fault(&link.place, &error.to_string());
                None
            }
        });
        let effects = link.effects.iter().filter_map(|effect| match self.deed(effect, book) {
            Ok(deed) => Some(deed),
            Err(error) => {
                self.fault(&link.place, &error.to_string());
                None
            }
        });
        Plan { effects: effects.collect(), check }
    }

    fn check(&mut self, test: &Test) -> Result<Check, PatternError> {
        let (mut uses, mut except) = (Vec::new(), Vec::new());
        for target in &test.targets {
            match target.role {
                Role::Except => {
                    let matcher = Matcher::new(&target.selector)?;
                    except.push(Arc::new(Exception { variable: target.variable, matcher }));
                }
                Role::Member | Role::Count => {
                    uses.push(Use { field: self.field(target)?, count: target.role == Role::Count, lane: None });
                }
            }
        }
        let chain = self.chain(&test.transformations);
        let (operator, bit) = self.operator(&test.operator)?;
        let stable = test.targets.iter().all(|target| match target.role {
            Role::Member => !is_volatile(target.variable),
            Role::Count => false,
            Role::Except => true,
        });
        let sought = bit.filter(|_| !test.negated).map(|(bit, length_min)| {
            let group = stable.then(|| self.group(&mut uses, chain, test.multi_match));
            Sought { bit, length_min, group }
        });
        Ok(Check {
            uses: uses.into(),
            except: except.into(),
            chain,
            multi_match: test.multi_match,
            operator,
            negated: test.negated,
            capture: test.capture,
            sought,
        })
    }

    fn field(&mut self, target: &Target) -> Result<usize, PatternError> {
        let key = (target.variable, format!("{:?}", target.selector));
        if let Some(known) = self.field_numbers.get(&key) {
            return Ok(*known);
        }
        let slot = match (&target.selector, written(target.variable)) {
            (Selector::Key(name), Some(collection)) => Some(self.names.slot(collection, name)),
            _ => None,
        };
        let matcher = Matcher::new(&target.selector)?;
        self.fields.push(Field { variable: target.variable, matcher, slot });
        let number = self.fields.len() - 1;
        self.field_numbers.insert(key, number);
        Ok(number)
    }

    fn chain(&mut self, transformations: &[Transformation]) -> usize {
        if let Some(known) = self.chains.iter().position(|known| known == transformations) {
            return known;
        }
        self.chains.push(transformations.to_vec());
        self.chains.len() - 1
    }

    fn group(&mut self, uses: &mut [Use], chain: usize, multi_match: bool) -> usize {
        let mut lanes: Vec<_> = uses
            .iter_mut()
            .map(|use_| {
                let lane = Lane { field: use_.field, chain, multi_match };
                let number = *self.lane_numbers.entry(lane).or_insert_with(|| {
                    self.lanes.push(lane);
                    self.lanes.len() - 1
                });
                use_.lane = Some(number);
                number
            })
            .collect();
        lanes.sort_unstable();
        lanes.dedup();
        let lanes = lanes.into_boxed_slice();
        if let Some(known) = self.group_numbers.get(&lanes) {
            return *known;
        }
        self.groups.push(lanes.clone());
        let number = self.groups.len() - 1;
        self.group_numbers.insert(lanes, number);
        number
    }

    fn operator(&mut self, operator: &Operator) -> Result<Known, PatternError> {
        let key = format!("{operator:?}");
        if let Some(known) = self.operators.get(&key) {
            return Ok(known.clone());
        }
        let compiled = Arc::new(Compiled::new(operator)?);
        let bit = Compiled::need(operator).map(|need| {
            let bit = Bit::new(u32::try_from(self.needs.len()).unwrap_or(u32::MAX));
            let length_min = need.length_min;
            self.needs.push(need);
            (bit, length_min)
        });
        self.operators.insert(key, (Arc::clone(&compiled), bit));
        Ok((compiled, bit))
    }

    fn deed(&mut self, effect: &Effect, book: &RuleBook) -> Result<Deed, PatternError> {
        Ok(match effect {
            Effect::Set(Assignment { collection, key, change }) => {
                let plain = key.as_plain().map(<[u8]>::to_ascii_lowercase);
                // So it is called by every Core Rule Set; those of one level have its number behind.
                let scores =
                    plain.as_deref().is_some_and(|name| memchr::memmem::find(name, b"anomaly_score").is_some());
                let key = match plain {
                    Some(plain) => Key::Known(self.names.slot(*collection, &plain)),
                    None => Key::Made(key.clone()),
                };
                let number = match change {
                    Change::Set(text) => text.as_plain().and_then(as_number),
                    _ => None,
                };
                match (key, number) {
                    (Key::Known(slot), Some(number)) => Deed::Number(slot, number),
                    (key, _) => Deed::Set { collection: *collection, key, change: change.clone(), scores },
                }
            }
            Effect::Control(Control::RemoveRules(which)) => Deed::RemoveRules(which::meant(which, book)?),
            Effect::Control(Control::RemoveTarget(which, target)) => {
                let exception = Exception { variable: target.variable, matcher: Matcher::new(&target.selector)? };
                Deed::RemoveTarget(which::meant(which, book)?.into(), Arc::new(exception))
            }
            Effect::Control(control) => Deed::Control(control.clone()),
            Effect::Open { collection, key } => Deed::Open { collection: *collection, key: key.clone() },
            Effect::Expire { collection, key, seconds } => {
                Deed::Expire { collection: *collection, key: key.clone(), seconds: seconds.clone() }
            }
        })
    }

    fn fault(&mut self, place: &Place, message: &str) {
        self.faults.push(Fault { place: place.clone(), message: message.to_owned(), help: None });
    }
}

fn stages(chain: &[Transformation], classes: &Classes) -> Stages {
    let stage = |how: &Transformation| {
        let of_set = how.triggers().and_then(|set| classes.of_set(set));
        let triggers = Triggers { classes: of_set.unwrap_or_default(), always: of_set.is_none() };
        Stage { how: *how, triggers }
    };
    let stages: Box<[_]> = chain.iter().map(stage).collect();
    let triggers = stages.iter().fold(Triggers::default(), |all, Stage { triggers, .. }| Triggers {
        classes: all.classes | triggers.classes,
        always: all.always | triggers.always,
    });
    Stages { stages, triggers }
}
