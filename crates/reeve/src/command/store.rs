//! `reeve store`: what is kept, where, and how it gets to another database.

mod migrate;
mod relocate;
mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use reeve_base::{SystemClock, SystemEntropy};
use reeve_store::{CounterPlace, Server, Tools};
use reeve_vault::Vault;

use crate::cli::ConfigArgs;
use crate::exit::ExitCode;
use crate::keeping::{self, passphrase_from};
use crate::screen::Screen;
use crate::settings::{StoreSettings, load};

/// See what is kept, bring its database up to date, and move it to another one
///
/// Records are kept in SQLite, or in PostgreSQL where `database` in `[store]` says so. Whatever can be personal is sealed
/// before a database sees it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::StatusArgs),
    Migrate(migrate::MigrateArgs),
    Move(relocate::MoveArgs),
}

/// Whoever makes tables and roles in PostgreSQL.
#[derive(Debug, Args)]
struct AdminArgs {
    /// Make and change tables as this role, such as `postgres://postgres@db.example.com/reeve`
    #[arg(long, value_name = "URL")]
    admin: Option<String>,

    /// The file with that role's password
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_password_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  reeve store status
  reeve store migrate --admin postgres://postgres@db.example.com/reeve --admin-password-file admin.password
  reeve store move --to postgres://reeve@db.example.com/reeve --password-file store.password
  reeve store move --to sqlite";

/// Runs the verb.
pub(crate) fn run(args: &StoreArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let config = &args.config.config;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start")?;
    match &args.verb {
        Verb::Status(args) => runtime.block_on(status::run(args, config, screen)),
        Verb::Migrate(args) => runtime.block_on(migrate::run(args, config, screen)),
        Verb::Move(args) => runtime.block_on(relocate::run(args, config, screen)),
    }
}

/// The settings of a store in which only the database matters: the verbs here count nothing.
fn only_database(store: &StoreSettings) -> anyhow::Result<reeve_store::Settings> {
    let settings = keeping::store_settings(store)?;
    Ok(reeve_store::Settings { counters: CounterPlace::Memory, ..settings })
}

/// The keys of the deployment and its store's settings.
fn keys_and_store(config: &Path) -> anyhow::Result<(Tools, StoreSettings)> {
    let settings = load(config)?.settings;
    let vault = keeping::open_vault(&settings.data.value, &settings.seal, Arc::new(SystemEntropy))?;
    Ok((tools(&Arc::new(vault)), settings.store))
}

/// What a store is opened with.
fn tools(vault: &Arc<Vault>) -> Tools {
    let sealer = Arc::clone(vault);
    Tools { sealer, clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy) }
}

/// A server and the role on it, with the password in a file if one is named.
fn server(url: &str, password_file: Option<&Path>) -> anyhow::Result<Server> {
    let password = password_file.map(passphrase_from).transpose()?;
    Server::new(url, password.as_ref()).with_context(|| "the address of the database cannot be used")
}
