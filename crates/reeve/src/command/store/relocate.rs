//! `reeve store move`: everything into another database, and proof that it arrived.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reeve_base::{SystemClock, SystemEntropy};
use reeve_store::{Database as Target, Phase, Progress, Resume, Store, Verified, copy};

use super::{AdminArgs, migrate, only_database, tools};
use crate::deployment::{self, ControlError, Deployment, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::keeping::{Act, Keeping};
use crate::screen::{GOOD, Screen, Volume, paint};
use crate::settings::{Database, Located, StoreSettings};

/// Move everything to another database, and verify it there
///
/// Records, messages and leases are copied as they are, sealed. Then both sides are read again, every value is opened, and
/// the digests must be equal. The source stays as it is; the line of the settings that makes the target the store is
/// printed at the end. The gateway must be stopped. Objects and counters do not stand in the database and stay where they
/// are.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// Where to: `postgres://reeve@db.example.com/reeve`, or `sqlite` for a file in the data folder
    #[arg(long, value_name = "DATABASE")]
    to: String,

    /// The file with the password of the target's role
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    #[command(flatten)]
    admin: AdminArgs,

    /// Go on with a move that broke off
    #[arg(long)]
    resume: bool,

    /// Print what was verified as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &MoveArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::new());
    let deployment = Deployment::read(config, &*clock)?;
    let settings = &deployment.loaded.settings;
    match deployment::ask(&settings.data.value, &Request::Status) {
        Err(ControlError::NotRunning { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(anyhow::anyhow!("the gateway runs and works on the store")).hint("stop it and try again"),
    }
    let target = target_settings(args, &settings.store, &settings.data.value);
    let opened = only_database(&target)?;
    if let (Some(_), Target::Postgres(role)) = (&args.admin.admin, &opened.database) {
        migrate::prepare(&args.admin, role, &target, screen).await?;
    }
    let vault = deployment.kept().unlock(&*clock, Arc::new(SystemEntropy))?;
    let keeping = Arc::new(deployment.keep(vault, &clock).await?);
    let outcome = relocate(args, &keeping, opened, screen).await;
    keeping.close().await?;
    let (name, verified) = outcome?;
    if args.json {
        screen.data(serde_json::to_string_pretty(&verified)?)?;
    }
    screen.talk(format_args!("{} {verified}", paint(GOOD, "verified:")));
    screen.talk(format_args!("from now on `{name}` can be the store; the source is as it was. In reeve.toml:\n"));
    screen.talk(lines(args));
    Ok(ExitCode::Holds)
}

async fn relocate(
    args: &MoveArgs,
    keeping: &Keeping,
    opened: reeve_store::Settings,
    screen: &Screen,
) -> anyhow::Result<(String, Verified)> {
    let target = Store::open_target(opened, tools(&keeping.vault)).await?;
    let name = target.name().to_owned();
    let actor = format!("uid:{}", rustix::process::getuid().as_raw());
    keeping.act(&Act { activity: "store.move", actor: &actor, action: "copy", object: &name }).await?;
    let resume = if args.resume { Resume::Allow } else { Resume::Refuse };
    let bar = Bar::new(screen);
    let copied = copy(&keeping.store, &target, resume, &mut |progress| bar.take(progress)).await;
    bar.bar.finish_and_clear();
    target.close().await;
    let verified = copied?;
    let object = format!("{name} sha256:{}", verified.digest);
    keeping.act(&Act { activity: "store.moved", actor: &actor, action: "verify", object: &object }).await?;
    Ok((name, verified))
}

/// The store's settings with another database in them.
fn target_settings(args: &MoveArgs, source: &StoreSettings, data: &Path) -> StoreSettings {
    let database = match args.to.as_str() {
        "sqlite" => Database::Sqlite(data.join("store.db")),
        url => Database::Postgres(url.to_owned()),
    };
    let written = |value| Located { value, span: 0..0 };
    StoreSettings {
        database: Located { value: database, span: 0..0 },
        password_file: args.password_file.clone().map(written),
        ..source.clone()
    }
}

/// What has to stand in the settings.
fn lines(args: &MoveArgs) -> String {
    let mut lines = format!("[store]\ndatabase = \"{}\"", args.to);
    if let Some(file) = &args.password_file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        lines.push_str(&format!("\npassword_file = \"{}\"", file.display()));
    }
    lines
}

/// How far it is, on a terminal.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(screen: &Screen) -> Self {
        let target = match screen.volume() {
            Volume::Normal => ProgressDrawTarget::stderr(),
            Volume::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn take(&self, progress: Progress) {
        self.bar.set_message(match progress.phase {
            Phase::Copying => "copied",
            Phase::ReadingSource => "read from the source",
            Phase::ReadingTarget => "read from the target",
        });
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
    }
}
