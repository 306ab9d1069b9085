//! Diagnostics for code scanners and pipelines: SARIF 2.1.0 (OASIS), as far as Reeve has something to say in it.

use reeve_base::{Diagnostic, Severity, Source};
use serde::Serialize;

/// A log of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    /// Without it a reader would count UTF-16 units (section 3.14.17).
    column_kind: &'static str,
    invocations: [Invocation; 1],
    results: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
struct Rule {
    id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

/// Something that kept the tool from judging.
#[derive(Debug, Serialize)]
struct Notification {
    level: Level,
    message: Message,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: &'static str,
    rule_index: usize,
    level: Level,
    message: Message,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Note,
    Warning,
    Error,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Debug, Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

/// The log of a run that found these faults in these texts, and could not read some others.
pub(crate) fn log<'d>(
    found: impl IntoIterator<Item = (&'d Source, &'d [Diagnostic])>,
    unreadable: impl IntoIterator<Item = String>,
) -> Log {
    let mut rules = Vec::new();
    let mut results = Vec::new();
    for (source, faults) in found {
        results.extend(faults.iter().map(|fault| finding(source, fault, &mut rules)));
    }
    let notifications: Vec<_> =
        unreadable.into_iter().map(|text| Notification { level: Level::Error, message: Message { text } }).collect();
    let driver = Driver { name: "reeve", version: env!("CARGO_PKG_VERSION"), rules };
    let invocation =
        Invocation { execution_successful: notifications.is_empty(), tool_execution_notifications: notifications };
    let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", invocations: [invocation], results };
    Log { schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0", runs: [run] }
}

fn finding(source: &Source, fault: &Diagnostic, rules: &mut Vec<Rule>) -> Finding {
    let known = rules.iter().position(|rule| rule.id == fault.code);
    let rule_index = known.unwrap_or_else(|| {
        rules.push(Rule { id: fault.code });
        rules.len() - 1
    });
    let text = match &fault.help {
        Some(help) => format!("{}; remedy: {help}", fault.message),
        None => fault.message.clone(),
    };
    let level = match fault.severity {
        Severity::Note => Level::Note,
        Severity::Warning => Level::Warning,
        Severity::Error => Level::Error,
    };
    let mut labels = fault.labels.iter();
    // Scanners drop a result without a region; a fault of the whole file is shown on its first line.
    let first = labels.next().map_or(0..0, |label| label.span.clone());
    let related = labels.enumerate().map(|(index, label)| Location {
        id: Some(index + 1),
        message: Some(Message { text: label.text.clone() }),
        ..location(source, label.span.clone())
    });
    Finding {
        rule_id: fault.code,
        rule_index,
        level,
        message: Message { text },
        locations: [location(source, first)],
        related_locations: related.collect(),
    }
}

fn location(source: &Source, span: reeve_base::Span) -> Location {
    let (start_line, start_column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    Location {
        id: None,
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation { uri: uri(&source.name) },
            region: Region { start_line, start_column, end_line, end_column },
        },
        message: None,
    }
}

/// A path as a relative or absolute URI reference (RFC 3986): whatever is not plain is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("policies/a b.toml"), "policies/a%20b.toml");
        assert_eq!(uri("C:x#y?ä"), "C%3Ax%23y%3F%C3%A4");
    }
}
