//! The verbs, one module each.

pub(crate) mod ban;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dns_hook;
pub(crate) mod explain;
pub(crate) mod firewall;
pub(crate) mod init;
pub(crate) mod journals;
pub(crate) mod key;
pub(crate) mod learn;
pub(crate) mod ledger;
pub(crate) mod maintenance;
pub(crate) mod pay;
pub(crate) mod prove;
pub(crate) mod reload;
pub(crate) mod schema;
pub(crate) mod selftest;
pub(crate) mod store;
pub(crate) mod successor;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod upgrade;
pub(crate) mod waf;
pub(crate) mod watch;
pub(crate) mod witness;

use crate::cli::Command;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// Runs the verb that was asked for.
pub(crate) fn run(command: &Command, screen: &Screen) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args, screen),
        Command::Init(args) => init::run(args, screen),
        Command::Check(args) => check::run(args, screen),
        Command::Explain(args) => explain::run(args, screen),
        Command::Up(args) => up::run(args, screen),
        Command::Reload(args) => reload::run(args, screen),
        Command::Upgrade(args) => upgrade::run(args, screen),
        Command::Successor(args) => successor::run(args),
        Command::Top(args) => top::run(args, screen),
        Command::Ban(args) => ban::run(args, screen),
        Command::Maintenance(args) => maintenance::run(args, screen),
        Command::Firewall(args) => firewall::run(args, screen),
        Command::Waf(args) => waf::run(args, screen),
        Command::Watch(args) => watch::run(args, screen),
        Command::Pay(args) => pay::run(args, screen),
        Command::Learn(args) => learn::run(args, screen),
        Command::Prove(args) => prove::run(args, screen),
        Command::Ledger(args) => ledger::run(args, screen),
        Command::Key(args) => key::run(args, screen),
        Command::Cert(args) => cert::run(args, screen),
        Command::Selftest(args) => selftest::run(args, screen),
        Command::Store(args) => store::run(args, screen),
        Command::Witness(args) => witness::run(args, screen),
        Command::Schema(args) => schema::run(args, screen),
        Command::Completions(args) => completions::run(args, screen),
        Command::Journals(args) => journals::run(args),
        Command::DnsHook(args) => dns_hook::run(args),
    }
}
