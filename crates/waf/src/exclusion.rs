//! Leaves rules out of single transactions: whole rules, or some of what they look at. Exact, and free for all others.
//!
//! What can be left out is checked once, when the rules are loaded ([`Engine::exclusion`]); a transaction then only
//! notes it ([`Transaction::exclude`]). Names are compared after a rule has found something, so what is left out costs
//! nothing where nothing is found.

use std::sync::Arc;

use crate::engine::Engine;
use crate::kind::RuleKind;
use crate::program::{Exception, Field, Matcher, Program, Step};
use crate::rule::{Phase, Role, Selector, Target};
use crate::run::is_about;
use crate::seclang::read_targets;
use crate::transaction::Transaction;
use crate::variable::Variable;

/// Rules, or a part of what they look at, that a transaction leaves out.
#[derive(Debug, Clone)]
pub struct Exclusion {
    /// By the number of the chain.
    meant: Arc<[bool]>,
    /// None: the whole rule.
    exception: Option<Arc<Exception>>,
}

/// What of a rule is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'v> {
    /// All of it.
    Rule,
    /// What it finds in this variable, such as `ARGS:q`, `ARGS:/^json\.list\.\d+$/` or `REQUEST_FILENAME`.
    Variable(&'v str),
    /// What it finds in any member of this collection, such as `ARGS`.
    Collection(&'v str),
}

/// Why rules cannot be left out so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExclusionError {
    /// There is no such rule.
    #[error("no rule {rule} is loaded")]
    Unknown {
        /// As it was asked for.
        rule: u32,
        /// Those with the nearest ids, in their order.
        nearest: Vec<u32>,
    },
    /// It finds nothing itself, and others' findings come to nothing without it.
    #[error("rule {rule} {}", kind.does())]
    Needed {
        /// The rule.
        rule: u32,
        /// What it is for.
        kind: RuleKind,
    },
    /// It is no variable.
    #[error("`{variable}` is no variable: {cause}")]
    Variable {
        /// As it was asked for.
        variable: String,
        /// What is wrong with it.
        cause: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// It names a collection, and no member of it.
    #[error("`{variable}` is every member of the collection")]
    Whole {
        /// The collection.
        variable: String,
    },
    /// Its pattern takes names that nobody has thought of.
    #[error("the pattern in `{variable}` takes more than the names that it spells out")]
    Loose {
        /// As it was asked for.
        variable: String,
    },
    /// The rule does not look at it.
    #[error("rule {rule} does not look at `{variable}`")]
    Apart {
        /// The rule.
        rule: u32,
        /// As it was asked for.
        variable: String,
        /// What it looks at.
        looks_at: String,
    },
}

impl ExclusionError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { nearest, .. } if nearest.is_empty() => String::from("no rules are loaded"),
            Self::Unknown { nearest, .. } => {
                let nearest = nearest.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                format!("mistyped, or gone since the rules were updated: take it out; the nearest are {nearest}")
            }
            Self::Needed { .. } => String::from(
                "name the rule that finds what is no attack; the event says which it was, and `reeve waf suggest` proposes the entry",
            ),
            Self::Variable { help, .. } => help.clone().unwrap_or_else(|| String::from("write it as in `ARGS:q`")),
            Self::Whole { variable } => {
                format!("name one, as in `{variable}:name`, or write `whole = true` if all of them are meant")
            }
            Self::Loose { .. } => String::from(
                r"begin it with `^`, end it with `$`, and name what stays the same: `ARGS:/^json\.list\.array_\d+$/`",
            ),
            Self::Apart { looks_at, .. } => format!("it looks at {looks_at}"),
        }
    }
}

impl Engine {
    /// What a transaction is to leave out, checked against the rules.
    ///
    /// # Errors
    /// Each reason why it cannot be left out, at least one.
    pub fn exclusion(&self, rules: &[u32], part: Part<'_>) -> Result<Exclusion, Vec<ExclusionError>> {
        let mut errors: Vec<_> = rules.iter().filter_map(|rule| self.unfit(*rule)).collect();
        let exception = match part {
            Part::Rule => Ok(None),
            Part::Variable(variable) => exception(variable, false).map(Some),
            Part::Collection(variable) => exception(variable, true).map(Some),
        };
        let exception = exception.unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        if let (Some(exception), Part::Variable(variable) | Part::Collection(variable)) = (&exception, part)
            && errors.is_empty()
        {
            errors.extend(rules.iter().filter_map(|rule| self.apart(*rule, exception, variable)));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let meant = self.program.kinds.iter().map(|(id, _)| rules.contains(id)).collect();
        Ok(Exclusion { meant, exception: exception.map(Arc::new) })
    }

    /// What the rule of this id is for; none if there is no such rule.
    #[must_use]
    pub fn kind(&self, rule: u32) -> Option<RuleKind> {
        self.program.kinds.iter().find(|(id, _)| *id == rule).map(|(_, kind)| *kind)
    }

    /// Whether the rule of this id looks at a variable such as `ARGS:q`.
    #[must_use]
    pub fn looks_at(&self, rule: u32, variable: &str) -> bool {
        exception(variable, true)
            .is_ok_and(|exception| self.kind(rule).is_some() && self.apart(rule, &exception, variable).is_none())
    }

    /// What the rule of this id says of itself, as far as that does not depend on a request; empty if nothing.
    #[must_use]
    pub fn message(&self, rule: u32) -> String {
        let message = steps(&self.program).find(|step| step.rule.id == rule);
        let message = message.and_then(|step| step.rule.about.message.as_ref()?.as_plain());
        message.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }

    fn unfit(&self, rule: u32) -> Option<ExclusionError> {
        match self.kind(rule) {
            Some(RuleKind::Finds) => None,
            Some(kind) => Some(ExclusionError::Needed { rule, kind }),
            None => Some(ExclusionError::Unknown { rule, nearest: self.nearest(rule) }),
        }
    }

    /// The ids before and after.
    fn nearest(&self, rule: u32) -> Vec<u32> {
        let ids = || self.program.kinds.iter().filter(|(_, kind)| *kind == RuleKind::Finds).map(|(id, _)| *id);
        let before = ids().filter(|id| *id < rule).max();
        before.into_iter().chain(ids().filter(|id| *id > rule).min()).collect()
    }

    fn apart(&self, rule: u32, exception: &Exception, variable: &str) -> Option<ExclusionError> {
        let mut looks_at: Vec<String> = Vec::new();
        for step in steps(&self.program).filter(|step| step.rule.id == rule) {
            for check in step.rule.links.iter().filter_map(|link| link.check.as_ref()) {
                let left_out = check.except.iter().any(|except| covers(except, exception));
                for field in check.uses.iter().filter_map(|use_| self.program.fields.get(use_.field)) {
                    if !left_out && concerns(exception, field) {
                        return None;
                    }
                    let name = shown(field);
                    if !looks_at.contains(&name) && field.variable != Variable::MatchedVars {
                        looks_at.push(name);
                    }
                }
            }
        }
        let more = looks_at.len().saturating_sub(SHOWN_MAX);
        looks_at.truncate(SHOWN_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let looks_at = if looks_at.is_empty() { String::from("nothing") } else { looks_at.join(", ") + &rest };
        Some(ExclusionError::Apart { rule, variable: variable.to_owned(), looks_at })
    }
}

impl Transaction<'_> {
    /// Leaves this out from now on. To be said before the first part, and with an exclusion of the same engine; one of
    /// another engine leaves nothing out.
    pub fn exclude(&mut self, exclusion: &Exclusion) {
        let rules = self.engine.program.rules;
        if exclusion.meant.len() != rules {
            return;
        }
        match &exclusion.exception {
            Some(exception) => self.state.except(Arc::clone(&exclusion.meant), Arc::clone(exception)),
            None => self.state.remove(&exclusion.meant),
        }
    }
}

fn steps(program: &Program) -> impl Iterator<Item = &Step> {
    let phases = [Phase::RequestHead, Phase::RequestBody, Phase::ResponseHead, Phase::ResponseBody, Phase::Logging];
    phases.into_iter().flat_map(|phase| program.steps(phase))
}

/// Reads a variable as rules write it.
fn exception(text: &str, whole: bool) -> Result<Exception, ExclusionError> {
    let variable = || text.to_owned();
    let wrong = |cause: &str, help: Option<String>| {
        Err(ExclusionError::Variable { variable: variable(), cause: cause.to_owned(), help })
    };
    let targets = match read_targets(text) {
        Ok(targets) => targets,
        Err((cause, help)) => return wrong(&cause, help),
    };
    let [Target { variable: of, selector, role: Role::Member }] = targets.as_slice() else {
        return wrong("one variable is named here, without `!`, `&` and `|`", Some(String::from("as in `ARGS:q`")));
    };
    // Leaving out what a pattern has captured would leave out the whole rule, in whatever it was found.
    let captured = matches!((of, selector), (Variable::Tx, Selector::Key(key)) if matches!(&**key, [b'0'..=b'9']));
    if captured {
        let help = String::from("name the variable in which it was found");
        return wrong("a pattern has captured it, and no request names it", Some(help));
    }
    if crate::program::is_written_by_rules(*of) && *selector == Selector::All {
        return wrong("what rules write themselves has no members that a request names", None);
    }
    let has_members = crate::seclang::has_members(*of);
    if has_members && *selector == Selector::All && !whole {
        return Err(ExclusionError::Whole { variable: variable() });
    }
    let Ok(matcher) = Matcher::new(selector) else { return wrong("its pattern cannot be read", None) };
    if let Selector::Pattern(pattern) = selector {
        let whole_names = pattern.starts_with('^') && pattern.ends_with('$') && !pattern.ends_with(r"\$");
        let anything = [&b""[..], b"a", b"0", b"reeve", b"json.reeve", b"json.array_0", b"x_1-y"];
        if !whole_names || anything.into_iter().any(|name| matcher.takes(name)) || has_bare_choice(pattern) {
            return Err(ExclusionError::Loose { variable: variable() });
        }
    }
    Ok(Exception { variable: *of, matcher })
}

/// `^a|b$` says `^a` or `b$`.
fn has_bare_choice(pattern: &str) -> bool {
    let (mut depth, mut in_class, mut escaped) = (0_u32, false, false);
    for letter in pattern.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Whether there may be members of a field that an exception takes out.
fn concerns(exception: &Exception, field: &Field) -> bool {
    is_about(exception.variable, field.variable)
        && match (&exception.matcher, &field.matcher) {
            (Matcher::Key(key), other) | (other, Matcher::Key(key)) => other.takes(key),
            // Of two patterns nobody can tell.
            (Matcher::All | Matcher::Pattern(_), Matcher::All | Matcher::Pattern(_)) => true,
        }
}

/// Whether a rule leaves all of this out by its own words.
fn covers(own: &Exception, exception: &Exception) -> bool {
    is_about(own.variable, exception.variable)
        && match (&own.matcher, &exception.matcher) {
            (Matcher::All, _) => true,
            (matcher, Matcher::Key(key)) => matcher.takes(key),
            (_, Matcher::All | Matcher::Pattern(_)) => false,
        }
}

fn shown(field: &Field) -> String {
    let name = field.variable.name();
    match &field.matcher {
        Matcher::All => format!("`{name}`"),
        Matcher::Key(key) => format!("`{name}:{}`", String::from_utf8_lossy(key)),
        Matcher::Pattern(_) => format!("`{name}:/…/`"),
    }
}

/// Variables of a rule that are told.
const SHOWN_MAX: usize = 12;

#[cfg(test)]
mod tests;
