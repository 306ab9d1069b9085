//! Why a rule matched: the value as it came, what transformations made of it, and what in it decided.
//!
//! While rules run, only the numbers of values are noted, and only of rules that speak: a harmless request pays nothing
//! for this. Texts are found when somebody asks, while the transaction is still there.

use std::ops::Range;
use std::sync::Arc;

use crate::collections::Entry;
use crate::engine::Engine;
use crate::operator::{Compiled, Reason};
use crate::program::Matcher;
use crate::run::{Matched, State};
use crate::transaction::{Match, Transaction};
use crate::values::{EMPTY, ValueId};
use crate::variable::Variable;

/// A place in which one link of a rule matched.
#[derive(Debug)]
pub struct Evidence<'t> {
    /// Which link of a chain, from 0.
    pub link: usize,
    /// Such as `ARGS:q`; `&ARGS` where members were counted. What stands after the colon is the client's.
    pub variable: String,
    /// The value as it came; of what was made on the way, as it was tested.
    pub value: &'t [u8],
    /// Transformations that changed it, in turn, with what came of each. The last is what was tested.
    pub steps: Vec<(&'static str, &'t [u8])>,
    /// The part of what was tested that matched, where the operator has one.
    pub span: Option<Range<usize>>,
    /// What decided, beside the rule's own words.
    pub reason: Option<Reason>,
}

/// The same, in numbers of the transaction's values.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) trace: Trace,
    pub(crate) operator: Option<Arc<Compiled>>,
}

/// What is noted while rules run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace {
    pub(crate) link: usize,
    pub(crate) field: usize,
    pub(crate) chain: usize,
    pub(crate) count: bool,
    pub(crate) matched: Matched,
}

impl Evidence<'_> {
    /// What was tested.
    #[must_use]
    pub fn tested(&self) -> &[u8] {
        self.steps.last().map_or(self.value, |(_, text)| text)
    }
}

impl Transaction<'_> {
    /// Where a rule of this transaction matched: of each link, the first few places.
    #[must_use]
    pub fn evidence(&self, found: &Match) -> Vec<Evidence<'_>> {
        let (engine, state) = self.parts();
        found.hits.iter().map(|hit| evidence(engine, state, hit)).collect()
    }

    /// The links and variables of these places alone, which takes no looking for.
    #[must_use]
    pub fn places(&self, found: &Match) -> Vec<(usize, String)> {
        let (_, state) = self.parts();
        let traces = found.hits.iter().map(|hit| &hit.trace);
        traces.map(|trace| (trace.link, name(state, trace.matched, trace.count))).collect()
    }
}

fn evidence<'t>(engine: &Engine, state: &'t State, hit: &Hit) -> Evidence<'t> {
    let Trace { link, count, matched, .. } = hit.trace;
    let values = &state.values;
    let (value, steps) = way(engine, state, &hit.trace).unwrap_or((matched.value, Vec::new()));
    let tested = values.text(matched.value);
    let (span, reason) = hit.operator.as_ref().map_or((None, None), |operator| operator.decided(tested));
    Evidence {
        link,
        variable: name(state, matched, count),
        value: values.text(value),
        steps: steps.into_iter().map(|(how, value)| (how, values.text(value))).collect(),
        span,
        reason,
    }
}

/// The name of a variable, of what an earlier link has found that of where it was found.
fn name(state: &State, matched: Matched, count: bool) -> String {
    let member = String::from_utf8_lossy(state.values.text(matched.name));
    if matches!(matched.variable, Variable::MatchedVars | Variable::MatchedVarsNames) {
        return member.into_owned();
    }
    let (sign, variable) = (if count { "&" } else { "" }, matched.variable.name());
    if member.is_empty() { format!("{sign}{variable}") } else { format!("{sign}{variable}:{member}") }
}

/// The value from which a tested one was made, and how. None for what rules write themselves: it may be another by now.
fn way(engine: &Engine, state: &State, trace: &Trace) -> Option<(ValueId, Steps)> {
    let field = engine.program.fields.get(trace.field).filter(|_| !trace.count)?;
    let mut members = Vec::new();
    match state.collections.single(field.variable) {
        Some(value) => members.push(Entry { name: EMPTY, value }),
        None => {
            let matcher = match &field.matcher {
                Matcher::All => Matcher::Key(state.values.text(trace.matched.name).into()),
                other => other.clone(),
            };
            state.collections.gather(field.variable, &matcher, &state.values, &mut members);
        }
    }
    let named = members.iter().filter(|member| member.name == trace.matched.name).take(NAMESAKES_MAX);
    named.copied().find_map(|member| Some((member.value, steps(engine, state, trace, member.value)?)))
}

type Steps = Vec<(&'static str, ValueId)>;

/// What the transformations of a rule made of a value, up to what was tested; none if they do not lead there.
fn steps(engine: &Engine, state: &State, trace: &Trace, value: ValueId) -> Option<Steps> {
    let (mut value, mut steps) = (value, Steps::new());
    let mut there = value == trace.matched.value;
    for stage in engine.program.chains.get(trace.chain).into_iter().flat_map(|chain| &chain.stages) {
        if stage.triggers.meet(state.values.classes(value)) {
            let becomes = state.values.transformed(value, stage.how)?;
            if becomes != value {
                steps.push((stage.how.name(), becomes));
                value = becomes;
            }
        }
        there = there || value == trace.matched.value;
    }
    // Where all on the way is tested, it may have been something in the midst.
    let end = steps.iter().rposition(|(_, step)| *step == trace.matched.value).map_or(0, |at| at + 1);
    steps.truncate(end);
    there.then_some(steps)
}

/// Members of one name that are tried: who sends more gains nothing but a shorter explanation.
const NAMESAKES_MAX: usize = 64;

#[cfg(test)]
mod tests;
