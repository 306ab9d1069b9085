//! Lines that are too long to be shown: what stands around a label is kept, the rest becomes `…`.
//!
//! A file with one line of megabytes has faults like any other, and each would print the line again. The column that is
//! drawn is then that of the clipped line; JSON and SARIF keep the true one.

use std::ops::Range;

use reeve_base::Diagnostic;

/// A text with its long lines clipped for one fault, and the fault with its places in it.
pub(super) struct Clipped {
    pub(super) text: String,
    pub(super) fault: Diagnostic,
}

/// Whether the text has a line that would be clipped.
pub(super) fn has_long_line(text: &str) -> bool {
    text.split('\n').any(|line| line.len() > LINE_BYTES_MAX)
}

/// Clips every long line: around the first label that begins in it, else to its beginning.
pub(super) fn clipped(text: &str, fault: &Diagnostic) -> Clipped {
    let mut shown = Clipped { text: String::new(), fault: fault.clone() };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        let label =
            fault.labels.iter().map(|label| label.span.start).find(|at| range.contains(at) || *at == text.len());
        let kept = if line.len() > LINE_BYTES_MAX { window(text, &range, label) } else { range.clone() };
        let moved = shown.push(text, &range, &kept);
        for (label, before) in shown.fault.labels.iter_mut().zip(&fault.labels) {
            // The end of the text belongs to its last line.
            if range.contains(&before.span.start) || (before.span.start == range.end && range.end == text.len()) {
                let place = |at: usize| at.clamp(kept.start, kept.end) - kept.start + moved;
                label.span = place(before.span.start)..place(before.span.end);
            }
        }
    }
    shown
}

impl Clipped {
    /// Adds the part of a line that is kept, and says where it begins in the new text.
    fn push(&mut self, text: &str, line: &Range<usize>, kept: &Range<usize>) -> usize {
        if kept.start > line.start {
            self.text.push('…');
        }
        let begins = self.text.len();
        self.text.push_str(text.get(kept.clone()).unwrap_or_default());
        if kept.end < line.end {
            self.text.push('…');
            self.text.push_str(if text.get(line.clone()).is_some_and(|line| line.ends_with('\n')) { "\n" } else { "" });
        }
        begins
    }
}

fn window(text: &str, line: &Range<usize>, label: Option<usize>) -> Range<usize> {
    let middle = label.unwrap_or(line.start);
    let start = text.floor_char_boundary(middle.saturating_sub(BYTES_BEFORE).max(line.start));
    let end = text.floor_char_boundary((start + LINE_BYTES_MAX).min(line.end));
    start..end
}

/// About two lines of a wide terminal.
const LINE_BYTES_MAX: usize = 240;
const BYTES_BEFORE: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_label_and_the_label_moves_with_it() {
        let text = format!("short\n{}bad{}\nlast", "x".repeat(1_000), "y".repeat(1_000));
        let fault = Diagnostic::error("c", "m").at(1_006..1_009, "here").at(2_010..2_014, "and here");
        let clipped = clipped(&text, &fault);
        let [first, second] = &clipped.fault.labels[..] else { panic!("two labels") };
        assert_eq!(clipped.text.get(first.span.clone()), Some("bad"));
        assert_eq!(clipped.text.get(second.span.clone()), Some("last"));
        assert!(clipped.text.lines().all(|line| line.len() < LINE_BYTES_MAX + 10), "{}", clipped.text);
        assert!(clipped.text.starts_with("short\n…xx"), "{}", clipped.text);
    }

    #[test]
    fn the_end_of_a_text_without_line_end_stays_its_end() {
        let text = format!("a = {}", "[".repeat(100_000));
        let fault = Diagnostic::error("c", "m").at(text.len()..text.len(), "here");
        let clipped = clipped(&text, &fault);
        assert_eq!(clipped.fault.labels[0].span.start, clipped.text.len());
        assert!(clipped.text.len() < 300);
    }
}
