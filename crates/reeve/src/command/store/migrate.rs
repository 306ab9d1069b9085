//! `reeve store migrate`: makes the tables in PostgreSQL, and the role that may use them and nothing more.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use reeve_base::SystemEntropy;
use reeve_store::{Database, Server, migrate};

use super::{AdminArgs, only_database, server};
use crate::exit::ExitCode;
use crate::keeping::passphrase_from;
use crate::screen::Screen;
use crate::settings::{self, StoreSettings};

/// Bring the tables in PostgreSQL up to date
///
/// Tables belong to the role of --admin; the role that `database` in `[store]` names is made if there is none, and gets the
/// rights that it needs and no others. What is up to date stays as it is. A SQLite file is brought up to date whenever it
/// is opened and needs none of this.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) async fn run(args: &MigrateArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let store = settings::load(config)?.settings.store;
    let target = only_database(&store)?;
    let Database::Postgres(role) = &target.database else {
        screen.talk("SQLite is brought up to date whenever it is opened: there is nothing to do");
        return Ok(ExitCode::Holds);
    };
    prepare(&args.admin, role, &store, screen).await?;
    Ok(ExitCode::Holds)
}

/// Brings the schema on the server of `role` up to date.
pub(super) async fn prepare(
    admin: &AdminArgs,
    role: &Server,
    store: &StoreSettings,
    screen: &Screen,
) -> anyhow::Result<()> {
    let url = admin.admin.as_deref().context("name the role that may make tables: --admin postgres://postgres@…")?;
    let as_admin = server(url, admin.admin_password_file.as_deref())?;
    let password = store.password_file.as_ref().map(|file| passphrase_from(&file.value)).transpose()?;
    let namespace = only_database(store)?.namespace;
    let done = migrate(&as_admin, role, password.as_ref(), &namespace, &SystemEntropy).await?;
    let made = if done.role_made { format!("; the role `{}` is new", role.role()) } else { String::new() };
    let versions = match (done.from, done.to) {
        (from, to) if from == to => format!("the tables are at version {to} already"),
        (0, to) => format!("the tables are made, at version {to}"),
        (from, to) => format!("the tables are at version {to}, they were at {from}"),
    };
    screen.talk(format_args!("{role}: {versions}{made}"));
    Ok(())
}
