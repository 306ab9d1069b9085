//! What an event says of a finding: which rules, in which variables, how much it came to, and of each value a slice that
//! gives nothing away (`mask`). Made only where something is refused, or would be.

use std::fmt::Write as _;
use std::ops::Range;

use reeve_base::Findings;
use reeve_base::finding::{Change, FINDINGS_MAX, Finding, HITS_MAX, Hit, STEPS_MAX};
use reeve_waf::{Evidence, Match, Phase, Reason, Report, Transaction};

use super::mask;
use crate::redact;

/// What rules found in a request, for its event.
#[derive(Debug)]
pub(crate) struct Told {
    /// `rules 942100, 949110 at ARGS:q, score 5`.
    pub(crate) cause: String,
    /// The same, piece by piece.
    pub(crate) findings: Findings,
}

/// How much of values is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// What an event may hold.
    Masked,
    /// A part, as it is: to whoever brought the request.
    InClear,
}

/// What rules of this digest found in a request that the reader has brought: values are shown as they are, in part.
/// Never for what somebody else has sent.
#[must_use]
pub fn found_in_clear(transaction: &Transaction<'_>, digest: &str) -> Findings {
    Told::made(transaction, digest, Shown::InClear).findings
}

impl Told {
    /// What is told of a transaction by rules of this digest.
    pub(super) fn of(transaction: &Transaction<'_>, digest: &str) -> Self {
        Self::made(transaction, digest, Shown::Masked)
    }

    fn made(transaction: &Transaction<'_>, digest: &str, how: Shown) -> Self {
        let report = transaction.report();
        let sums = if is_of_answer(report) { &OUTBOUND } else { &INBOUND };
        let score = sums.score(transaction);
        let mut teller = Teller { transaction, how, room: SLICES_BYTES_MAX };
        let findings = Findings {
            rules: digest.to_owned(),
            rule: report.refusal.as_ref().map(|refusal| refusal.rule),
            score,
            threshold: transaction.number(sums.threshold),
            found: report.matches.iter().take(FINDINGS_MAX).map(|found| teller.finding(found)).collect(),
            more: u32::try_from(report.matches.len().saturating_sub(FINDINGS_MAX)).unwrap_or(u32::MAX),
        };
        Self { cause: cause(report, score), findings }
    }
}

/// Whether the answer is what is refused, and not the request.
fn is_of_answer(report: &Report) -> bool {
    let decided = report.refusal.as_ref().map(|refusal| refusal.rule);
    let phase = report.matches.iter().rev().find(|found| Some(found.rule) == decided).map(|found| found.phase);
    phase.is_some_and(|phase| phase >= Phase::ResponseHead)
}

/// The names that rule sets give to what adds up.
struct Sums {
    whole: [&'static str; 2],
    /// Before the number of a level.
    level: &'static str,
    threshold: &'static str,
}

const INBOUND: Sums = Sums {
    whole: ["blocking_inbound_anomaly_score", "anomaly_score"],
    level: "inbound_anomaly_score_",
    threshold: "inbound_anomaly_score_threshold",
};
const OUTBOUND: Sums = Sums {
    whole: ["blocking_outbound_anomaly_score", "outbound_anomaly_score"],
    level: "outbound_anomaly_score_",
    threshold: "outbound_anomaly_score_threshold",
};

impl Sums {
    /// What has added up.
    fn score(&self, transaction: &Transaction<'_>) -> Option<i64> {
        let whole = self.whole.iter().find_map(|name| transaction.number(name));
        whole.or_else(|| {
            let levels = ["pl1", "pl2", "pl3", "pl4"];
            let scores = levels.iter().filter_map(|level| transaction.number(&[self.level, level].concat()));
            scores.reduce(|sum, score| sum.saturating_add(score))
        })
    }
}

/// Tells of one match after the other, in the room that there is.
struct Teller<'t> {
    transaction: &'t Transaction<'t>,
    how: Shown,
    /// Bytes that slices may still take. Without, rules and places are told alone: neither the event nor the work for it
    /// may grow with what a client sends.
    room: usize,
}

impl Teller<'_> {
    fn finding(&mut self, found: &Match) -> Finding {
        let mut hits: Vec<Hit> = Vec::new();
        // A rule may name a variable in two ways.
        let mut add = |hit: Hit| {
            if hits.len() < HITS_MAX && !hits.contains(&hit) {
                hits.push(hit);
            }
        };
        if self.room == 0 {
            let places = self.transaction.places(found).into_iter();
            places
                .for_each(|(link, variable)| add(Hit { link: number(link), at: self.at(&variable), ..Hit::default() }));
        } else {
            for evidence in self.transaction.evidence(found) {
                let hit = hit(&evidence, self.how, self.at(&evidence.variable));
                let steps = hit.steps.iter().map(|step| step.slice.len()).sum::<usize>();
                self.room = self.room.saturating_sub(hit.slice.len() + steps);
                add(hit);
            }
        }
        Finding { rule: found.rule, score: found.score, hits }
    }

    fn at(&self, variable: &str) -> String {
        match self.how {
            Shown::Masked => shown(variable),
            Shown::InClear => mask::printable(variable.as_bytes()),
        }
    }
}

fn hit(evidence: &Evidence<'_>, how: Shown, at: String) -> Hit {
    let masked = how == Shown::Masked;
    let variable = evidence.variable.as_str();
    let by = by(evidence, masked);
    let (mut slice, mut steps) = (String::new(), Vec::new());
    // What stands before and behind the part that matched is known of the last text alone.
    let last = evidence.steps.len();
    for (step, text) in std::iter::once(evidence.value).chain(evidence.steps.iter().map(|(_, text)| *text)).enumerate()
    {
        let tested = step == last;
        let how = step.checked_sub(1).and_then(|before| evidence.steps.get(before)).map(|(how, _)| *how);
        let span = evidence.span.clone().filter(|_| tested);
        let phrase = evidence.reason.as_ref().and_then(phrase).filter(|_| tested);
        let value = mask::Value { variable, how, text, span, phrase };
        let shown = if masked { mask::slice(&value) } else { mask::in_clear(&value) };
        match how {
            None => slice = shown,
            Some(how) => steps.push(Change { how: how.to_owned(), slice: shown }),
        }
    }
    // The first ones and the last.
    while steps.len() > STEPS_MAX {
        steps.remove(STEPS_MAX - 1);
    }
    Hit { link: number(evidence.link), at, slice, steps, by }
}

fn number(link: usize) -> u32 {
    u32::try_from(link).unwrap_or(u32::MAX)
}

fn phrase(reason: &Reason) -> Option<&str> {
    match reason {
        Reason::Phrase(phrase) => Some(phrase),
        _ => None,
    }
}

/// What decided, in a few words. What of a hidden value matched would tell what it is.
fn by(evidence: &Evidence<'_>, masked: bool) -> Option<String> {
    let (variable, text) = (evidence.variable.as_str(), evidence.tested());
    let hidden = masked && mask::hides(variable, text, evidence.span.as_ref());
    let open = |text: String| Some(text).filter(|_| !hidden);
    match &evidence.reason {
        Some(Reason::Phrase(phrase)) => open(format!("phrase `{}`", clipped(phrase))),
        Some(Reason::Form(form)) => Some(format!("form `{}`", clipped(form))),
        Some(Reason::Script(what)) => Some((*what).to_owned()),
        Some(Reason::Byte(byte)) => open(format!("byte 0x{byte:02x}")),
        Some(Reason::Encoding(what)) => Some(format!("broken {what}")),
        Some(_) => None,
        // Of a pattern, what it matched; all of a value stands there anyway.
        None => {
            let span = evidence.span.clone().filter(|span| !span.is_empty() && span.len() < text.len())?;
            let how = evidence.steps.last().map(|(how, _)| *how);
            let value = mask::Value { variable, how, text, span: Some(span), phrase: None };
            let part = if masked { mask::part(&value) } else { mask::part_in_clear(&value) };
            open(format!("`{part}`"))
        }
    }
}

fn clipped(text: &str) -> String {
    let mut clipped: String = text.chars().filter(|letter| !letter.is_control()).take(BY_CHARS_MAX).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

fn cause(report: &Report, score: Option<i64>) -> String {
    worded(report, score, (RULES_MAX, VARIABLES_MAX))
}

/// The same with every rule and every variable: at most as many as the engine notes.
pub(super) fn told_whole(report: &Report) -> String {
    worded(report, None, (usize::MAX, usize::MAX))
}

fn worded(report: &Report, score: Option<i64>, (rules_max, variables_max): (usize, usize)) -> String {
    let mut rules: Vec<u32> = report.matches.iter().map(|found| found.rule).collect();
    rules.extend(report.refusal.as_ref().map(|refusal| refusal.rule));
    let mut seen = Vec::new();
    rules.retain(|rule| !seen.contains(rule) && (seen.push(*rule), true).1);
    let mut variables: Vec<String> = Vec::new();
    // What sums up looks at what others have found.
    for found in report.matches.iter().filter(|found| !of_rules(&found.variable)) {
        let name = shown(&found.variable);
        if !variables.contains(&name) {
            variables.push(name);
        }
    }
    let mut text = String::from(if rules.len() == 1 { "rule " } else { "rules " });
    list(&mut text, rules.iter().map(ToString::to_string), rules_max);
    if !variables.is_empty() {
        text.push_str(" at ");
        list(&mut text, variables.into_iter(), variables_max);
    }
    if let Some(score) = score.filter(|score| *score > 0) {
        let _ = write!(text, ", score {score}");
    }
    text
}

fn of_rules(variable: &str) -> bool {
    variable.is_empty() || variable.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("TX:"))
}

/// A variable's name. The part after the colon is the client's: shown if it is a name and no text, and no secret that
/// stands where a name should.
fn shown(variable: &str) -> String {
    let Some((collection, member)) = variable.split_once(':') else { return variable.to_owned() };
    // XML is named by paths, which are the rules' own.
    let is_name = member.len() <= NAME_BYTES_MAX
        && member.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]:$".contains(&byte))
        && !redact::is_secret(member);
    let own = collection.eq_ignore_ascii_case("XML");
    if is_name || own { variable.to_owned() } else { format!("{collection}:…") }
}

fn list(text: &mut String, names: impl ExactSizeIterator<Item = String>, most: usize) {
    let more = names.len().saturating_sub(most);
    let names: Vec<_> = names.take(most).collect();
    text.push_str(&names.join(", "));
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
}

/// Where of what was tested something matched.
pub(super) type Part = Range<usize>;

const RULES_MAX: usize = 12;
const VARIABLES_MAX: usize = 6;
const NAME_BYTES_MAX: usize = 48;
const BY_CHARS_MAX: usize = 48;

/// All slices of one event together.
const SLICES_BYTES_MAX: usize = 4 * 1024;
