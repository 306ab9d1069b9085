//! The proposals, as text that can be put into reeve.toml as it is, and as JSON.

use serde_json::json;

use super::Answer;
use super::bench::Bench;
use super::effect::{Effect, Family};
use super::narrow::Narrowed;
use super::proposal::Proposal;
use crate::diagnostics::plural;
use crate::screen::Screen;

/// Entries, and between them comments.
pub(super) fn text(answer: &Answer, bench: &Bench, screen: &Screen) -> anyhow::Result<()> {
    for (proposal, effect) in &answer.proposals {
        for rule in &proposal.rules {
            screen.data(format_args!("# {rule} {}", harmless(&bench.engine.message(*rule))))?;
        }
        if answer.narrowed.is_none() {
            let requests = plural(proposal.requests, "request");
            screen.data(format_args!("# {requests} refused, or found to be, the last {}", harmless(&proposal.last)))?;
        }
        screen.data(proposal.toml())?;
        lines(effect).iter().try_for_each(|line| screen.data(format_args!("# {line}")))?;
        screen.data("")?;
    }
    for one in &answer.unproposed {
        screen.data(format_args!("# nothing for {}: {}", harmless(&one.what), harmless(&one.why)))?;
    }
    match &answer.narrowed {
        Some(narrowed) => screen.data(format_args!("# {}", of_request(narrowed, answer.proposals.len())))?,
        None => {
            let events = plural(answer.events, "event");
            let entries = answer.proposals.len();
            screen.data(format_args!(
                "# {} from {events}; no request itself was tried: `--request` does",
                entries_of(entries)
            ))?;
        }
    }
    if !answer.proposals.is_empty() {
        screen.talk("write the reason in place of the one that stands there, and run `reeve check` and `reeve reload`");
    }
    Ok(())
}

fn entries_of(count: usize) -> String {
    if count == 1 { String::from("1 entry") } else { format!("{count} entries") }
}

fn of_request(narrowed: &Narrowed, entries: usize) -> String {
    let what = format!("{} {}", harmless(&narrowed.method), harmless(&narrowed.path));
    let rules = list(&narrowed.before);
    match (narrowed.refused, narrowed.passes) {
        (false, _) => format!("{what} is not refused by these rules: nothing is to be left out"),
        (true, true) => {
            format!(
                "{what} was refused by rules {rules}; it passes with {}, and with nothing less",
                entries_of(entries)
            )
        }
        (true, false) => format!("{what} is refused by rules {rules}, and with these as well"),
    }
}

/// What an exclusion lets by.
fn lines(effect: &Effect) -> Vec<String> {
    if let Some(cause) = &effect.untried {
        return vec![format!("What it lets by was not tried: {cause}.")];
    }
    let before: usize = effect.families.iter().map(|family| family.refused_before).sum();
    let passing: usize = effect.families.iter().map(|family| family.passing.len()).sum();
    let mut lines = vec![match (before, passing) {
        (0, _) => String::from("None of the attacks tried here is refused without it: what it lets by is not known."),
        (_, 0) => format!("Of {} refused here without it, it lets none by:", plural(before, "attack")),
        (_, _) => format!("Of {} refused here without it, it lets {passing} by:", plural(before, "attack")),
    }];
    lines.extend(effect.families.iter().filter(|family| family.refused_before > 0).map(line));
    let unseen = effect.families.iter().map(|family| (family, family.tried.saturating_sub(family.refused_before)));
    let unseen: Vec<_> =
        unseen.filter(|(_, count)| *count > 0).map(|(one, count)| format!("{} {count}", one.family)).collect();
    if !unseen.is_empty() {
        lines.push(format!("No rule refuses, with it or without: {}.", unseen.join(", ")));
    }
    if let Some(beside) = &effect.beside {
        let (before, after) = (beside.refused_before, beside.refused_after);
        lines.push(if before == after {
            format!("Beside it, in another place of the request, all {} stay refused.", plural(before, "attack"))
        } else {
            format!("Beside it, in another place of the request, {after} of {} stay refused.", plural(before, "attack"))
        });
    }
    lines
}

fn line(family: &Family) -> String {
    let Family { family: name, refused_before, by, passing, .. } = family;
    let by = if by.is_empty() { String::from("rules that are not told") } else { list(by) };
    if passing.is_empty() {
        return format!("  {name:15} none of {refused_before}, by {by}");
    }
    let shown: Vec<_> = passing.iter().take(PASSING_SHOWN_MAX).map(|attack| harmless(&clipped(attack))).collect();
    let more = passing.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("  and {more} more") } else { String::new() };
    let all = passing.len() == *refused_before;
    let rest = if all { String::from("no other rule finds them") } else { format!("the rest is refused by {by}") };
    format!("  {name:15} {} of {refused_before}; {rest}: {}{more}", passing.len(), shown.join("  "))
}

fn list(rules: &[u32]) -> String {
    let shown: Vec<_> = rules.iter().take(RULES_SHOWN_MAX).map(ToString::to_string).collect();
    let more = rules.len().saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn clipped(text: &str) -> String {
    let mut clipped: String = text.chars().take(TEXT_SHOWN_MAX).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

/// What a client sent must not steer the terminal that it is shown on, nor end a comment.
fn harmless(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// All of it, as one object.
pub(super) fn json(answer: &Answer, screen: &Screen) -> anyhow::Result<()> {
    let proposals = answer.proposals.iter().map(|(proposal, effect)| of_proposal(proposal, effect));
    let request = answer.narrowed.as_ref().map(|narrowed| {
        json!({
            "method": narrowed.method,
            "path": narrowed.path,
            "rules": narrowed.before,
            "refused": narrowed.refused,
            "passes": narrowed.passes,
        })
    });
    let value = json!({
        "schema": "reeve.suggestions/1",
        "events": answer.events,
        "request": request,
        "proposals": proposals.collect::<Vec<_>>(),
        "unproposed": answer.unproposed,
    });
    screen.data(format_args!("{value:#}"))?;
    Ok(())
}

fn of_proposal(proposal: &Proposal, effect: &Effect) -> serde_json::Value {
    json!({
        "rule": proposal.rules,
        "path": proposal.path,
        "method": proposal.method,
        "variable": proposal.variable,
        "until": proposal.until.to_string(),
        "requests": proposal.requests,
        "last": proposal.last,
        "toml": proposal.toml(),
        "effect": effect,
    })
}

const PASSING_SHOWN_MAX: usize = 3;
const TEXT_SHOWN_MAX: usize = 48;
const RULES_SHOWN_MAX: usize = 8;
