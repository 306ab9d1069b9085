//! The command line: which verbs there are, and what holds for all of them.
//!
//! The arguments of a verb stand beside the verb, in `command/<verb>.rs`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    ban, cert, check, completions, demo, dns_hook, explain, firewall, init, journals, key, learn, ledger, maintenance,
    pay, prove, reload, schema, selftest, store, successor, top, up, upgrade, waf, watch, witness,
};
use crate::environment;
use crate::exit::ExitCode;
use crate::screen::{Color, Volume};

/// Holds a written security policy on the ground: enforces every clause and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "reeve",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = after_help(),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print only data and faults: no summary, no progress, no next steps
    #[arg(short, long, global = true)]
    quiet: bool,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Color,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Up(up::UpArgs),
    Reload(reload::ReloadArgs),
    Upgrade(upgrade::UpgradeArgs),
    #[command(hide = true)]
    Successor(successor::SuccessorArgs),
    Top(top::TopArgs),
    Ban(ban::BanArgs),
    Maintenance(maintenance::MaintenanceArgs),
    Waf(waf::WafArgs),
    Watch(watch::WatchArgs),
    Pay(pay::PayArgs),
    Learn(learn::LearnArgs),
    #[command(hide = true)]
    Firewall(firewall::FirewallArgs),
    Prove(prove::ProveArgs),
    Ledger(ledger::LedgerArgs),
    Key(key::KeyArgs),
    Cert(cert::CertArgs),
    Selftest(selftest::SelftestArgs),
    Store(store::StoreArgs),
    Witness(witness::WitnessArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    DnsHook(dns_hook::DnsHookArgs),
    #[command(hide = true)]
    Journals(journals::JournalsArgs),
}

/// Where the settings are: for every verb that works on a deployment.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The settings of this deployment
    #[arg(short, long, value_name = "FILE", env = environment::CONFIG.name, hide_env = true, default_value = "reeve.toml")]
    pub(crate) config: PathBuf,
}

impl Cli {
    /// How much is said beside the data.
    pub(crate) const fn volume(&self) -> Volume {
        if self.quiet { Volume::Quiet } else { Volume::Normal }
    }
}

/// Prints what the parser answers instead of running a verb: help, the version, or what is wrong with the usage.
pub(crate) fn answer(answer: &clap::Error) -> ExitCode {
    // Help into a closed pipe is no failure, and there is no other stream to complain on.
    let _ = answer.print();
    if answer.exit_code() == 0 { ExitCode::Holds } else { ExitCode::CouldNotJudge }
}

fn after_help() -> String {
    format!(
        "Exit codes:\n  \
         0  it was done, or what was judged holds\n  \
         1  it was judged and found wanting\n  \
         2  it could not be judged or done\n\n{}",
        environment::help()
    )
}
