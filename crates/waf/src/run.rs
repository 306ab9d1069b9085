//! Runs the steps of a phase: looks where something may match, tests it, and does what rules say.

use std::sync::Arc;

use crate::evidence::Trace;
use crate::memory::Memory;
use crate::operator::{Compiled, Open};
use crate::program::{Check, Exception, Glance, Plan, Program, Step, Use};
use crate::rule::{Allow, BodyProcessor, Disruption, EngineMode, Phase};
use crate::scan;
use crate::store::Held;
use crate::transaction::{Action, Refusal, Report};
use crate::values::{EMPTY, ValueId};
use crate::variable::Variable;
use crate::work;

mod effects;
mod sight;
mod state;
mod text;

use state::Sight;
pub(crate) use state::{Matched, State};

/// What rules have changed about the transaction itself.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) mode: EngineMode,
    pub(crate) request_body_access: bool,
    pub(crate) response_body_access: bool,
    pub(crate) processor: Option<BodyProcessor>,
    pub(crate) force_request_body: bool,
    /// The phases that are left out because a rule allowed it.
    pub(crate) allowed: Option<Allow>,
}

/// One phase of one transaction.
pub(crate) struct Run<'r> {
    pub(crate) program: &'r Program,
    pub(crate) state: &'r mut State,
    pub(crate) course: &'r mut Course,
    pub(crate) report: &'r mut Report,
    pub(crate) prefilter: bool,
    pub(crate) memory: &'r Memory,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

impl Run<'_> {
    /// Runs a phase to its end, or to a refusal.
    pub(crate) fn phase(&mut self, phase: Phase) -> Option<Refusal> {
        let width = self.program.scan.width();
        self.state.lanes.begin(self.program.lanes.len(), width);
        self.state.sights.clear();
        self.state.places.resize(self.program.lanes.len(), 0..0);
        self.state.groups.begin(self.program.groups.len(), width);
        let program = self.program;
        let steps = program.steps(phase);
        let mut next = 0;
        while let Some(step) = steps.get(next) {
            next += 1;
            if self.course.mode == EngineMode::Off {
                break;
            }
            if self.state.values.work.is_exceeded() {
                return Some(self.exhausted());
            }
            if self.state.removed.get(step.number).is_some_and(|removed| *removed) || !self.step(step) {
                continue;
            }
            next = step.jump.unwrap_or(next);
            match &step.rule.disruption {
                Disruption::Pass | Disruption::Block => {}
                Disruption::Allow(Allow::Phase) => break,
                Disruption::Allow(allow) => {
                    self.course.allowed = Some(*allow);
                    break;
                }
                Disruption::Deny | Disruption::Drop | Disruption::Redirect(_) if phase == Phase::Logging => {}
                Disruption::Deny | Disruption::Drop | Disruption::Redirect(_) => {
                    let refusal = self.refusal(step);
                    self.report.refusal.get_or_insert(refusal.clone());
                    if self.course.mode == EngineMode::On {
                        return Some(refusal);
                    }
                }
            }
        }
        // The last step may have been the one that was too much.
        self.state.values.work.is_exceeded().then(|| self.exhausted())
    }

    /// The refusal of what would take too long to judge.
    pub(crate) fn exhausted(&mut self) -> Refusal {
        let refusal = Refusal { rule: 0, action: Action::Deny(CONTENT_TOO_LARGE) };
        self.report.exhausted = Some(self.state.values.work.budget());
        self.report.refusal = Some(refusal.clone());
        refusal
    }

    fn refusal(&mut self, step: &Step) -> Refusal {
        let action = match &step.rule.disruption {
            Disruption::Redirect(to) => {
                let to = String::from_utf8_lossy(&self.expand(to, Some(step))).into_owned();
                Action::Redirect(step.rule.status.unwrap_or(302), to)
            }
            Disruption::Drop => Action::Drop,
            _ => Action::Deny(step.rule.status.unwrap_or(403)),
        };
        Refusal { rule: step.rule.id, action }
    }

    /// Whether the chain matches. What its links do is done.
    fn step(&mut self, step: &Step) -> bool {
        match step.glance {
            Glance::Gate(gate) => {
                let held = self.state.store.get(gate.slot);
                return held.is_some_and(|held| gate.comparison.holds(held.number(&self.state.values), gate.number));
            }
            Glance::Sought { group, bit } if self.prefilter && !scan::has(self.group(group), bit) => return false,
            Glance::Sought { .. } | Glance::None => {}
        }
        self.state.traces.clear();
        self.state.added = 0;
        for (link, at) in step.rule.links.iter().zip(0..) {
            self.state.link = at;
            if !self.link(link, step, at) {
                return false;
            }
        }
        if let Some(severity) = step.rule.about.severity {
            self.state.highest = Some(self.state.highest.map_or(severity, |highest| highest.min(severity)));
        }
        if step.rule.log && self.report.matches.len() < MATCHES_MAX {
            let found = self.told(step);
            self.report.matches.push(found);
        }
        true
    }

    fn link(&mut self, link: &Plan, step: &Step, at: usize) -> bool {
        let Some(check) = &link.check else {
            self.effects(link, step);
            return true;
        };
        // That of the first was looked at before.
        if let Some(sought) = check.sought.filter(|_| self.prefilter && at > 0)
            && let Some(group) = sought.group
            && !scan::has(self.group(group), sought.bit)
        {
            return false;
        }
        if at > 0 {
            std::mem::swap(&mut self.state.matched, &mut self.state.matched_before);
        } else {
            self.state.matched_before.clear();
        }
        self.state.matched.clear();
        let mut found = false;
        for use_ in &check.uses {
            found |= self.target(*use_, check, link, step);
        }
        found
    }

    /// Tests the members that a target names. Whether one matched.
    fn target(&mut self, use_: Use, check: &Check, link: &Plan, step: &Step) -> bool {
        let Some(field) = self.program.fields.get(use_.field) else { return false };
        let except = self.exceptions(field.variable, check, step);
        if let (Some(lane), Some(sought), true) = (use_.lane, check.sought, self.prefilter && !use_.count) {
            if !scan::has(self.state.lanes.words(lane, self.program.scan.width()), sought.bit) {
                return false;
            }
            let places = self.state.places.get(lane).cloned().unwrap_or_default();
            let mut found = false;
            for place in places {
                let Some(sight) = self.state.sights.get(place).copied() else { break };
                found |= self.look(sight, use_, &except, check, link, step);
            }
            return found;
        }
        let mut sights = std::mem::take(&mut self.state.fresh);
        sights.clear();
        self.sights(use_.field, check.chain, check.multi_match, &mut sights);
        if use_.count {
            let names = &self.state.values;
            sights.retain(|sight| !except.iter().any(|exception| exception.matcher.takes(names.text(sight.name))));
            let count = self.state.values.of(sights.len().to_string().as_bytes());
            sights.clear();
            sights.push(Sight { name: EMPTY, value: count });
        }
        let mut found = false;
        for sight in &sights {
            found |= self.look(*sight, use_, &except, check, link, step);
        }
        self.state.fresh = sights;
        found
    }

    /// Tests one member in one form.
    fn look(
        &mut self,
        sight: Sight,
        use_: Use,
        except: &[Arc<Exception>],
        check: &Check,
        link: &Plan,
        step: &Step,
    ) -> bool {
        // The rest of a great many is not worth a look any more: the step is the last.
        if self.state.values.work.is_exceeded() || !self.test(sight.value, check) {
            return false;
        }
        // After the test, which nearly always fails: names are compared for few.
        let name = self.state.values.text(sight.name);
        if except.iter().any(|exception| exception.matcher.takes(name)) {
            return false;
        }
        if check.capture && !check.negated {
            self.keep_groups(sight.value, check);
        }
        let Some(field) = self.program.fields.get(use_.field) else { return false };
        let matched = Matched { variable: field.variable, name: sight.name, value: sight.value };
        self.state.matched.push(matched);
        self.state.matched_last = Some(matched);
        if step.rule.log {
            self.trace(matched, use_, check);
        }
        self.effects(link, step);
        true
    }

    /// Notes where a rule has matched that may speak: numbers alone, and of each link a few.
    fn trace(&mut self, matched: Matched, use_: Use, check: &Check) {
        let link = self.state.link;
        if self.state.traces.iter().filter(|trace| trace.link == link).count() < TRACES_MAX {
            let Use { field, count, .. } = use_;
            self.state.traces.push(Trace { link, field, chain: check.chain, count, matched });
        }
    }

    fn test(&mut self, value: ValueId, check: &Check) -> bool {
        if let Some(sought) = check.sought.filter(|_| self.prefilter) {
            let state = &mut *self.state;
            if state.values.span(value).len() < sought.length_min {
                return false;
            }
            if !scan::has(self.program.scan.candidates(value, &mut state.values, &mut state.seen), sought.bit) {
                return false;
            }
        }
        self.state.values.work.charge(self.state.values.span(value).len());
        let matches = match &*check.operator {
            Compiled::Fixed(operator) => operator.matches(self.state.values.text(value)),
            Compiled::Open(open) => {
                let argument = self.argument(open);
                let State { values, made, .. } = &mut *self.state;
                open.matches(values.text(value), &argument, made)
            }
        };
        matches != check.negated
    }

    /// What stands in the places of an operator's argument now.
    fn argument(&mut self, open: &Open) -> Vec<u8> {
        let (Open::Rx(argument) | Open::Number(_, argument) | Open::Text(_, argument)) = open;
        let text = self.expand(argument, None);
        if matches!(open, Open::Rx(_)) && !self.state.made.has(&text) {
            self.state.values.work.charge(work::COMPILED_BYTES);
        }
        text
    }

    /// Keeps what the groups of a pattern have found.
    fn keep_groups(&mut self, value: ValueId, check: &Check) {
        self.state.values.work.charge(self.state.values.span(value).len());
        let groups = match &*check.operator {
            Compiled::Fixed(operator) => operator.groups(self.state.values.text(value)),
            Compiled::Open(open) => {
                let argument = self.argument(open);
                let State { values, made, .. } = &mut *self.state;
                open.groups(values.text(value), &argument, made)
            }
        };
        self.capture(&groups);
    }

    /// TX:0 to TX:9.
    fn capture(&mut self, groups: &[Box<[u8]>]) {
        for (slot, at) in self.program.captures.iter().zip(0..) {
            let held = groups.get(at).map(|group| Held::Text(self.state.values.of(group)));
            self.state.store.set(*slot, held);
        }
    }

    /// What the rule leaves out of a variable, by its own words and by those of other rules.
    fn exceptions(&self, variable: Variable, check: &Check, step: &Step) -> Vec<Arc<Exception>> {
        if check.except.is_empty() && self.state.excepted.is_empty() {
            return Vec::new();
        }
        let made = self.state.excepted.iter().filter(|(rules, _)| rules.get(step.number).is_some_and(|meant| *meant));
        let exceptions = check.except.iter().chain(made.map(|(_, exception)| exception));
        exceptions.filter(|exception| is_about(exception.variable, variable)).cloned().collect()
    }
}

/// Whether an exception for one variable is about the members of another.
pub(crate) fn is_about(exception: Variable, variable: Variable) -> bool {
    exception == variable
        || match exception {
            Variable::Args => matches!(variable, Variable::ArgsGet | Variable::ArgsPost),
            _ => false,
        }
}

const MATCHES_MAX: usize = 1_000;

/// Places that are noted for each link.
const TRACES_MAX: usize = 4;
/// RFC 9110 section 15.5.14.
const CONTENT_TOO_LARGE: u16 = 413;
