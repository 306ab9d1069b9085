//! Rules, compiled: for each phase a sequence of steps, and what they look for, shared where rules share it.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::kind::{self, Disarmed, RuleKind};
use crate::operator::{Comparison, Compiled, GROUPS_MAX};
use crate::pattern;
use crate::rule::{About, Change, Collection, Control, Disruption, Phase, Place, RuleBook, Selector, Settings, Text};
use crate::scan::{Bit, ClassBits, Scan};
use crate::seclang::Fault;
use crate::store::{Names, Slot};
use crate::transformation::Transformation;
use crate::variable::Variable;

mod gather;
mod which;

/// Everything that a rule set is, ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) settings: Settings,
    pub(crate) warnings: Vec<Fault>,
    /// What makes these rules refuse nothing, whatever they find.
    pub(crate) disarmed: Disarmed,
    /// The id of each chain, by its number, and what it is for.
    pub(crate) kinds: Vec<(u32, RuleKind)>,
    /// By [`Phase`].
    phases: [Vec<Step>; 5],
    pub(crate) fields: Vec<Field>,
    pub(crate) chains: Vec<Stages>,
    /// A field under a chain of transformations.
    pub(crate) lanes: Vec<Lane>,
    /// Lanes that rules look at together.
    pub(crate) groups: Vec<Box<[usize]>>,
    pub(crate) names: Names,
    /// TX:0 to TX:9.
    pub(crate) captures: [Slot; GROUPS_MAX],
    pub(crate) scan: Scan,
    /// How many chains of rules there are.
    pub(crate) rules: usize,
}

/// A chain of transformations.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) stages: Box<[Stage]>,
    pub(crate) triggers: Triggers,
}

/// One transformation of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) how: Transformation,
    pub(crate) triggers: Triggers,
}

/// The classes of bytes without which a transformation changes nothing, or a chain of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Triggers {
    classes: ClassBits,
    /// It may change a value with any bytes, and with none.
    always: bool,
}

impl Triggers {
    /// Whether a value with these classes may be changed.
    pub(crate) const fn meet(self, classes: ClassBits) -> bool {
        self.always || self.classes & classes != 0
    }
}

/// What a target names: members of a collection.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) variable: Variable,
    pub(crate) matcher: Matcher,
    /// Of a collection that rules write to, the member.
    pub(crate) slot: Option<Slot>,
}

#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    All,
    Key(Box<[u8]>),
    Pattern(Arc<Regex>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) field: usize,
    pub(crate) chain: usize,
    pub(crate) multi_match: bool,
}

/// A chain of rules, compiled: what it takes to pass it by. Most are passed by for each request, so this is small, and the
/// rest lies apart.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its number among all chains.
    pub(crate) number: usize,
    /// The step to go on with after a match, if it is not the next.
    pub(crate) jump: Option<usize>,
    pub(crate) glance: Glance,
    pub(crate) rule: Box<Rule>,
}

/// What is looked at first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Glance {
    /// In place of its links, where it is no more than a comparison.
    Gate(Gate),
    /// It can match only if this operator may match in this group of lanes.
    Sought { group: usize, bit: Bit },
    /// Nothing.
    None,
}

/// The rest of a chain of rules.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: u32,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    pub(crate) about: About,
    pub(crate) disruption: Disruption,
    pub(crate) status: Option<u16>,
    pub(crate) log: bool,
    pub(crate) links: Box<[Plan]>,
}

/// A rule that compares a number and goes elsewhere: what separates the paranoia levels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) slot: Slot,
    pub(crate) comparison: Comparison,
    pub(crate) number: i64,
}

/// One link, compiled.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) check: Option<Check>,
    pub(crate) effects: Box<[Deed]>,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) uses: Box<[Use]>,
    pub(crate) except: Box<[Arc<Exception>]>,
    pub(crate) chain: usize,
    pub(crate) multi_match: bool,
    pub(crate) operator: Arc<Compiled>,
    pub(crate) negated: bool,
    pub(crate) capture: bool,
    /// What it is looked for in advance by, if it is.
    pub(crate) sought: Option<Sought>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought {
    pub(crate) bit: Bit,
    pub(crate) length_min: usize,
    /// The lanes that it looks at; none where one of its targets changes while rules run.
    pub(crate) group: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) field: usize,
    pub(crate) count: bool,
    /// The field under the check's transformations, where it is looked for in advance.
    pub(crate) lane: Option<usize>,
}

/// Members that are left out.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) variable: Variable,
    pub(crate) matcher: Matcher,
}

/// What a link does when it matches, compiled.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Sets a member to a number that is known when rules are loaded.
    Number(Slot, i64),
    Set {
        collection: Collection,
        key: Key,
        change: Change,
        /// It is what rules call an anomaly score.
        scores: bool,
    },
    RemoveRules(Box<[bool]>),
    RemoveTarget(Arc<[bool]>, Arc<Exception>),
    Control(Control),
    Open {
        collection: Collection,
        key: Text,
    },
    Expire {
        collection: Collection,
        key: Text,
        seconds: Text,
    },
}

/// A member that is written to.
#[derive(Debug)]
pub(crate) enum Key {
    Known(Slot),
    Made(Text),
}

impl Program {
    pub(crate) fn new(book: RuleBook) -> Result<Self, Vec<Fault>> {
        let (kinds, disarmed) = (kind::kinds(&book), kind::disarmed(&book));
        let mut program = gather::Gatherer::new(&book).program(book)?;
        (program.kinds, program.disarmed) = (kinds, disarmed);
        Ok(program)
    }

    /// All rules, phase by phase.
    pub(crate) fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.phases.iter().flatten().map(|step| &*step.rule)
    }

    pub(crate) fn steps(&self, phase: Phase) -> &[Step] {
        let [one, two, three, four, five] = &self.phases;
        match phase {
            Phase::RequestHead => one,
            Phase::RequestBody => two,
            Phase::ResponseHead => three,
            Phase::ResponseBody => four,
            Phase::Logging => five,
        }
    }
}

impl Matcher {
    pub(crate) fn new(selector: &Selector) -> Result<Self, pattern::PatternError> {
        Ok(match selector {
            Selector::All => Self::All,
            Selector::Key(key) => Self::Key(key.clone()),
            Selector::Pattern(text) => {
                // Names are matched whatever the case of their letters, in patterns, too.
                let pattern = [b"(?i)", text.as_bytes()].concat();
                Self::Pattern(Arc::new(pattern::compile(&pattern)?))
            }
        })
    }

    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Key(key) => key.eq_ignore_ascii_case(name),
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// The collection that rules write to under a variable's name.
pub(crate) fn written(variable: Variable) -> Option<Collection> {
    Some(match variable {
        Variable::Tx => Collection::Tx,
        Variable::Env => Collection::Env,
        Variable::Global => Collection::Global,
        Variable::Ip => Collection::Ip,
        Variable::Resource => Collection::Resource,
        Variable::Session => Collection::Session,
        Variable::User => Collection::User,
        _ => return None,
    })
}

/// Whether only rules themselves write to it: a request names none of its members.
pub(crate) const fn is_written_by_rules(variable: Variable) -> bool {
    matches!(variable, Variable::MatchedVar | Variable::MatchedVars | Variable::MatchedVarName)
        || matches!(variable, Variable::MatchedVarsNames | Variable::Tx)
}

/// Whether its members change while the rules of one phase run.
fn is_volatile(variable: Variable) -> bool {
    written(variable).is_some()
        || matches!(
            variable,
            Variable::MatchedVar
                | Variable::MatchedVars
                | Variable::MatchedVarName
                | Variable::MatchedVarsNames
                | Variable::HighestSeverity
                | Variable::ReqbodyProcessor
                | Variable::Rule
                | Variable::Duration
        )
}
