//! What an event says of a finding: which rules, in which variables, how much it came to. Never a value.

use std::fmt::Write as _;

use reeve_waf::Report;

/// `rules 942100, 949110 at ARGS:q, score 5`.
pub(super) fn told(report: &Report, score: Option<i64>) -> String {
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

/// A variable's name. The part after the colon is the client's: shown if it is a name and no text.
fn shown(variable: &str) -> String {
    let Some((collection, member)) = variable.split_once(':') else { return variable.to_owned() };
    let is_name = member.len() <= NAME_BYTES_MAX
        && member.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]:".contains(&byte));
    if is_name { variable.to_owned() } else { format!("{collection}:…") }
}

fn list(text: &mut String, names: impl ExactSizeIterator<Item = String>, most: usize) {
    let more = names.len().saturating_sub(most);
    let names: Vec<_> = names.take(most).collect();
    text.push_str(&names.join(", "));
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
}

const RULES_MAX: usize = 12;
const VARIABLES_MAX: usize = 6;
const NAME_BYTES_MAX: usize = 48;
