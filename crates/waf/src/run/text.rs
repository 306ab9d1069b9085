//! Texts with places that are filled in while rules run.

use std::sync::Arc;

use super::Run;
use super::state::{Matched, State};
use crate::evidence::Hit;
use crate::program::{Matcher, Step, written};
use crate::rule::{OfRule, Part, Text};
use crate::transaction::Match;
use crate::values::{ValueId, Values};
use crate::variable::Variable;

impl Run<'_> {
    /// Fills in the places of a text.
    pub(super) fn expand(&mut self, text: &Text, step: Option<&Step>) -> Vec<u8> {
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

    pub(super) fn of_rule(&mut self, of: OfRule, step: &Step, out: &mut Vec<u8>) {
        match of {
            OfRule::Id => out.extend_from_slice(step.rule.id.to_string().as_bytes()),
            OfRule::Severity => {
                let severity = step.rule.about.severity.map(|severity| (severity as u8).to_string());
                out.extend_from_slice(severity.unwrap_or_default().as_bytes());
            }
            OfRule::Message => out.extend(step.rule.about.message.iter().flat_map(|text| self.expand(text, None))),
            OfRule::Data => out.extend(step.rule.about.data.iter().flat_map(|text| self.expand(text, None))),
            OfRule::Revision => {
                out.extend_from_slice(step.rule.about.revision.as_deref().unwrap_or_default().as_bytes());
            }
            OfRule::Version => out.extend_from_slice(step.rule.about.version.as_deref().unwrap_or_default().as_bytes()),
        }
    }

    /// The first member of a variable that a text names.
    pub(super) fn value(&mut self, variable: Variable, key: Option<&[u8]>) -> Option<ValueId> {
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
        let matcher = key.map_or(Matcher::All, |key| Matcher::Key(key.to_ascii_lowercase().into()));
        state.collections.gather(variable, &matcher, &state.values, &mut found);
        let value = found.first().map(|entry| entry.value);
        state.spare = found;
        value
    }

    pub(super) fn told(&mut self, step: &Step) -> Match {
        let mut text = |text: &Option<Text>| {
            text.as_ref().map(|text| String::from_utf8_lossy(&self.expand(text, Some(step))).into_owned())
        };
        let (message, data) = (text(&step.rule.about.message), text(&step.rule.about.data));
        let tags =
            step.rule.about.tags.iter().map(|tag| String::from_utf8_lossy(&self.expand(tag, Some(step))).into_owned());
        let tags = tags.collect();
        let variable = self.state.matched_last.map(|matched| {
            let name = full_name(matched, &mut self.state.values);
            String::from_utf8_lossy(self.state.values.text(name)).into_owned()
        });
        let operator = |link: usize| {
            let check = step.rule.links.get(link)?.check.as_ref().filter(|check| !check.negated)?;
            Some(Arc::clone(&check.operator))
        };
        let traces = self.state.traces.iter();
        let hits = traces.map(|trace| Hit { trace: *trace, operator: operator(trace.link) }).collect();
        Match {
            rule: step.rule.id,
            place: step.rule.place.clone(),
            phase: step.rule.phase,
            message: message.unwrap_or_default(),
            data: data.unwrap_or_default(),
            severity: step.rule.about.severity,
            tags,
            variable: variable.unwrap_or_default(),
            score: self.state.added,
            hits,
        }
    }
}

/// Variables of one value that are made when they are asked for.
pub(super) fn single(variable: Variable, state: &mut State) -> Option<ValueId> {
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

/// `ARGS:q`, as logs and MATCHED_VAR_NAME have it; of what an earlier link has found, where that was found.
pub(super) fn full_name(matched: Matched, values: &mut Values) -> ValueId {
    if matches!(matched.variable, Variable::MatchedVars | Variable::MatchedVarsNames) {
        return matched.name;
    }
    let mut name = matched.variable.name().as_bytes().to_vec();
    let member = values.text(matched.name);
    if !member.is_empty() {
        name.push(b':');
        name.extend_from_slice(member);
    }
    values.of(&name)
}

/// What HIGHEST_SEVERITY says when no rule has matched.
const NO_SEVERITY: u8 = 255;

const EXPANDED_BYTES_MAX: usize = 1 << 16;
