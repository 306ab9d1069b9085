//! Runs the steps of a phase: looks where something may match, tests it, and does what rules say.

use std::sync::Arc;

use crate::collections::{Collections, Entry};
use crate::operator::{self, Compiled, Open};
use crate::pattern;
use crate::program::{Check, Deed, Exception, Key, Plan, Program, Step, Use, written};
use crate::rule::{
    Allow, BodyProcessor, Change, Collection, Control, Disruption, EngineMode, OfRule, Part, Phase, Severity, Text,
};
use crate::scan::{self, Seen};
use crate::store::{Held, Store, number};
use crate::transaction::{Action, Match, Refusal, Report};
use crate::values::{EMPTY, ValueId, Values};
use crate::variable::Variable;

/// Everything that changes while rules run.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) values: Values,
    pub(crate) collections: Collections,
    pub(crate) store: Store,
    seen: Seen,
    lanes: Notes,
    groups: Notes,
    /// Of the link that runs: what has matched.
    matched: Vec<Matched>,
    /// Of the link before: MATCHED_VARS.
    matched_before: Vec<Matched>,
    matched_last: Option<Matched>,
    /// Chains that a rule has switched off, by number.
    removed: Vec<bool>,
    excepted: Vec<(Arc<[bool]>, Arc<Exception>)>,
    members: Vec<Entry>,
    spare: Vec<Entry>,
    steps: Vec<ValueId>,
    highest: Option<Severity>,
}

/// A member in which something was found.
#[derive(Debug, Clone, Copy)]
struct Matched {
    variable: Variable,
    name: ValueId,
    value: ValueId,
}

/// Bits that were found for lanes or groups in this phase.
#[derive(Debug, Default)]
struct Notes {
    known: Vec<bool>,
    words: Vec<u64>,
}

impl Notes {
    fn clear(&mut self, count: usize, width: usize) {
        self.known.clear();
        self.known.resize(count, false);
        self.words.clear();
        self.words.resize(count * width, 0);
    }

    fn is_known(&self, at: usize) -> bool {
        self.known.get(at).copied().unwrap_or(true)
    }

    fn words(&self, at: usize, width: usize) -> &[u64] {
        self.words.get(at * width..(at + 1) * width).unwrap_or_default()
    }

    fn note(&mut self, at: usize, width: usize) -> &mut [u64] {
        if let Some(known) = self.known.get_mut(at) {
            *known = true;
        }
        self.words.get_mut(at * width..(at + 1) * width).unwrap_or_default()
    }
}

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
}

impl State {
    pub(crate) fn clear(&mut self, program: &Program) {
        self.values.clear();
        self.collections.clear();
        self.store.clear(&program.names);
        self.seen.clear();
        self.matched.clear();
        self.matched_before.clear();
        self.matched_last = None;
        self.removed.clear();
        self.excepted.clear();
        self.highest = None;
    }
}

impl Run<'_> {
    /// Runs a phase to its end, or to a refusal.
    pub(crate) fn phase(&mut self, phase: Phase) -> Option<Refusal> {
        let width = self.program.scan.width();
        self.state.lanes.clear(self.program.lanes.len(), width);
        self.state.groups.clear(self.program.groups.len(), width);
        let program = self.program;
        let steps = program.steps(phase);
        let mut next = 0;
        while let Some(step) = steps.get(next) {
            next += 1;
            if self.course.mode == EngineMode::Off {
                break;
            }
            if self.state.removed.get(step.number).is_some_and(|removed| *removed) || !self.step(step) {
                continue;
            }
            next = step.jump.unwrap_or(next);
            match &step.disruption {
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
        None
    }

    fn refusal(&mut self, step: &Step) -> Refusal {
        let action = match &step.disruption {
            Disruption::Redirect(to) => {
                let to = String::from_utf8_lossy(&self.expand(to, Some(step))).into_owned();
                Action::Redirect(step.status.unwrap_or(302), to)
            }
            Disruption::Drop => Action::Drop,
            _ => Action::Deny(step.status.unwrap_or(403)),
        };
        Refusal { rule: step.id, action }
    }

    /// Whether the chain matches. What its links do is done.
    fn step(&mut self, step: &Step) -> bool {
        if let Some(gate) = &step.gate {
            let held = self.state.store.get(gate.slot);
            return held.is_some_and(|held| gate.comparison.holds(held.number(&self.state.values), gate.number));
        }
        for (link, at) in step.links.iter().zip(0..) {
            if !self.link(link, step, at) {
                return false;
            }
        }
        if let Some(severity) = step.about.severity {
            self.state.highest = Some(self.state.highest.map_or(severity, |highest| highest.min(severity)));
        }
        if step.log && self.report.matches.len() < MATCHES_MAX {
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
        if let Some(sought) = check.sought.filter(|_| self.prefilter)
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
        let mut members = std::mem::take(&mut self.state.members);
        members.clear();
        self.gather(use_.field, &mut members);
        if !check.except.is_empty() || !self.state.excepted.is_empty() {
            self.leave_out(field.variable, check, step, &mut members);
        }
        if use_.count {
            let count = self.state.values.of(members.len().to_string().as_bytes());
            members.clear();
            members.push(Entry { name: EMPTY, value: count });
        }
        let mut found = false;
        for member in &members {
            if self.member(field.variable, *member, check) {
                found = true;
                self.effects(link, step);
            }
        }
        self.state.members = members;
        found
    }

    /// Tests one member, under all transformations that the check asks for.
    fn member(&mut self, variable: Variable, member: Entry, check: &Check) -> bool {
        let mut steps = std::mem::take(&mut self.state.steps);
        self.transform(member.value, check.chain, check.multi_match, &mut steps);
        let mut found = false;
        for value in &steps {
            if self.test(*value, check) {
                found = true;
                let matched = Matched { variable, name: member.name, value: *value };
                self.state.matched.push(matched);
                self.state.matched_last = Some(matched);
            }
        }
        self.state.steps = steps;
        found
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
        match &*check.operator {
            Compiled::Fixed(operator) => {
                let text = self.state.values.text(value);
                let matches = operator.matches(text);
                if matches && check.capture && !check.negated {
                    let groups = operator.groups(text);
                    self.capture(&groups);
                }
                matches != check.negated
            }
            Compiled::Open(open) => self.open(open, value, check),
        }
    }

    /// Tests with an argument that is filled in now.
    fn open(&mut self, open: &Open, value: ValueId, check: &Check) -> bool {
        let (Open::Rx(argument) | Open::Number(_, argument) | Open::Text(_, argument)) = open;
        let argument = self.expand(argument, None);
        let text = self.state.values.text(value);
        let mut found = Vec::new();
        let matches = match open {
            Open::Number(comparison, _) => comparison.holds(number(text), number(&argument)),
            Open::Text(likeness, _) => likeness.holds(text, &argument),
            // A text that makes no pattern matches nothing.
            Open::Rx(_) => pattern::compile(&argument).is_ok_and(|pattern| {
                found = operator::groups(&pattern, text);
                !found.is_empty()
            }),
        };
        if matches && check.capture && !check.negated {
            self.capture(&found);
        }
        matches != check.negated
    }

    /// TX:0 to TX:9.
    fn capture(&mut self, groups: &[Box<[u8]>]) {
        for (slot, at) in self.program.captures.iter().zip(0..) {
            let held = groups.get(at).map(|group| Held::Text(self.state.values.of(group)));
            self.state.store.set(*slot, held);
        }
    }

    /// Every value that is tested of a member: the last, or all on the way to it.
    fn transform(&mut self, value: ValueId, chain: usize, all: bool, out: &mut Vec<ValueId>) {
        out.clear();
        let values = &mut self.state.values;
        let mut value = value;
        if all {
            out.push(value);
        }
        for stage in self.program.chains.get(chain).into_iter().flatten() {
            if stage.triggers.intersects(values.bytes(value)) || stage.triggers == crate::byte_set::ByteSet::FULL {
                let becomes = values.transform(value, stage.how);
                if all && becomes != value {
                    out.push(becomes);
                }
                value = becomes;
            }
        }
        if !all {
            out.push(value);
        }
    }

    /// The operators that may match anything in a group of lanes.
    fn group(&mut self, group: usize) -> &[u64] {
        let width = self.program.scan.width();
        if !self.state.groups.is_known(group) {
            let program = self.program;
            for lane in program.groups.get(group).into_iter().flatten() {
                if !self.state.lanes.is_known(*lane) {
                    self.lane(*lane);
                }
                let state = &mut *self.state;
                scan::unite(state.groups.note(group, width), state.lanes.words(*lane, width));
            }
            self.state.groups.note(group, width);
        }
        self.state.groups.words(group, width)
    }

    /// Finds the operators that may match anything in a lane.
    fn lane(&mut self, at: usize) {
        let Some(lane) = self.program.lanes.get(at).copied() else { return };
        let width = self.program.scan.width();
        let mut members = std::mem::take(&mut self.state.spare);
        let mut steps = std::mem::take(&mut self.state.steps);
        members.clear();
        self.gather(lane.field, &mut members);
        self.state.lanes.note(at, width);
        for member in &members {
            self.transform(member.value, lane.chain, lane.multi_match, &mut steps);
            for value in &steps {
                let state = &mut *self.state;
                let candidates = self.program.scan.candidates(*value, &mut state.values, &mut state.seen);
                scan::unite(state.lanes.note(at, width), candidates);
            }
        }
        self.state.spare = members;
        self.state.steps = steps;
    }

    /// The members of a field.
    fn gather(&mut self, field: usize, out: &mut Vec<Entry>) {
        let Some(field) = self.program.fields.get(field) else { return };
        let state = &mut *self.state;
        if let Some(slot) = field.slot {
            if let Some(held) = state.store.get(slot) {
                let value = held.value(&mut state.values);
                let name = match &field.matcher {
                    crate::program::Matcher::Key(key) => state.values.of(key),
                    _ => EMPTY,
                };
                out.push(Entry { name, value });
            }
            return;
        }
        if let Some(collection) = written(field.variable) {
            let all: Vec<_> = state
                .store
                .all(&self.program.names, collection)
                .filter(|(name, _)| field.matcher.takes(name))
                .collect();
            for (name, held) in all {
                let value = held.value(&mut state.values);
                out.push(Entry { name: state.values.of(name), value });
            }
            return;
        }
        match field.variable {
            Variable::MatchedVars | Variable::MatchedVarsNames => {
                let names = field.variable == Variable::MatchedVarsNames;
                for matched in state.matched_before.clone() {
                    let name = full_name(matched, &mut state.values);
                    out.push(Entry { name, value: if names { name } else { matched.value } });
                }
            }
            variable => match single(variable, state) {
                Some(value) => out.push(Entry { name: EMPTY, value }),
                None => state.collections.gather(variable, &field.matcher, &state.values, out),
            },
        }
    }

    /// Leaves out what the rule's own exceptions name, and those that other rules have made for it.
    fn leave_out(&self, variable: Variable, check: &Check, step: &Step, members: &mut Vec<Entry>) {
        let made = self.state.excepted.iter().filter(|(rules, _)| rules.get(step.number).is_some_and(|meant| *meant));
        let exceptions: Vec<&Exception> = check
            .except
            .iter()
            .chain(made.map(|(_, exception)| &**exception))
            .filter(|exception| is_about(exception.variable, variable))
            .collect();
        if !exceptions.is_empty() {
            members.retain(|member| {
                let name = self.state.values.text(member.name);
                !exceptions.iter().any(|exception| exception.matcher.takes(name))
            });
        }
    }

    fn effects(&mut self, link: &Plan, step: &Step) {
        for deed in &link.effects {
            match deed {
                Deed::Set { collection, key, change } => self.assign(*collection, key, change, step),
                Deed::RemoveRules(meant) => {
                    self.state.removed.resize(self.program.rules, false);
                    for (removed, meant) in self.state.removed.iter_mut().zip(meant) {
                        *removed |= meant;
                    }
                }
                Deed::RemoveTarget(meant, exception) => {
                    if self.state.excepted.len() < EXCEPTED_MAX {
                        self.state.excepted.push((Arc::clone(meant), Arc::clone(exception)));
                    }
                }
                Deed::Control(control) => self.control(control),
                Deed::Open { .. } => {}
            }
        }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::RuleEngine(mode) => self.course.mode = *mode,
            Control::RequestBodyAccess(access) => self.course.request_body_access = *access,
            Control::ResponseBodyAccess(access) => self.course.response_body_access = *access,
            Control::RequestBodyProcessor(processor) => {
                self.course.processor = Some(*processor);
                let name = self.state.values.of(processor.name().as_bytes());
                self.state.collections.set(Variable::ReqbodyProcessor, name);
            }
            Control::ForceRequestBodyVariable(force) => self.course.force_request_body = *force,
            // There is no audit log beside the events, and removals were compiled to deeds of their own.
            Control::AuditEngine(_) | Control::AuditLogParts | Control::RemoveRules(_) | Control::RemoveTarget(..) => {}
        }
    }

    fn assign(&mut self, collection: Collection, key: &Key, change: &Change, step: &Step) {
        let name = match key {
            Key::Known(_) => Vec::new(),
            Key::Made(text) => self.expand(text, Some(step)).to_ascii_lowercase(),
        };
        let names = &self.program.names;
        let held = match change {
            Change::Unset => None,
            Change::Set(text) => {
                let text = self.expand(text, Some(step));
                Some(match as_number(&text) {
                    Some(number) => Held::Number(number),
                    None => Held::Text(self.state.values.of(&text)),
                })
            }
            Change::Add(text) | Change::Subtract(text) => {
                let by = number(&self.expand(text, Some(step)));
                let before = match key {
                    Key::Known(slot) => self.state.store.get(*slot),
                    Key::Made(_) => self.state.store.find(names, collection, &name),
                };
                let before = before.map_or(0, |held| held.number(&self.state.values));
                let subtracts = matches!(change, Change::Subtract(_));
                Some(Held::Number(if subtracts { before.saturating_sub(by) } else { before.saturating_add(by) }))
            }
        };
        match key {
            Key::Known(slot) => self.state.store.set(*slot, held),
            Key::Made(_) => self.state.store.put(names, collection, &name, held),
        }
    }

    /// Fills in the places of a text.
    fn expand(&mut self, text: &Text, step: Option<&Step>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &text.0 {
            match part {
                Part::Plain(plain) => out.extend_from_slice(plain),
                Part::Value(variable, key) => {
                    if let Some(value) = self.value(*variable, key.as_deref()) {
                        out.extend_from_slice(self.state.values.text(value));
                    }
                }
                Part::OfRule(of) => {
                    if let Some(step) = step {
                        self.of_rule(*of, step, &mut out);
                    }
                }
            }
            out.truncate(EXPANDED_BYTES_MAX);
        }
        out
    }

    fn of_rule(&mut self, of: OfRule, step: &Step, out: &mut Vec<u8>) {
        match of {
            OfRule::Id => out.extend_from_slice(step.id.to_string().as_bytes()),
            OfRule::Severity => {
                let severity = step.about.severity.map(|severity| (severity as u8).to_string());
                out.extend_from_slice(severity.unwrap_or_default().as_bytes());
            }
            OfRule::Message => out.extend(step.about.message.iter().flat_map(|text| self.expand(text, None))),
            OfRule::Data => out.extend(step.about.data.iter().flat_map(|text| self.expand(text, None))),
            OfRule::Revision => out.extend_from_slice(step.about.revision.as_deref().unwrap_or_default().as_bytes()),
            OfRule::Version => out.extend_from_slice(step.about.version.as_deref().unwrap_or_default().as_bytes()),
        }
    }

    /// The first member of a variable that a text names.
    fn value(&mut self, variable: Variable, key: Option<&[u8]>) -> Option<ValueId> {
        let state = &mut *self.state;
        if let Some(collection) = written(variable) {
            let held = state.store.find(&self.program.names, collection, key?)?;
            return Some(held.value(&mut state.values));
        }
        if let Some(value) = single(variable, state) {
            return Some(value);
        }
        let mut found = std::mem::take(&mut state.spare);
        found.clear();
        let matcher = key
            .map_or(crate::program::Matcher::All, |key| crate::program::Matcher::Key(key.to_ascii_lowercase().into()));
        state.collections.gather(variable, &matcher, &state.values, &mut found);
        let value = found.first().map(|entry| entry.value);
        state.spare = found;
        value
    }

    fn told(&mut self, step: &Step) -> Match {
        let mut text = |text: &Option<Text>| {
            text.as_ref().map(|text| String::from_utf8_lossy(&self.expand(text, Some(step))).into_owned())
        };
        let (message, data) = (text(&step.about.message), text(&step.about.data));
        let tags =
            step.about.tags.iter().map(|tag| String::from_utf8_lossy(&self.expand(tag, Some(step))).into_owned());
        let tags = tags.collect();
        let variable = self.state.matched_last.map(|matched| {
            let name = full_name(matched, &mut self.state.values);
            String::from_utf8_lossy(self.state.values.text(name)).into_owned()
        });
        Match {
            rule: step.id,
            place: step.place.clone(),
            phase: step.phase,
            message: message.unwrap_or_default(),
            data: data.unwrap_or_default(),
            severity: step.about.severity,
            tags,
            variable: variable.unwrap_or_default(),
        }
    }
}

/// Variables of one value that are made when they are asked for.
fn single(variable: Variable, state: &mut State) -> Option<ValueId> {
    match variable {
        Variable::MatchedVar => state.matched_last.map(|matched| matched.value),
        Variable::MatchedVarName => state.matched_last.map(|matched| full_name(matched, &mut state.values)),
        Variable::HighestSeverity => {
            let severity = state.highest.map_or(NO_SEVERITY, |severity| severity as u8);
            Some(state.values.of(severity.to_string().as_bytes()))
        }
        _ => state.collections.single(variable),
    }
}

/// `ARGS:q`, as logs and MATCHED_VAR_NAME have it.
fn full_name(matched: Matched, values: &mut Values) -> ValueId {
    let mut name = matched.variable.name().as_bytes().to_vec();
    let member = values.text(matched.name);
    if !member.is_empty() {
        name.push(b':');
        name.extend_from_slice(member);
    }
    values.of(&name)
}

/// Whether an exception for one variable is about the members of another.
fn is_about(exception: Variable, variable: Variable) -> bool {
    exception == variable
        || match exception {
            Variable::Args => matches!(variable, Variable::ArgsGet | Variable::ArgsPost),
            _ => false,
        }
}

/// A text that is a number and nothing else, and is written in the one way that numbers are.
fn as_number(text: &[u8]) -> Option<i64> {
    let number = number(text);
    (text.len() <= 20 && number.to_string().as_bytes() == text).then_some(number)
}

/// What HIGHEST_SEVERITY says when no rule has matched.
const NO_SEVERITY: u8 = 255;

/// Bounds of what hostile requests can make rules gather.
const MATCHES_MAX: usize = 1_000;
const EXCEPTED_MAX: usize = 1_000;
const EXPANDED_BYTES_MAX: usize = 1 << 16;
