//! Runs the probes in their turns, shares one run among clauses that promise the same, and binds each verdict to its
//! clause.

use std::collections::VecDeque;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::{Cause, ClauseId, ControlName, Evidence, ProbeName, Timestamp, Verdict};
use reeve_policy::catalogue::Control;
use reeve_policy::{Clause, Hold, Policy};
use tokio::task::JoinSet;

use crate::probe::{self, Finding, Notes, Turn, Way};
use crate::report::{PolicyHead, Row, RowException};
use crate::tlog::hexadecimal;
use crate::wire::{Site, WireError};
use crate::{Options, Report, Target};

/// What a run reports while it works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Progress {
    /// The run begins.
    Began {
        /// How many probes will run; clauses with the same control and parameters share one.
        probes: usize,
    },
    /// A probe starts.
    Started {
        /// The control that it judges.
        control: ControlName,
        /// The clauses that wait for it.
        clauses: Vec<ClauseId>,
    },
    /// A probe ended.
    Finished {
        /// The control that it judged.
        control: ControlName,
        /// The clauses that waited for it.
        clauses: Vec<ClauseId>,
        /// What it says, before exceptions.
        verdict: Verdict,
        /// What it saw, in a sentence.
        seen: String,
    },
}

/// Judges the target by the policy: runs every probe that a clause needs, and says of every clause what was seen.
///
/// It never fails as a whole: what could not be seen is a verdict of its own, with its cause. Dropping the future ends
/// all probes.
///
/// # Twins
///
/// Each probe looks for the contrary of the promise and also shows that the allowed thing passes. A refusal counts only
/// as an alert, a closed connection, a reset, or a status that says so; silence and failed connections are `unknown`.
pub async fn judge(policy: &Policy, target: &Target, options: &Options, progress: &dyn Fn(Progress)) -> Report {
    let started = options.clock.now();
    let today = day(started);
    let runs = schedule(policy, today);
    progress(Progress::Began { probes: runs.len() });
    let (judged, requests) = match Site::new(target, options).await {
        Ok(site) => (run_all(&site, runs, progress).await, site.spent()),
        Err(error) => (nothing_seen(runs, &error, started), 0),
    };
    let place = Place { policy, target, today, started, finished: options.clock.now() };
    Report {
        policy: PolicyHead {
            title: policy.title.clone(),
            company: policy.company.clone(),
            version: policy.version.clone(),
            digest: hexadecimal(policy.source.text.as_bytes()),
        },
        target: target.url.to_string(),
        address: target.https.to_string(),
        started,
        finished: place.finished,
        requests,
        sections: policy.sections.iter().map(|one| (one.key.clone(), one.title.clone())).collect(),
        rows: place.rows(&judged),
    }
}

/// One run of one probe, for all clauses that promise the same.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The control with its parameters.
    pub(crate) control: Control,
    /// Its canonical form: what makes two promises the same.
    canonical: String,
    /// The clauses that it judges.
    pub(crate) clauses: Vec<ClauseId>,
    turn: Turn,
}

/// The runs that this policy needs on that day, in their turns. Clauses that do not apply need none.
pub(crate) fn schedule(policy: &Policy, today: Date) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for clause in &policy.clauses {
        let Hold::Typed(control) = &clause.hold else { continue };
        let Way::Probe(probe) = probe::way(control) else { continue };
        if policy.inapplicable(&clause.id, today).is_some() {
            continue;
        }
        let canonical = control.canonical();
        match runs.iter_mut().find(|run| run.canonical == canonical) {
            Some(run) => run.clauses.push(clause.id.clone()),
            None => {
                let clauses = vec![clause.id.clone()];
                runs.push(Run { control: control.clone(), canonical, clauses, turn: probe.turn() });
            }
        }
    }
    runs.sort_by_key(|run| run.turn);
    runs
}

/// The day of a moment, in UTC.
pub(crate) fn day(moment: Timestamp) -> Date {
    moment.to_zoned(TimeZone::UTC).date()
}

/// A run that is over.
struct Judged {
    run: Run,
    finding: Finding,
    from: Timestamp,
    to: Timestamp,
}

async fn run_all(site: &Site, runs: Vec<Run>, progress: &dyn Fn(Progress)) -> Vec<Judged> {
    let together = if site.has_own_sources() { AT_ONCE } else { AT_ONCE_REMOTE };
    let mut waiting: VecDeque<Run> = runs.into();
    let mut under_way = JoinSet::new();
    let mut judged = Vec::new();
    let mut turn = Turn::Together;
    loop {
        while let Some(next) = waiting.front() {
            let most = if next.turn == Turn::Together { together } else { 1 };
            // A later turn begins only when the one before is over.
            let room = under_way.len() < most && (next.turn == turn || under_way.is_empty());
            let Some(run) = (if room { waiting.pop_front() } else { None }) else { break };
            turn = run.turn;
            progress(Progress::Started { control: run.control.name(), clauses: run.clauses.clone() });
            under_way.spawn(one(site.clone(), run));
        }
        match under_way.join_next().await {
            None => return judged,
            Some(Ok(done)) => {
                progress(Progress::Finished {
                    control: done.run.control.name(),
                    clauses: done.run.clauses.clone(),
                    verdict: done.finding.verdict.clone(),
                    seen: done.finding.seen.clone(),
                });
                judged.push(done);
            }
            // A probe that fell over has judged nothing: its clauses stay without a finding, which is `unknown`.
            Some(Err(error)) => tracing::error!(%error, "a probe stopped"),
        }
    }
}

async fn one(site: Site, run: Run) -> Judged {
    let from = site.now();
    let mut notes = Notes::default();
    let outcome = match (site.elsewhere(), probe::way(&run.control)) {
        (Ok(own), Way::Probe(probe)) => probe.run(&own, &mut notes).await,
        (Ok(_), Way::Section(_) | Way::Clauses(_)) => Err(Cause::NeverRun),
        (Err(error), _) => Err(error.into()),
    };
    Judged { finding: Finding::of(notes, outcome), from, to: site.now(), run }
}

fn nothing_seen(runs: Vec<Run>, error: &WireError, now: Timestamp) -> Vec<Judged> {
    let judged = runs.into_iter().map(|run| {
        let finding = Finding::of(Notes::default(), Err(error.clone().into()));
        Judged { run, finding, from: now, to: now }
    });
    judged.collect()
}

/// What the rows of a report are made from beside the findings.
struct Place<'p> {
    policy: &'p Policy,
    target: &'p Target,
    today: Date,
    started: Timestamp,
    finished: Timestamp,
}

impl Place<'_> {
    /// One row for each clause. Those that are judged by other clauses come last, when those have their verdicts.
    fn rows(&self, judged: &[Judged]) -> Vec<Row> {
        let clauses = &self.policy.clauses;
        let mut rows: Vec<Row> = clauses.iter().map(|clause| self.row(clause, judged)).collect();
        for (index, clause) in clauses.iter().enumerate() {
            let Hold::Typed(control) = &clause.hold else { continue };
            let Way::Section(section) = probe::way(control) else { continue };
            if self.policy.inapplicable(&clause.id, self.today).is_some() {
                continue;
            }
            // Another roll-up of the same section would stand on this one.
            let others = rows.iter().zip(clauses).filter(|(row, other)| {
                row.section == section.section.as_str()
                    && !matches!(&other.hold, Hold::Typed(Control::CoverageSection(_)))
            });
            let verdicts = others.map(|(row, _)| (row.evidence.clause.as_str(), &row.evidence.verdict));
            let finding = probe::judge_section(section, verdicts);
            let row = self.row_of(clause, Some(finding), self.finished, self.finished);
            if let Some(place) = rows.get_mut(index) {
                *place = row;
            }
        }
        rows
    }

    fn row(&self, clause: &Clause, judged: &[Judged]) -> Row {
        if let Hold::Typed(control) = &clause.hold {
            if let Way::Clauses(control) = probe::way(control) {
                let finding = probe::judge_clauses(control, self.policy);
                return self.row_of(clause, Some(finding), self.finished, self.finished);
            }
            if let Some(done) = judged.iter().find(|done| done.run.clauses.contains(&clause.id)) {
                return self.row_of(clause, Some(done.finding.clone()), done.from, done.to);
            }
        }
        self.row_of(clause, None, self.started, self.started)
    }

    fn row_of(&self, clause: &Clause, finding: Option<Finding>, from: Timestamp, to: Timestamp) -> Row {
        let exception = self.policy.exception(&clause.id, self.today);
        let (mut finding, probe) = match (&clause.hold, finding) {
            (hold @ Hold::Typed(_), Some(finding)) => (finding, Some(ProbeName::new(hold.name().as_str()))),
            (Hold::Typed(_), None) => (unseen(Cause::NeverRun), None),
            (Hold::Planned(_), _) => (unseen(Cause::NotBuilt), None),
            (Hold::Attested(_), _) => (unseen(Cause::NoAttestation), None),
        };
        // An exception accepts a breach by name. It accepts no ignorance: what could not be seen stays unknown.
        if exception.is_some() && finding.verdict == Verdict::Broken {
            finding.verdict = Verdict::Excepted;
        }
        if let Some(declared) = self.policy.inapplicable(&clause.id, self.today) {
            let seen = format!("declared not to apply: {}", declared.reason);
            finding = Finding { verdict: Verdict::NotApplicable, observations: vec![seen.clone()], seen };
        }
        Row {
            evidence: Evidence {
                clause: clause.id.clone(),
                control: clause.hold.name(),
                probe,
                target: self.target.url.to_string(),
                period_from: from,
                period_to: to,
                parameters_digest: hexadecimal(clause.hold.canonical().as_bytes()),
                seen: finding.seen,
                seen_digest: hexadecimal(finding.observations.join("\n").as_bytes()),
                observations: finding.observations,
                verdict: finding.verdict,
            },
            sentence: clause.sentence.clone(),
            section: clause.section.clone(),
            severity: clause.severity,
            exception: exception.map(|exception| RowException {
                reason: exception.reason.clone(),
                approved_by: exception.approved_by.clone(),
                expires: exception.expires.to_string(),
            }),
        }
    }
}

fn unseen(cause: Cause) -> Finding {
    let seen = match &cause {
        Cause::NotBuilt => String::from("this build has no probe for the control"),
        Cause::NoAttestation => String::from("the document that attests it is not on file"),
        other => other.to_string(),
    };
    Finding { seen, verdict: Verdict::Unknown { cause }, observations: Vec::new() }
}

/// How many probes run beside each other where each has an address of its own.
const AT_ONCE: usize = 6;

/// The same for a site elsewhere, which sees them all as one client.
const AT_ONCE_REMOTE: usize = 2;
