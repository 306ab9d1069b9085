//! Which members a rule looks at, and what may match them: found once for all rules that look at the same.

use super::Run;
use super::state::Members;
use super::text::{full_name, single};
use crate::collections::Entry;
use crate::program::{Matcher, Stages, written};
use crate::scan;
use crate::values::{EMPTY, ValueId};
use crate::variable::Variable;

impl Run<'_> {
    /// What a value becomes. What it is on the way goes to `way`.
    pub(super) fn transform(&mut self, value: ValueId, chain: &Stages, mut way: Option<&mut Vec<ValueId>>) -> ValueId {
        let values = &mut self.state.values;
        values.work.charge(0);
        if !chain.triggers.meet(values.classes(value)) {
            return value;
        }
        let mut value = value;
        for stage in &chain.stages {
            if stage.triggers.meet(values.classes(value)) {
                let becomes = values.transform(value, stage.how);
                if let Some(way) = way.as_mut().filter(|_| becomes != value) {
                    way.push(value);
                }
                value = becomes;
            }
        }
        value
    }

    /// The operators that may match anything in a group of lanes.
    pub(super) fn group(&mut self, group: usize) -> &[u64] {
        let width = self.program.scan.width();
        if !self.state.groups.is_known(group) {
            let program = self.program;
            self.state.groups.note(group, width);
            for lane in program.groups.get(group).into_iter().flatten() {
                if !self.state.lanes.is_known(*lane) {
                    self.lane(*lane);
                }
                let state = &mut *self.state;
                scan::unite(state.groups.note(group, width), state.lanes.words(*lane, width));
            }
        }
        self.state.groups.words(group, width)
    }

    /// Finds the operators that may match anything in a lane, or a member of its field as it came.
    pub(super) fn lane(&mut self, at: usize) {
        let program = self.program;
        let Some(lane) = program.lanes.get(at) else { return };
        let Some(chain) = program.chains.get(lane.chain) else { return };
        let width = program.scan.width();
        let members = self.members(lane.field);
        let state = &mut *self.state;
        scan::unite(state.lanes.note(at, width), state.plain.words(lane.field, width));
        if !chain.triggers.meet(members.classes) {
            return;
        }
        let mut way = std::mem::take(&mut self.state.way);
        for member in members.start..members.end {
            let Some(Entry { value, .. }) = self.state.members.get(member).copied() else { break };
            if !chain.triggers.meet(self.state.values.classes(value)) {
                continue;
            }
            way.clear();
            let last = self.transform(value, chain, lane.multi_match.then_some(&mut way));
            way.push(last);
            // As it came it was looked at for all lanes of the field.
            for form in way.iter().filter(|form| **form != value) {
                let state = &mut *self.state;
                let found = program.scan.candidates(*form, &mut state.values, &mut state.seen);
                scan::unite(state.lanes.note(at, width), found);
            }
        }
        self.state.way = way;
    }

    /// The members of a field, found once until they change.
    pub(super) fn members(&mut self, field: usize) -> Members {
        if let Some(known) = self.state.fields.get(field).copied().flatten() {
            return known;
        }
        let mut all = std::mem::take(&mut self.state.members);
        let start = all.len();
        self.gather(field, &mut all);
        let (state, scan) = (&mut *self.state, &self.program.scan);
        let (plain, mut classes, mut before) = (state.plain.note(field, scan.width()), 0, None);
        for Entry { value, .. } in all.get(start..).unwrap_or_default() {
            classes |= state.values.classes(*value);
            let place = scan.place(*value, &mut state.values, &mut state.seen);
            if before.replace(place) != Some(place) {
                scan::unite(plain, scan.words(place, &state.seen));
            }
        }
        let members = Members { start, end: all.len(), classes };
        state.members = all;
        if let Some(known) = state.fields.get_mut(field) {
            *known = Some(members);
        }
        members
    }

    /// The members of a field.
    pub(super) fn gather(&mut self, field: usize, out: &mut Vec<Entry>) {
        let Some(field) = self.program.fields.get(field) else { return };
        let state = &mut *self.state;
        if let Some(slot) = field.slot {
            if let Some(held) = state.store.get(slot) {
                let value = held.value(&mut state.values);
                let name = match &field.matcher {
                    Matcher::Key(key) => state.values.of(key),
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
}
