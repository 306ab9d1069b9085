//! An explanation, as people read it.

use std::fmt::Write as _;

use reeve_base::Timestamp;
use reeve_base::finding::Hit;

use super::{About, Asked, Explained, Place, Spoken};
use crate::command::ledger::printable;
use crate::diagnostics::plural;
use crate::screen::{ADVICE, BAD, CAREFUL, FAINT, GOOD, STRONG, Screen, paint};

/// All that is known, in lines.
pub(super) fn text(explained: &Explained, width: usize) -> String {
    let mut out = head(&explained.asked);
    if let Some(cause) = explained.asked.cause.as_ref().filter(|_| explained.rules.is_empty()) {
        let _ = write!(out, "\nNo rule refused it: {}.", printable(cause));
        return out;
    }
    out.push_str(&sum(explained));
    if explained.rules_changed {
        let _ = write!(out, "\n{}", paint(CAREFUL, "The rules have changed since: what is said of them is of today."));
    }
    for spoken in &explained.rules {
        out.push_str("\n\n");
        out.push_str(&rule(spoken, explained.threshold, width));
    }
    if explained.more > 0 {
        let _ = write!(out, "\n\nand {} that the event does not name", plural_rules(explained.more));
    }
    out
}

/// What to do next, for people alone.
pub(super) fn next(explained: &Explained, screen: &Screen) {
    let Some(event) = &explained.asked.event else { return };
    if explained.rules.is_empty() {
        return;
    }
    let path = printable(explained.asked.path.split('?').next().unwrap_or("/"));
    let trial = match explained.asked.outcome.as_str() {
        "detected" => String::new(),
        _ => format!(
            "\n  Until one is in place, an entry `[[waf.detect_only]]` with `path = \"{path}\"` lets rules only find there."
        ),
    };
    screen.talk(format_args!(
        "\n{}\n  If the request was harmless, `reeve waf suggest {event}` proposes the narrowest exclusion for it.{trial}\n  \
         Letters of a client's values stand as x and X, digits as 9, and … for what is not shown.",
        paint(STRONG, "What now"),
    ));
}

/// Which request it was, and what became of it.
fn head(asked: &Asked) -> String {
    let became = match (asked.outcome.as_str(), asked.status) {
        ("refused", Some(status)) => paint(BAD, format_args!("refused with {status}")),
        ("refused", None) => paint(BAD, "refused"),
        ("detected", _) => paint(CAREFUL, "let through, on a route where rules only find"),
        ("allowed", _) => paint(GOOD, "let through"),
        (other, _) => printable(other),
    };
    let mut out = format!("{} {}  {became}", paint(STRONG, printable(&asked.method)), printable(&asked.path));
    let time = asked.time.as_deref().map(|time| match time.parse::<Timestamp>() {
        Ok(time) => format!("{time:.3}"),
        Err(_) => printable(time),
    });
    let client = asked.client.as_ref().map(|client| format!("from {}", printable(client)));
    let event = asked.event.as_ref().map(|event| format!("event {event}"));
    let entry = asked.entry.map(|entry| format!("entry {entry} of the ledger"));
    let parts: Vec<_> = [event, time, client, entry].into_iter().flatten().collect();
    if !parts.is_empty() {
        let _ = write!(out, "\n{}", paint(FAINT, parts.join(", ")));
    }
    out
}

/// Why it came to what it came to.
fn sum(explained: &Explained) -> String {
    let Explained { score, threshold, decided, rules, more, .. } = explained;
    let mut said = Vec::new();
    let added = rules.iter().filter(|rule| rule.score != 0);
    let mut added: Vec<_> = added.map(|rule| format!("{} {:+}", rule.rule, rule.score)).collect();
    let scored = !added.is_empty();
    // An event names so many rules and no more.
    added.extend((*more > 0).then(|| String::from("and others")));
    if let (Some(score), Some(threshold), true) = (score, threshold, scored) {
        said.push(format!(
            "The score is {score} ({}), and from {threshold} on a request is refused.",
            added.join(", ")
        ));
    }
    if let Some(decided) = decided {
        let refused = if explained.asked.outcome == "detected" { "would have refused" } else { "refused" };
        let spoken = rules.iter().find(|rule| rule.rule == *decided);
        let why = match spoken {
            Some(spoken) if !spoken.compares_scores() => ", whatever the score",
            _ => "",
        };
        said.push(format!("Rule {decided} {refused} it{why}."));
    }
    if rules.is_empty() {
        said.push(String::from("No rule spoke."));
    }
    format!("\n\n{}", said.join(" "))
}

impl Spoken {
    /// Whether it looks at what others have added up.
    fn compares_scores(&self) -> bool {
        self.places.iter().any(|place| place.hit.at.to_ascii_uppercase().contains("ANOMALY_SCORE"))
    }
}

fn rule(spoken: &Spoken, threshold: Option<i64>, width: usize) -> String {
    let mut out = paint(STRONG, spoken.rule);
    if let Some(about) = &spoken.about {
        let _ = write!(
            out,
            "  {}",
            if about.message.is_empty() { "(the rule says nothing)".into() } else { printable(&about.message) }
        );
    }
    if spoken.score != 0 {
        let _ = write!(out, "  {}", paint(BAD, format_args!("{:+}", spoken.score)));
    }
    if spoken.decided {
        let _ = write!(out, "  {}", paint(BAD, "decided"));
    }
    let about = spoken.about.as_ref().map_or_else(|| String::from("no rule of this id is loaded"), described);
    let _ = write!(out, "\n  {}", paint(FAINT, about));
    let links = spoken.places.iter().map(|place| place.hit.link).max().unwrap_or_default();
    for place in &spoken.places {
        let and = if links > 0 && place.hit.link > 0 { "and " } else { "" };
        let _ = write!(out, "\n{}", self::place(place, and, threshold, width));
    }
    out
}

fn described(about: &About) -> String {
    let mut parts = vec![format!("{}:{}", about.file, about.line)];
    parts.extend(about.severity.clone());
    parts.extend(about.paranoia.map(|level| format!("paranoia level {level}")));
    parts.extend((!about.family.is_empty()).then(|| about.family.join(", ")));
    parts.join(", ")
}

/// Where it matched: the value, what became of it, and what for.
fn place(place: &Place, and: &str, threshold: Option<i64>, width: usize) -> String {
    let Hit { at, slice, steps, by, .. } = &place.hit;
    let rows = std::iter::once((format!("{and}{}", printable(at)), value(slice)));
    let rows = rows.chain(steps.iter().map(|step| (format!("  {}", step.how), value(&step.slice))));
    let rows: Vec<_> = rows.collect();
    let column = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|(name, value)| {
            let gap = " ".repeat(column.saturating_sub(name.chars().count()) + 2);
            format!("  {}{gap}{value}", paint(ADVICE, name))
        })
        .collect();
    let room = width.saturating_sub(8).clamp(40, PATTERN_CHARS_MAX);
    let pattern = place.pattern.as_ref().map(|pattern| format!(" {}", shortened(&printable(pattern), room)));
    let by = by.as_ref().map(|by| format!(": {}", printable(by)));
    if let Some(test) = &place.test {
        let by = by.unwrap_or_default();
        let is = threshold.filter(|_| test.ends_with("_anomaly_score_threshold}"));
        let is = is.map(|threshold| format!(", which is {threshold}")).unwrap_or_default();
        lines.push(format!("    {}{is}{}{by}", printable(test), pattern.unwrap_or_default()));
    } else if let Some(by) = by {
        lines.push(format!("    found{by}"));
    }
    lines.join("\n")
}

fn value(slice: &str) -> String {
    match slice {
        "" => paint(FAINT, "(empty, or left out)"),
        "…" => paint(FAINT, "… (hidden: it is a secret by its name or its look)"),
        slice => printable(slice),
    }
}

/// The beginning of a pattern; those of rule sets may have thousands of letters.
fn shortened(pattern: &str, room: usize) -> String {
    let mut short: String = pattern.chars().take(room).collect();
    if short.len() < pattern.len() {
        let _ = write!(short, "… ({} letters)", pattern.chars().count());
    }
    short
}

fn plural_rules(count: u32) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), "rule")
}

const PATTERN_CHARS_MAX: usize = 90;
