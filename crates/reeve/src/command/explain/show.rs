//! One control, as text and as JSON.

use reeve_policy::catalogue::{self, Control};
use serde::Serialize;

use super::example;
use crate::screen::{FAINT, STRONG, paint};

/// A control that this version enforces or proves.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    name: &'static str,
    status: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    enforced_by: &'static str,
    proved_by: &'static str,
    /// Items of frameworks. This reading is Reeve's own, not an official mapping.
    serves: &'static [&'static str],
    example: Option<String>,
}

#[derive(Debug, Serialize)]
struct Parameter {
    name: &'static str,
    summary: &'static str,
    /// As the policy writes it.
    default: String,
    expected: &'static str,
    /// As the policy writes them, without quotes.
    least: Option<String>,
    greatest: Option<String>,
    schema: serde_json::Value,
}

impl Explained {
    /// Everything that is known of the control.
    pub(super) fn of(control: &Control) -> Self {
        let facts = control.facts();
        let parameters = control.parameters().into_iter().map(|parameter| {
            let (least, greatest) = parameter.bounds.unzip();
            Parameter {
                name: parameter.name,
                summary: parameter.summary,
                default: parameter.written,
                expected: parameter.expected,
                least,
                greatest,
                schema: parameter.schema,
            }
        });
        Self {
            name: facts.name,
            status: "typed",
            summary: facts.summary,
            parameters: parameters.collect(),
            enforced_by: facts.enforced,
            proved_by: facts.proved,
            serves: facts.serves,
            example: example::clause(control),
        }
    }

    /// For people, `width` columns wide.
    pub(super) fn text(&self, width: usize) -> String {
        let mut parts = vec![format!("{}\n{}", paint(STRONG, self.name), wrapped(self.summary, "  ", width))];
        if self.parameters.is_empty() {
            parts.push(format!("{}\n  none: a clause writes no `with`", paint(STRONG, "Parameters")));
        } else {
            let listed: Vec<_> = self.parameters.iter().map(|parameter| parameter.text(width)).collect();
            parts.push(format!("{}\n{}", paint(STRONG, "Parameters"), listed.join("\n")));
        }
        for (heading, text) in [("Enforced by", self.enforced_by), ("Proved by", self.proved_by)] {
            parts.push(format!("{}\n{}", paint(STRONG, heading), wrapped(text, "  ", width)));
        }
        let serves = wrapped(&self.serves.join(", "), "  ", width);
        parts.push(format!(
            "{} {}\n{serves}",
            paint(STRONG, "Serves"),
            paint(FAINT, "(our reading, no official mapping)")
        ));
        if let Some(example) = &self.example {
            let indented: Vec<_> = example.lines().map(|line| format!("  {line}")).collect();
            parts.push(format!("{}\n{}", paint(STRONG, "Example"), indented.join("\n")));
        }
        parts.join("\n\n")
    }
}

impl Parameter {
    fn text(&self, width: usize) -> String {
        let mut lines = vec![format!("  {}", paint(STRONG, self.name)), wrapped(self.summary, "    ", width)];
        lines.push(labelled("write", self.expected, width));
        if let (Some(least), Some(greatest)) = (&self.least, &self.greatest) {
            lines.push(labelled("bounds", &format!("{least} to {greatest}"), width));
        }
        lines.push(labelled("default", &self.default, width));
        lines.join("\n")
    }
}

/// A control that is only named.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    name: &'static str,
    status: &'static str,
    capability: &'static str,
}

impl Planned {
    /// What is known of it.
    pub(super) const fn of(planned: catalogue::Planned) -> Self {
        Self { name: planned.name, status: "planned", capability: planned.capability }
    }

    /// For people, `width` columns wide.
    pub(super) fn text(&self, width: usize) -> String {
        let text = format!(
            "Planned, in the capability `{}`; this version neither enforces nor proves it. A clause may name it: its \
             parameters are kept as written, and its verdict is `unknown (not built)`.",
            self.capability
        );
        format!("{}\n{}", paint(STRONG, self.name), wrapped(&text, "  ", width))
    }
}

fn labelled(label: &str, text: &str, width: usize) -> String {
    let first = format!("    {}", paint(FAINT, format_args!("{label:<9}")));
    format!("{first}{}", wrapped(text, "             ", width).trim_start())
}

/// `text` in lines of at most `width` columns, each behind `indent`. A word that is longer stands alone.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { continue };
        let begun = line.len() > indent.len();
        if begun && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("{indent}{word}"));
        } else {
            line.push_str(if begun { " " } else { "" });
            line.push_str(word);
        }
    }
    lines.join("\n")
}
