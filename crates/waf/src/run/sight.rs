//! Which members a rule looks at, and in what form: found once for all rules that look at the same.

use super::Run;
use super::state::Sight;
use super::text::{full_name, single};
use crate::collections::Entry;
use crate::program::{Matcher, written};
use crate::scan;
use crate::values::EMPTY;
use crate::variable::Variable;

impl Run<'_> {
    /// What is tested of a member: what it is in the end, or all on the way to it.
    pub(super) fn transform(&mut self, member: Entry, chain: usize, all: bool, out: &mut Vec<Sight>) {
        let values = &mut self.state.values;
        values.work.charge(0);
        let (name, mut value) = (member.name, member.value);
        for stage in self.program.chains.get(chain).into_iter().flatten() {
            if stage.always || stage.triggers.intersects(values.bytes(value)) {
                let becomes = values.transform(value, stage.how);
                if all && becomes != value {
                    out.push(Sight { name, value });
                }
                value = becomes;
            }
        }
        out.push(Sight { name, value });
    }

    /// The operators that may match anything in a group of lanes.
    pub(super) fn group(&mut self, group: usize) -> &[u64] {
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

    /// Finds what a lane holds, and the operators that may match anything in it.
    pub(super) fn lane(&mut self, at: usize) {
        let Some(lane) = self.program.lanes.get(at).copied() else { return };
        let width = self.program.scan.width();
        let mut sights = std::mem::take(&mut self.state.sights);
        let start = sights.len();
        self.sights(lane.field, lane.chain, lane.multi_match, &mut sights);
        if let Some(place) = self.state.places.get_mut(at) {
            *place = start..sights.len();
        }
        let state = &mut *self.state;
        let words = state.lanes.note(at, width);
        for sight in sights.get(start..).unwrap_or_default() {
            scan::unite(words, self.program.scan.candidates(sight.value, &mut state.values, &mut state.seen));
        }
        self.state.sights = sights;
    }

    /// The members of a field in every form in which they are tested.
    pub(super) fn sights(&mut self, field: usize, chain: usize, all: bool, out: &mut Vec<Sight>) {
        let mut members = std::mem::take(&mut self.state.members);
        members.clear();
        self.gather(field, &mut members);
        for member in &members {
            self.transform(*member, chain, all, out);
        }
        self.state.members = members;
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
