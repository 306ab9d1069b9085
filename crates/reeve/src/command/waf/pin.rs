//! `reeve waf pin`: the digest of a rule set, to be written into the settings.

use std::path::PathBuf;

use clap::Args;
use reeve_base::SystemClock;
use reeve_edge::{RuleFacts, RuleSet, WafSettings};
use reeve_policy::catalogue::{Control, Controls, WafAttackSet};
use serde_json::json;

use crate::cli::ConfigArgs;
use crate::deployment::{Deployment, rules_of};
use crate::diagnostics::plural;
use crate::exit::ExitCode;
use crate::rule_files;
use crate::screen::Screen;
use crate::settings::{Located, Waf};

/// Print the digest of a rule set, so that no other runs
///
/// The digest is of the list of all files that are read, rules and what they look for, each with its own SHA-256 and its
/// name within the set: the same wherever the set lies. It goes into the settings, as `digest` under `[waf]`. Without
/// `--rules`, it is of the rules that the settings name or, where they name none, of those that are built in.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PinArgs {
    /// A folder of rules (a Core Rule Set, or *.conf files) or a rule file; in the order in which they are given
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "config")]
    rules: Vec<PathBuf>,

    /// Print the files as well, as sha256sum does: the digest is of these lines
    #[arg(long, conflicts_with = "json")]
    files: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf pin --rules /usr/share/coreruleset
  reeve waf pin --files --rules crs | sha256sum --check   whether the files are still the same, within the folder
  reeve waf pin                                           the rules of the settings in this folder

Exit codes:
  0  printed
  1  the settings pin another digest
  2  the rules cannot be loaded";

/// Runs the verb.
pub(crate) fn run(args: &PinArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    rule_files::present(&args.rules)?;
    let settings = if args.rules.is_empty() {
        Deployment::read(&args.config.config, &SystemClock::new())?.rule_settings()
    } else {
        of(&args.rules)
    };
    let pinned = settings.digest.clone();
    let facts = facts(&settings)?;
    if args.json {
        screen.data(format_args!("{:#}", shown(&facts)))?;
    } else if args.files {
        screen.data(facts.listing().trim_end())?;
    } else {
        screen.data(&facts.digest)?;
        let version = facts.version.as_deref().unwrap_or("without a version");
        screen.talk(format_args!("{version}, {}", plural(facts.files.len(), "file")));
    }
    match pinned {
        Some(pinned) if pinned != facts.digest => {
            screen.complain(format_args!("the settings pin {pinned}"));
            Ok(ExitCode::FoundWanting)
        }
        _ => Ok(ExitCode::Holds),
    }
}

/// Settings that name these rules and nothing else.
pub(super) fn of(rules: &[PathBuf]) -> WafSettings {
    let rules = rules.iter().map(|path| Located { value: path.clone(), span: 0..0 }).collect();
    rules_of(&Waf { rules, ..Waf::default() }, None)
}

/// What there is to say of the rules of these settings.
///
/// # Errors
/// When they cannot be loaded.
pub(super) fn facts(settings: &WafSettings) -> anyhow::Result<RuleFacts> {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    Ok(RuleSet::read(settings, &controls)?.facts().clone())
}

fn shown(facts: &RuleFacts) -> serde_json::Value {
    let files: Vec<_> = facts.files.iter().map(|file| json!({ "name": file.name, "sha256": file.sha256 })).collect();
    json!({
        "schema": "reeve.rule-set/1", "digest": facts.digest, "version": facts.version, "made": facts.made,
        "origin": facts.origin.name(), "rules": facts.rules, "files": files,
    })
}
