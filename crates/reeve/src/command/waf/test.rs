//! `reeve waf test`: runs tests of rules in this process and judges what the rules find.

mod events;
mod files;
mod report;
mod running;
mod wire;

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use reeve_base::{Clock, SystemClock};
use reeve_waf::trial::{self, Bench, Overrides};
use reeve_waf::{Engine, EngineMode, Fault, OWN_RULES, Options};
use url::Url;

use crate::diagnostics::plural;
use crate::exit::ExitCode;
use crate::input;
use crate::rule_files::{self, Arranged, RuleFiles};
use crate::screen::Screen;

use wire::Gateway;

/// Run tests of rules against rules, without a server
///
/// The tests are those of the Core Rule Set's format (FTW, schema 2): YAML files with requests and the ids of the rules
/// that must and must not speak. Each request goes through the engine of the gateway, in this process, on all
/// processors.
///
/// The rules run as the Core Rule Set's own tests expect: every body is read, nothing is refused, paranoia level 4, and
/// the limits of arguments and files that the tests are written for. `--as-is` leaves all of this to the rules.
///
/// With `--url`, they go over TCP to a gateway that runs, and what its rules say is read from its events.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// Files of tests, and folders, searched with all folders in them
    #[arg(value_name = "TESTS", required = true)]
    tests: Vec<PathBuf>,

    /// A folder of rules (a Core Rule Set, or *.conf files) or a rule file; in the order in which they are given. Without
    /// it, the rules that are built in
    #[arg(long, value_name = "DIR|FILE")]
    rules: Vec<PathBuf>,

    /// Whether rules refuse, or only find
    #[arg(long, value_enum, default_value_t = Mode::Detection)]
    mode: Mode,

    /// The paranoia level of the rules, from 1 to 4
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: u8,

    /// Off: every pattern runs on every value. Slower, and must find the same
    #[arg(long, value_enum, default_value_t = Switch::On)]
    prefilter: Switch,

    /// Run the rules as they set themselves up, and nothing beside them
    #[arg(long, conflicts_with = "paranoia")]
    as_is: bool,

    /// Send the tests to a gateway that runs on this machine, over TCP in plaintext, each from an address of its own. Its
    /// rules are tested then
    #[arg(long, value_name = "URL", requires = "events", conflicts_with_all = ["rules", "mode", "paranoia", "prefilter", "as_is"])]
    url: Option<Url>,

    /// The file in which that gateway writes its events, with `tell_all = true` under `[waf]` in its settings
    #[arg(long, value_name = "FILE", requires = "url")]
    events: Option<PathBuf>,

    /// What is expected otherwise of this engine, or not at all, with reasons
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,

    /// Only tests whose ids are of this pattern, with * and ?, such as '9421*'; may be given again
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,

    /// Print JSON: for each test its id, whether it passed, what was expected and what was found
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Rules find, and nothing is refused
    Detection,
    /// Rules refuse
    Blocking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Values are looked at before patterns run
    On,
    /// They are not
    Off,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf test --rules /usr/share/coreruleset /usr/share/coreruleset/tests/regression
  reeve waf test --rules my-rules.conf my-tests.yaml
  reeve waf test --rules crs --only '9421*' --only 942500-1 crs/tests
  reeve waf test --rules crs --mode blocking --paranoia 1 --json crs/tests
  reeve waf test --url http://127.0.0.1:8080 --events access.log crs/tests

Exit codes:
  0  every test passed
  1  a test failed
  2  the rules cannot be loaded, or some test could not be read or run";

/// The names of texts that are in no file.
const BASE: &str = "<base settings>";
const SETUP: &str = "<test settings>";

/// Runs the verb.
pub(crate) fn run(args: &TestArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    rule_files::present(&args.tests)?;
    let found = files::read(&args.tests, &args.only)?;
    if found.trials.is_empty() {
        unreadable(&found, screen);
        bail!("no test could be read");
    }
    let overrides = args.overrides.as_deref().map(overrides).transpose()?;
    let overrides = overrides.as_ref();
    let outcomes = match (&args.url, &args.events) {
        (Some(url), Some(events)) => {
            let gateway = Gateway::new(url, events)?;
            gateway.verify()?;
            running::over(&gateway, overrides, &found.trials, screen)?
        }
        _ => {
            let engine = load(args, screen)?;
            let seconds = SystemClock::new().now().as_second();
            running::run(&Bench { engine: &engine, seconds, overrides }, &found.trials, screen)
        }
    };
    unreadable(&found, screen);
    report::show(&found, &outcomes, args.json, screen)
}

/// Says which files were not read, and why.
fn unreadable(found: &files::Found, screen: &Screen) {
    for (path, error) in &found.unreadable {
        screen.complain(format_args!("{}: {error}", path.display()));
    }
}

fn overrides(path: &std::path::Path) -> anyhow::Result<Overrides> {
    let text = input::read(path)?;
    Overrides::read(&text.bytes).map_err(|error| anyhow!("{}: {error}", text.name))
}

/// Loads the rules, in the order: base settings, set-up of the rules, settings of the tests, rules.
fn load(args: &TestArgs, screen: &Screen) -> anyhow::Result<Engine> {
    rule_files::present(&args.rules)?;
    let mut source = RuleFiles::default();
    let arranged = if args.rules.is_empty() {
        source.put(BUILT_IN, OWN_RULES.to_owned());
        Arranged { files: vec![BUILT_IN.to_owned()], set_up: 0 }
    } else {
        rule_files::arrange(&args.rules)?
    };
    source.put(BASE, trial::BASE.to_owned());
    source.put(SETUP, trial::setup(args.paranoia));
    let (before, after) = arranged.files.split_at_checked(arranged.set_up).unwrap_or_default();
    let (before, after) = (before.iter().map(String::as_str), after.iter().map(String::as_str));
    let files: Vec<&str> = if args.as_is {
        before.chain(after).collect()
    } else if args.rules.is_empty() {
        // They stand on nothing else.
        [SETUP].into_iter().chain(after).collect()
    } else {
        [BASE].into_iter().chain(before).chain([SETUP]).chain(after).collect()
    };
    let mode = match args.mode {
        Mode::Detection => EngineMode::DetectionOnly,
        Mode::Blocking => EngineMode::On,
    };
    let options = Options { mode: Some(mode), prefilter: args.prefilter == Switch::On, ..Options::default() };
    let engine = Engine::load(&files, &source, options).map_err(|faults| refused(&faults, screen))?;
    for warning in engine.warnings().iter().take(FAULTS_SHOWN_MAX) {
        screen.talk(format_args!("warning: {warning}"));
    }
    let own = match (args.as_is, args.rules.is_empty()) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => trial::own_rules(),
    };
    let rules = plural(engine.rules().saturating_sub(own), "rule");
    screen.talk(format_args!("{rules} from {}", plural(arranged.files.len(), "file")));
    Ok(engine)
}

/// Shows what is wrong with the rules.
fn refused(faults: &[Fault], screen: &Screen) -> anyhow::Error {
    for fault in faults.iter().take(FAULTS_SHOWN_MAX) {
        screen.complain(fault);
    }
    anyhow!("the rules cannot be loaded: {}", plural(faults.len(), "fault"))
}

/// The name of a text that is in no file.
const BUILT_IN: &str = "<built-in rules>";

/// More of them only say the same.
const FAULTS_SHOWN_MAX: usize = 50;
