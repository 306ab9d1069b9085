//! What a rule is for: whether it finds something, or whether others' findings come to nothing without it.
//!
//! Told by what a rule does and not by its number, so that it holds for rules of one's own as well; the numbers of the
//! Core Rule Set's set-up and decisions stand beside it, for versions of which nobody here knows the texts.

use std::collections::BTreeSet;

use crate::pattern;
use crate::rule::{
    Chain, Change, Collection, Control, Disruption, Effect, EngineMode, Item, Operator, Part, Phase, Place, RuleBook,
    Selector, Skip, Target, Text, Which,
};
use crate::seclang::Fault;
use crate::variable::Variable;

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// It looks for something in requests or answers. Only such a rule can be left out of a part of a site.
    Finds,
    /// It refuses by what others have added up.
    Decides,
    /// It adds up what others have found, or tells of the sum.
    Sums,
    /// It sets something that others rely on.
    SetsUp,
    /// It decides which rules run.
    Steers,
}

impl RuleKind {
    /// What such a rule does, after its name.
    #[must_use]
    pub const fn does(self) -> &'static str {
        match self {
            Self::Finds => "looks for something",
            Self::Decides => "decides by what others have found: without it nothing is refused",
            Self::Sums => "adds up what others have found, and finds nothing itself",
            Self::SetsUp => "sets up what other rules rely on",
            Self::Steers => "decides which other rules run",
        }
    }
}

/// A rule that a directive has taken away, or has made to refuse no longer.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where the directive stands.
    pub(crate) place: Place,
    pub(crate) id: u32,
    /// The rule, if it is gone.
    pub(crate) chain: Option<Chain>,
}

/// Rules that make others' findings come to nothing.
#[derive(Debug, Default)]
pub(crate) struct Disarmed {
    /// For every request.
    pub(crate) always: Vec<Fault>,
    /// For some.
    pub(crate) sometimes: Vec<Fault>,
}

/// For each chain of the book, by its number, its id and what it is for.
pub(crate) fn kinds(book: &RuleBook) -> Vec<(u32, RuleKind)> {
    let scores = Scores::of(book);
    chains(book).map(|chain| (chain.id, scores.kind(chain))).collect()
}

/// Finds what makes the rules of a book refuse nothing.
pub(crate) fn disarmed(book: &RuleBook) -> Disarmed {
    let scores = Scores::of(book);
    let mut found = Disarmed::default();
    for taken in &book.taken {
        scores.taken(taken, book, &mut found);
    }
    for chain in chains(book).filter(|chain| chain.phase != Phase::Logging) {
        scores.switches(chain, book, &mut found);
    }
    found
}

fn chains(book: &RuleBook) -> impl Iterator<Item = &Chain> {
    book.items.iter().filter_map(|item| match item {
        Item::Chain(chain) => Some(&**chain),
        Item::Marker(_) => None,
    })
}

/// Members of TX to which rules add, and those that are made of them, as far as any rule tests what comes of it; in lower
/// case. What only counts, to tell members apart, is none.
struct Scores(BTreeSet<Vec<u8>>);

impl Scores {
    fn of(book: &RuleBook) -> Self {
        let taken = book.taken.iter().filter_map(|taken| taken.chain.as_ref());
        let all: Vec<&Chain> = chains(book).chain(taken).collect();
        let assigned = || all.iter().flat_map(|chain| assignments(chain));
        let adds = |change: &Change| matches!(change, Change::Add(_) | Change::Subtract(_));
        let sums = closed(|known| {
            let grows = assigned().filter(|(_, change)| adds(change) || !of_them(known, change).is_empty());
            grows.map(|(key, _)| key).collect()
        });
        let tests = all.iter().flat_map(|chain| &chain.links).filter_map(|link| link.test.as_ref());
        let targets = tests.flat_map(|test| &test.targets).filter(|target| target.variable == Variable::Tx);
        let tested: BTreeSet<Vec<u8>> = targets.flat_map(|target| meant(target, &sums)).cloned().collect();
        Self(closed(|known| {
            let leads = assigned().filter(|(to, _)| known.contains(to)).flat_map(|(_, change)| of_them(&sums, change));
            tested.iter().cloned().chain(leads).collect()
        }))
    }

    /// Whether what is assigned is made of a sum.
    fn mentions(&self, change: &Change) -> bool {
        !of_them(&self.0, change).is_empty()
    }

    fn kind(&self, chain: &Chain) -> RuleKind {
        if SET_UP.contains(&chain.id) {
            return RuleKind::SetsUp;
        }
        if self.weighs(chain) || WEIGH.iter().any(|ids| ids.contains(&chain.id)) {
            return if is_disruptive(chain) { RuleKind::Decides } else { RuleKind::Sums };
        }
        let tests = || chain.links.iter().filter_map(|link| link.test.as_ref());
        let quiet = !chain.log && matches!(chain.disruption, Disruption::Pass | Disruption::Block);
        let adds = assignments(chain).any(|(key, _)| self.0.contains(&key));
        let of_rules = tests().all(|test| test.targets.iter().all(|target| target.variable == Variable::Tx));
        let carries = assignments(chain).any(|(_, change)| self.mentions(change));
        let controls = chain.links.iter().flat_map(|link| &link.effects).any(is_control);
        if of_rules && adds && (quiet || carries) {
            RuleKind::Sums
        } else if adds || is_disruptive(chain) {
            RuleKind::Finds
        } else if chain.skip.as_ref().is_some_and(|skip| *skip != Skip::Count(0)) {
            RuleKind::Steers
        } else if controls || quiet {
            RuleKind::SetsUp
        } else {
            RuleKind::Finds
        }
    }

    /// Whether it looks at a sum.
    fn weighs(&self, chain: &Chain) -> bool {
        let mut tests = chain.links.iter().filter_map(|link| link.test.as_ref());
        tests.any(|test| test.targets.iter().any(|target| self.reads(target)))
    }

    /// Whether a target is a sum.
    fn reads(&self, target: &Target) -> bool {
        !meant(target, &self.0).is_empty()
    }

    /// Whether what others have found leads to a refusal by this rule.
    fn refuses(&self, chain: &Chain) -> bool {
        self.weighs(chain) && is_disruptive(chain) && chain.phase != Phase::Logging
    }

    fn taken(&self, taken: &Taken, book: &RuleBook, found: &mut Disarmed) {
        let phase = match &taken.chain {
            Some(chain) if self.refuses(chain) => chain.phase,
            Some(_) => return,
            None => match chains(book).find(|chain| chain.id == taken.id) {
                Some(chain) if self.weighs(chain) && chain.phase != Phase::Logging => chain.phase,
                _ => return,
            },
        };
        let left = chains(book).any(|chain| chain.phase == phase && self.refuses(chain));
        // What answers are refused by is not promised everywhere.
        let faults = if left || phase > Phase::RequestBody { &mut found.sometimes } else { &mut found.always };
        let message = format!("rule {} {}", taken.id, RuleKind::Decides.does());
        faults.push(Fault { place: taken.place.clone(), message, help: Some(String::from(INSTEAD)) });
    }

    /// What a rule switches off by `ctl`.
    fn switches(&self, chain: &Chain, book: &RuleBook, found: &mut Disarmed) {
        let message = chain.links.iter().flat_map(|link| &link.effects).find_map(|effect| match effect {
            Effect::Control(Control::RuleEngine(EngineMode::Off | EngineMode::DetectionOnly)) => {
                Some(String::from("`ctl:ruleEngine` switches the rules off"))
            }
            Effect::Control(Control::RemoveRules(which)) => {
                let meant = chains(book).find(|other| self.refuses(other) && means(which, other))?;
                Some(format!("`ctl` takes rule {} away, which {}", meant.id, RuleKind::Decides.does()))
            }
            _ => None,
        });
        let Some(message) = message else { return };
        let always = chain.links.iter().all(|link| {
            link.test.as_ref().is_none_or(|test| matches!(test.operator, Operator::Always) && !test.negated)
        });
        let fault = |message| Fault { place: chain.place.clone(), message, help: Some(String::from(INSTEAD)) };
        if always {
            found.always.push(fault(format!("{message}, for every request")));
        } else if !OF_RULE_SETS.contains(&chain.id) {
            found.sometimes.push(fault(format!("{message}, where this rule matches")));
        }
    }
}

/// Grows a set until it grows no more.
fn closed(more: impl Fn(&BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut known = BTreeSet::new();
    loop {
        let before = known.len();
        known.extend(more(&known));
        if known.len() == before {
            return known;
        }
    }
}

/// The members of TX among these of which a value is made.
fn of_them(keys: &BTreeSet<Vec<u8>>, change: &Change) -> Vec<Vec<u8>> {
    let (Change::Set(text) | Change::Add(text) | Change::Subtract(text)) = change else { return Vec::new() };
    let key = |part: &Part| match part {
        Part::Value(Variable::Tx, Some(key)) => Some(key.to_ascii_lowercase()).filter(|key| keys.contains(key)),
        Part::Value(..) | Part::Plain(_) | Part::OfRule(_) => None,
    };
    text.0.iter().filter_map(key).collect()
}

/// The members of TX among these that a target names.
fn meant<'k>(target: &Target, keys: &'k BTreeSet<Vec<u8>>) -> Vec<&'k Vec<u8>> {
    if target.variable != Variable::Tx {
        return Vec::new();
    }
    match &target.selector {
        Selector::All => keys.iter().collect(),
        Selector::Key(name) => keys.get(&name.to_ascii_lowercase()).into_iter().collect(),
        Selector::Pattern(text) => match pattern::compile(&[b"(?i)", text.as_bytes()].concat()) {
            Ok(pattern) => keys.iter().filter(|key| pattern.is_match(key)).collect(),
            Err(_) => Vec::new(),
        },
    }
}

/// What the Core Rule Set decides for itself, such as to look into a share of the requests only, it is told by its set-up.
const OF_RULE_SETS: std::ops::RangeInclusive<u32> = 900_000..=999_999;

const INSTEAD: &str = "leave single rules out with `[[waf.exclude]]`, or let all of them only find on a route until a day with `[[waf.detect_only]]`";

/// What members of TX a chain writes, with names that are known, and how.
fn assignments(chain: &Chain) -> impl Iterator<Item = (Vec<u8>, &Change)> {
    chain.links.iter().flat_map(|link| &link.effects).filter_map(|effect| match effect {
        Effect::Set(set) if set.collection == Collection::Tx => {
            Some((set.key.as_plain()?.to_ascii_lowercase(), &set.change))
        }
        _ => None,
    })
}

/// Whether it changes how the rest is judged; what is written to logs is nothing of this.
const fn is_control(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Control(
            Control::RuleEngine(_)
                | Control::RequestBodyAccess(_)
                | Control::ResponseBodyAccess(_)
                | Control::RequestBodyProcessor(_)
                | Control::ForceRequestBodyVariable(_)
                | Control::RemoveRules(_)
                | Control::RemoveTarget(..)
        )
    )
}

fn means(which: &Which, chain: &Chain) -> bool {
    let says = |pattern: &str, text: &Text| {
        let pattern = pattern::compile(pattern.as_bytes());
        text.as_plain().is_some_and(|plain| pattern.is_ok_and(|pattern| pattern.is_match(plain)))
    };
    match which {
        Which::Ids(first, last) => (*first..=*last).contains(&chain.id),
        Which::Tag(tag) => chain.about.tags.iter().any(|text| says(tag, text)),
        Which::Message(message) => chain.about.message.iter().any(|text| says(message, text)),
    }
}

const fn is_disruptive(chain: &Chain) -> bool {
    matches!(chain.disruption, Disruption::Deny | Disruption::Drop | Disruption::Redirect(_))
}

/// Numbers of the Core Rule Set's settings and set-up, versions 3 and 4.
const SET_UP: std::ops::RangeInclusive<u32> = 900_000..=901_999;

/// And of the rules by which it decides and tells.
const WEIGH: [std::ops::RangeInclusive<u32>; 3] = [949_000..=949_999, 959_000..=959_999, 980_000..=980_999];

#[cfg(test)]
mod tests;
