//! Diagnostics for people: the line underlined, the cause, the remedy.
//!
//! The text is foreign: a policy under review may come from a stranger. What a terminal would obey (escape sequences,
//! a bare carriage return, marks that turn the reading direction, CVE-2021-42574) is shown as a replacement instead.

mod clip;

use std::borrow::Cow;
use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use reeve_base::{Diagnostic, Severity, Source};

/// Draws all `faults` of `source`, coloured, each ended by an empty line.
pub(crate) fn report(source: &Source, faults: &[Diagnostic], width: usize) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_width(width)
        .with_links(false)
        .without_syntax_highlighting();
    let text = harmless(&source.text);
    let whole = NamedSource::new(harmless(&source.name), text.clone().into_owned());
    let long = clip::has_long_line(&text);
    let mut drawn = String::new();
    for fault in faults {
        let message = message(source, fault);
        let clipped = long.then(|| clip::clipped(&text, fault));
        let code = clipped.as_ref().map(|clipped| NamedSource::new(harmless(&source.name), clipped.text.clone()));
        let report = Report {
            fault: clipped.as_ref().map_or(fault, |clipped| &clipped.fault),
            code: code.as_ref().unwrap_or(&whole),
            message,
        };
        // Writing to a string cannot fail, and the spans are those of this text.
        let _ = handler.render_report(&mut drawn, &report);
        drawn.push('\n');
    }
    drawn
}

/// A label shows the name of its file; a fault of the file as a whole has to say it.
fn message<'d>(source: &Source, fault: &'d Diagnostic) -> Cow<'d, str> {
    let message = harmless(&fault.message);
    if fault.labels.is_empty() { format!("{}: {message}", harmless(&source.name)).into() } else { message }
}

/// One diagnostic in the shape that `miette` draws.
#[derive(Debug)]
struct Report<'d> {
    fault: &'d Diagnostic,
    code: &'d NamedSource<String>,
    message: Cow<'d, str>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.fault.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.fault.severity {
            Severity::Note => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.fault.help.as_deref()?;
        Some(Box::new(harmless(help)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.fault.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.fault.labels.iter().map(|label| {
            let text = harmless(&label.text).into_owned();
            LabeledSpan::new(Some(text), label.span.start, label.span.len())
        })))
    }
}

/// `text` without what a terminal would obey. Every byte keeps its place, so that spans still fit.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) && !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let bare_return = character == '\r' && characters.peek() != Some(&'\n');
        match character.len_utf8() {
            _ if !is_harmful(character) && !bare_return => shown.push(character),
            // The replacement character has the same three bytes as the marks of direction.
            3 => shown.push('\u{fffd}'),
            length => (0..length).for_each(|_| shown.push('?')),
        }
    }
    Cow::Owned(shown)
}

fn is_harmful(character: char) -> bool {
    let control = character.is_control() && !matches!(character, '\n' | '\t' | '\r');
    control || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced_byte_for_byte() {
        let foreign = "a\u{1b}[2Jb\u{202e}c\rd\u{9b}e\r\n\tf";
        let shown = harmless(foreign);
        assert_eq!(shown, "a?[2Jb\u{fffd}c?d??e\r\n\tf");
        assert_eq!(shown.len(), foreign.len());
    }

    #[test]
    fn plain_text_is_passed_on_as_it_is() {
        assert_eq!(harmless("größer\n\tals\r\n"), "größer\n\tals\r\n");
        assert!(matches!(harmless("größer"), Cow::Borrowed(_)));
    }
}
