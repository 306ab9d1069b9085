//! The story of a trial as a table or as JSON, and what it comes to.

use reeve_base::Verdict;
use reeve_base::verdict::{Cause, Conclusion};
use serde::Serialize;

use super::trial::{Came, Outcome, Row, Wanted};
use crate::command::prove::table;
use crate::diagnostics::plural;
use crate::exit::ExitCode;
use crate::sandbox::{Piece, State, Status};
use crate::screen::{CAREFUL, FAINT, Screen, paint};

/// The whole result, as `--json` prints it. The schema only grows.
#[derive(Serialize)]
struct Report<'o> {
    schema: &'static str,
    conclusion: &'static str,
    sandbox: &'o Option<Status>,
    rows: &'o [Judged<'o>],
}

#[derive(Serialize)]
struct Judged<'o> {
    #[serde(flatten)]
    row: &'o Row,
    verdict: Verdict,
}

/// Prints what came of it and says with which code the process ends.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn show(outcome: &Outcome, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let rows: Vec<_> =
        outcome.rows.iter().map(|row| Judged { row, verdict: judge(row, outcome.status.as_ref()) }).collect();
    let cut_off = Verdict::Unknown { cause: Cause::Unexpected(format!("the trial broke off: {}", outcome.ended)) };
    let end = (!outcome.whole).then_some(&cut_off);
    let conclusion = Conclusion::of(rows.iter().map(|judged| &judged.verdict).chain(end));
    if json {
        let word = match conclusion {
            Conclusion::Holds => "holds",
            Conclusion::CouldNotJudge => "could_not_judge",
            Conclusion::FoundWanting => "found_wanting",
        };
        let report = Report { schema: SCHEMA, conclusion: word, sandbox: &outcome.status, rows: &rows };
        screen.data(serde_json::to_string_pretty(&report)?)?;
        return Ok(conclusion.into());
    }
    let header = ["verdict", "tried", "seen"].map(str::to_owned);
    screen.data(screen.table(Some(header), rows.iter().map(cells)))?;
    screen.data("")?;
    screen.data(summary(&rows))?;
    if let Some(status) = &outcome.status {
        for line in remarks(status) {
            screen.complain(line);
        }
    }
    if let Some(Verdict::Unknown { cause }) = end {
        screen.complain(format_args!("{} {cause}", paint(CAREFUL, "unknown:")));
    }
    Ok(conclusion.into())
}

/// Refused as it should be, or done as it should be, is `kept`. What was done and should not is `broken`, unless the
/// piece that refuses it is missing: that is no verdict on Reeve but on the machine.
fn judge(row: &Row, status: Option<&Status>) -> Verdict {
    match (row.wanted, row.came) {
        (_, Came::Untried) => Verdict::Unknown { cause: Cause::EmptyPopulation(row.seen.clone()) },
        (Wanted::Refused(_), Came::Refused) | (Wanted::Done, Came::Done) => Verdict::Kept,
        (Wanted::Done, Came::Refused) => Verdict::Broken,
        (Wanted::Refused(by), Came::Done) => match status.map(|status| status.state(by)) {
            Some(State::Missing { why }) => Verdict::Unknown { cause: Cause::Denied(format!("{by}: {why}")) },
            Some(State::On | State::Off) | None => Verdict::Broken,
        },
    }
}

fn cells(judged: &Judged<'_>) -> [String; 3] {
    let verdict = paint(table::style(&judged.verdict), judged.verdict.word());
    let by = match judged.row.wanted {
        Wanted::Refused(by) => format!("must be refused: {by}"),
        Wanted::Done => String::from("must work"),
    };
    let seen = match &judged.verdict {
        Verdict::Unknown { cause } => cause.to_string(),
        _ => judged.row.seen.clone(),
    };
    [verdict, format!("{}\n{}", judged.row.what, paint(FAINT, by)), seen]
}

fn summary(rows: &[Judged<'_>]) -> String {
    let count = |forbidden: bool, word: &str| {
        let of_kind = rows.iter().filter(|judged| matches!(judged.row.wanted, Wanted::Refused(_)) == forbidden);
        of_kind.filter(|judged| judged.verdict.word() == word).count()
    };
    let unknown = rows.iter().filter(|judged| judged.verdict.word() == "unknown").count();
    format!(
        "{} refused, {} not refused; {} needed and working, {} needed and not working; {} not judged",
        count(true, "kept"),
        count(true, "broken"),
        count(false, "kept"),
        count(false, "broken"),
        plural(unknown, "attempt"),
    )
}

/// What is missing, what this kernel does not add, what should be known.
fn remarks(status: &Status) -> Vec<String> {
    let warnings = status.warnings().into_iter().map(|warning| format!("{} {warning}", paint(CAREFUL, "missing:")));
    let extras = Piece::ALL.into_iter().filter(|piece| !piece.needed()).filter_map(|piece| match status.state(piece) {
        State::Missing { why } => Some(paint(FAINT, format!("not offered here: {piece} ({why})"))),
        State::On | State::Off => None,
    });
    let notes = status.notes.iter().map(|note| format!("{} {note}", paint(CAREFUL, "note:")));
    warnings.chain(extras).chain(notes).collect()
}

const SCHEMA: &str = "reeve.selftest/1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Mode;

    /// The verdict on an attempt where the sandbox's files are in this state.
    #[track_caller]
    fn check(wanted: Wanted, came: Came, files: State, expected: &str) {
        let row = Row { what: String::new(), wanted, came, seen: String::new() };
        let status = Status {
            mode: Mode::BestEffort,
            pieces: vec![(Piece::Files, files)],
            landlock_abi: 0,
            open: Vec::new(),
            listen: Vec::new(),
            calls: Default::default(),
            capabilities: Vec::new(),
            notes: Vec::new(),
        };
        assert_eq!(judge(&row, Some(&status)).word(), expected);
    }

    #[test]
    fn only_a_machine_that_cannot_refuse_leaves_a_forbidden_deed_open() {
        let missing = || State::Missing { why: String::from("an old kernel") };
        let forbidden = Wanted::Refused(Piece::Files);
        check(forbidden, Came::Refused, State::On, "kept");
        check(forbidden, Came::Done, State::On, "broken");
        check(forbidden, Came::Done, State::Off, "broken");
        check(forbidden, Came::Done, missing(), "unknown");
        check(forbidden, Came::Refused, missing(), "kept");
        check(forbidden, Came::Untried, State::On, "unknown");
        check(Wanted::Done, Came::Done, missing(), "kept");
        check(Wanted::Done, Came::Refused, missing(), "broken");
        check(Wanted::Done, Came::Untried, State::On, "unknown");
    }
}
