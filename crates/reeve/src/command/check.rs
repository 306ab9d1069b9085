//! `reeve check`: every fault of a policy or of settings, and what a change of policy means.

mod change;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;
use reeve_base::document::{self, Faults};
use reeve_base::{Clock, Diagnostic, Source, SystemClock};
use reeve_policy::Policy;

use crate::cli::ConfigArgs;
use crate::deployment::Deployment;
use crate::diagnostics;
use crate::exit::ExitCode;
use crate::input::{self, Input};
use crate::screen::Screen;
use crate::settings::{self, Surroundings};

/// Report all faults of policies and settings at once, or what a change means
///
/// Each fault comes with its line underlined, its cause and its remedy. A file that says `schema = "reeve.settings/1"`
/// is checked as settings, any other as a policy. Without FILE, the settings of this folder and the policy they name
/// are checked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Policies and settings; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Say which clauses were tightened, loosened, added or removed between two policies
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["files", "sarif"])]
    diff: Option<Vec<PathBuf>>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Print a SARIF 2.1.0 log, for code scanners
    #[arg(long, conflicts_with = "json")]
    sarif: bool,

    /// The day that decides which exceptions have run out, instead of today (UTC)
    #[arg(long, value_name = "DATE", value_parser = date)]
    today: Option<Date>,

    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve check                                    ./reeve.toml and the policy it names
  reeve check policies/*.toml                    several files, all faults of each
  git show HEAD:policy.toml | reeve check -      standard input
  reeve check --sarif policy.toml > check.sarif  for the code scanning of a forge
  reeve check --diff signed.toml policy.toml     what a change of policy means

Exit codes:
  0  no error (warnings are no errors)
  1  a file has an error
  2  a file could not be read";

fn date(text: &str) -> Result<Date, &'static str> {
    text.parse().map_err(|_| "write a date such as 2026-11-21")
}

/// One file and what became of it.
struct Checked {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    /// It could not be read at all.
    Unreadable(input::Unreadable),
    /// It was read, and has these faults.
    Judged(Judged),
}

struct Judged {
    source: Source,
    faults: Vec<Diagnostic>,
    /// How many more there are.
    faults_omitted: usize,
    subject: Subject,
}

/// What a file turned out to be.
enum Subject {
    /// A policy without an error.
    Policy(Box<Policy>),
    /// Settings without an error.
    Settings,
    /// Neither: it has an error.
    Refused,
}

/// Runs the verb.
pub(crate) fn run(args: &CheckArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let today = args.today.unwrap_or_else(|| SystemClock::new().now().to_zoned(jiff::tz::TimeZone::UTC).date());
    if let Some([old, new]) = args.diff.as_deref() {
        return change::run(&check(old, today), &check(new, today), args.json, screen);
    }
    let files = if args.files.is_empty() {
        deployment(&args.config.config, today, screen)
    } else {
        args.files.iter().map(|path| check(path, today)).collect()
    };
    if args.json {
        screen.data(report::json(&files)?)?;
    } else if args.sarif {
        screen.data(report::sarif(&files)?)?;
    } else {
        report::text(&files, screen)?;
    }
    if args.json || args.sarif {
        report::unreadable(&files, screen);
        screen.talk(report::summary(&files));
    }
    Ok(exit_code(&files))
}

/// The settings of this folder, and the policy that they name.
fn deployment(config: &Path, today: Date, screen: &Screen) -> Vec<Checked> {
    let mut settings = check(config, today);
    let policy = match &settings.outcome {
        Outcome::Judged(judged) => named_policy(config, &judged.source),
        Outcome::Unreadable(_) => None,
    };
    let policy = policy.map(|path| check(&path, today));
    // Each may be without fault, and the two together not.
    if let Outcome::Judged(judged) = &mut settings.outcome
        && let Ok(mut deployment) = Deployment::read(config, &SystemClock::new())
    {
        // What is wrong with them is found again below, with its place.
        if deployment.prepare_rules(&SystemClock::new()).is_ok() {
            deployment.show_rules(screen);
        }
        let fault = deployment.verify(&SystemClock::new());
        let survey = if fault.is_none() { deployment.survey(&SystemClock::new()) } else { Vec::new() };
        judged.faults.extend(fault.into_iter().chain(survey));
    }
    [Some(settings), policy].into_iter().flatten().collect()
}

/// The path of the policy, as a person would write it from here.
fn named_policy(config: &Path, source: &Source) -> Option<PathBuf> {
    let document = document::parse(&source.name, source.text.as_bytes()).ok()?;
    let mut faults = Faults::default();
    let mut fields = document::Fields::new(&document.root, "", &mut faults);
    let policy: PathBuf = fields.optional("policy")?;
    Some(config.parent().map_or_else(|| policy.clone(), |folder| folder.join(&policy)))
}

fn check(path: &Path, today: Date) -> Checked {
    match input::read(path) {
        Ok(input) => {
            let outcome = Outcome::Judged(judge(&input, path, today));
            Checked { name: input.name, outcome }
        }
        Err(error) => Checked { name: path.display().to_string(), outcome: Outcome::Unreadable(error) },
    }
}

fn judge(input: &Input, path: &Path, today: Date) -> Judged {
    let parsed = document::parse(&input.name, &input.bytes);
    if parsed.is_ok_and(|document| settings::recognises(&document.root)) {
        return match settings::check(&input.name, &input.bytes, &Surroundings::of(path)) {
            Ok(loaded) => judged(loaded.source, loaded.warnings, 0, Subject::Settings),
            Err(refused) => judged(refused.source, refused.faults, 0, Subject::Refused),
        };
    }
    let checked = reeve_policy::check(&input.name, &input.bytes, today);
    let subject = checked.policy.map_or(Subject::Refused, |policy| Subject::Policy(Box::new(policy)));
    judged(checked.source, checked.faults, checked.faults_omitted, subject)
}

const fn judged(source: Source, faults: Vec<Diagnostic>, faults_omitted: usize, subject: Subject) -> Judged {
    Judged { source, faults, faults_omitted, subject }
}

/// That a file could not be read outweighs that another has an error: nobody knows what it would have said.
fn exit_code<'c>(files: impl IntoIterator<Item = &'c Checked>) -> ExitCode {
    let codes = files.into_iter().map(|file| match &file.outcome {
        Outcome::Unreadable(_) => ExitCode::CouldNotJudge,
        Outcome::Judged(judged) if judged.faults.iter().any(|fault| UNREADABLE.contains(&fault.code)) => {
            ExitCode::CouldNotJudge
        }
        Outcome::Judged(judged) if diagnostics::any_error(&judged.faults) => ExitCode::FoundWanting,
        Outcome::Judged(_) => ExitCode::Holds,
    });
    codes.max().unwrap_or(ExitCode::CouldNotJudge)
}

/// Faults of a file that is no text that anybody could judge.
const UNREADABLE: [&str; 2] = ["document::too-large", "document::not-utf8"];
