//! Runs the steps of a phase: looks where something may match, tests it, and does what rules say.

use std::sync::Arc;

use crate::collections::Entry;
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

/// On whose behalf a member is tested.
struct About<'a> {
    variable: Variable,
    use_: Use,
    check: &'a Check,
    link: &'a Plan,
    step: &'a Step,
}

impl Run<'_> {
    /// Runs a phase to its end, or to a refusal.
    pub(crate) fn phase(&mut self, phase: Phase) -> Option<Refusal> {
        let program = self.program;
        self.state.refresh(program);
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
        let about = About { variable: field.variable, use_, check, link, step };
        if let (Some(lane), Some(sought), true) = (use_.lane, check.sought, self.prefilter && !use_.count) {
            if !scan::has(self.state.lanes.words(lane, self.program.scan.width()), sought.bit) {
                return false;
            }
            let members = self.members(use_.field);
            let mut found = false;
            for at in members.start..members.end {
                let Some(member) = self.state.members.get(at).copied() else { break };
                found |= self.member(member, &about);
            }
            return found;
        }
        let mut members = std::mem::take(&mut self.state.fresh);
        members.clear();
        self.gather(use_.field, &mut members);
        if use_.count {
            let (names, except) = (&self.state.values, self.exceptions(&about));
            members.retain(|member| !except.iter().any(|exception| exception.matcher.takes(names.text(member.name))));
            let value = self.state.values.of(members.len().to_string().as_bytes());
            members.clear();
            members.push(Entry { name: EMPTY, value });
        }
        let mut found = false;
        for member in &members {
            found |= self.member(*member, &about);
        }
        self.state.fresh = members;
        found
    }

    /// Tests one member: what it is in the end, or all on the way to it.
    fn member(&mut self, member: Entry, about: &About<'_>) -> bool {
        let check = about.check;
        let Some(chain) = self.program.chains.get(check.chain) else { return false };
        let Entry { name, value } = member;
        if !check.multi_match {
            let value = self.transform(value, chain, None);
            return self.look(Entry { name, value }, about);
        }
        let mut way = std::mem::take(&mut self.state.way);
        way.clear();
        let last = self.transform(value, chain, Some(&mut way));
        way.push(last);
        let mut found = false;
        for value in &way {
            found |= self.look(Entry { name, value: *value }, about);
        }
        self.state.way = way;
        found
    }

    /// Tests one member in one form.
    fn look(&mut self, member: Entry, about: &About<'_>) -> bool {
        let About { variable, use_, check, link, step } = *about;
        // The rest of a great many is not worth a look any more: the step is the last.
        if self.state.values.work.is_exceeded() || !self.test(member.value, check) {
            return false;
        }
        // After the test, which nearly always fails: names are compared for few.
        let name = self.state.values.text(member.name);
        if self.exceptions(about).iter().any(|exception| exception.matcher.takes(name)) {
            return false;
        }
        if check.capture && !check.negated {
            self.keep_groups(member.value, check);
        }
        let matched = Matched { variable, name: member.name, value: member.value };
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
    fn exceptions(&self, about: &About<'_>) -> Vec<Arc<Exception>> {
        let About { variable, check, step, .. } = *about;
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
