//! The proof as a table: verdict, clause, what was seen, when.

use std::collections::BTreeMap;

use anstyle::Style;
use reeve_base::Verdict;
use reeve_prove::{Report, Row};

use crate::diagnostics::plural;
use crate::screen::{BAD, CAREFUL, FAINT, GOOD, Screen, ScreenError, paint};

/// Which clauses are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Those that something judges.
    Judged,
    /// Also those that nothing judges yet.
    All,
}

/// Prints the table to standard output and the sum under it.
pub(crate) fn show(report: &Report, rows: Rows, screen: &Screen) -> Result<(), ScreenError> {
    let listed: Vec<_> = report.rows.iter().filter(|row| rows == Rows::All || row.judged()).collect();
    if !listed.is_empty() {
        screen.talk("");
        let header = ["verdict", "clause", "what was seen", "when"].map(str::to_owned);
        screen.data(screen.table(Some(header), listed.iter().map(|row| cells(row))))?;
        screen.data("")?;
    }
    screen.data(report.counts())?;
    let not_judged = report.counts().not_judged;
    if rows == Rows::Judged && not_judged > 0 {
        screen.data(format_args!(
            "{} not judged by this version ({}); --all lists them",
            plural(not_judged, "clause"),
            causes(report)
        ))?;
    }
    Ok(())
}

/// Why clauses are not judged, with the number of each.
fn causes(report: &Report) -> String {
    let mut causes = BTreeMap::<String, usize>::new();
    for row in report.rows.iter().filter(|row| !row.judged()) {
        if let Verdict::Unknown { cause } = &row.evidence.verdict {
            *causes.entry(cause.to_string()).or_default() += 1;
        }
    }
    causes.into_iter().map(|(cause, count)| format!("{count} {cause}")).collect::<Vec<_>>().join(", ")
}

fn cells(row: &Row) -> [String; 4] {
    let evidence = &row.evidence;
    let verdict = paint(style(&evidence.verdict), evidence.verdict.word());
    let seen = match (&evidence.verdict, evidence.seen.is_empty()) {
        (Verdict::Unknown { cause }, true) => cause.to_string(),
        _ => evidence.seen.clone(),
    };
    let when = if row.judged() { evidence.period_to.strftime("%H:%M:%S").to_string() } else { String::from("never") };
    [verdict, format!("{}\n{}", evidence.clause, paint(FAINT, &evidence.control)), seen, when]
}

/// The colour of a verdict.
pub(crate) const fn style(verdict: &Verdict) -> Style {
    match verdict {
        Verdict::Kept => GOOD,
        Verdict::Broken | Verdict::Overdue => BAD,
        Verdict::Unknown { .. } | Verdict::Stale | Verdict::Due | Verdict::Excepted => CAREFUL,
        Verdict::NotApplicable => FAINT,
    }
}
