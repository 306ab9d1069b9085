//! `reeve key`: the keys of a deployment, their versions and what opens them.

mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use reeve_base::{Clock, Secret, SystemClock, SystemEntropy};
use reeve_vault::{ChangeError, PassphraseCost, Reseal, SealId, Status, Vault};

use crate::cli::ConfigArgs;
use crate::deployment::{self, ControlError, Deployment, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::keeping::{self, advise, passphrase_from};
use crate::screen::Screen;
use crate::settings::{self, Seal, Settings};
use crate::terminal;

/// Show, rotate and reseal the keys of a deployment
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Status(StatusArgs),
    Rotate(RotateArgs),
    Reseal(ResealArgs),
}

/// Show what opens the keys, and which versions of the store key there are
#[derive(Debug, Args)]
struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Make a new version of the store key
///
/// It seals from now on; the versions before go on to open what was sealed under them. A gateway that runs is asked to
/// do it, and seals anew what it keeps.
#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Add, replace or remove what opens the keys
///
/// The root key stays the same, and so does everything that is sealed. Whoever had a seal that is removed, and a copy of
/// the keys from that time, can still open them.
#[derive(Debug, Args)]
#[command(after_help = RESEAL_EXAMPLES)]
struct ResealArgs {
    #[command(flatten)]
    change: Change,

    /// Read the new passphrase from a file instead of the terminal
    #[arg(long, value_name = "FILE", requires = "add_passphrase")]
    passphrase_file: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Change {
    /// Let a passphrase open the keys too: it is asked for twice
    #[arg(long)]
    add_passphrase: bool,

    /// Make a fresh seal file, in place of every one that there is
    #[arg(long, value_name = "PATH")]
    new_file: Option<PathBuf>,

    /// Remove a seal: its id, or its kind if there is only one of it
    #[arg(long, value_name = "SEAL")]
    remove: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  reeve key status
  reeve key rotate
  reeve key reseal --add-passphrase";

const RESEAL_EXAMPLES: &str = "\
Examples:
  reeve key reseal --add-passphrase            for the day on which the seal file is lost
  reeve key reseal --new-file reeve-data.seal  after somebody may have read the old one
  reeve key reseal --remove passphrase";

/// Runs the verb.
pub(crate) fn run(args: &KeyArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Status(args) => {
            let settings = settings::load(&args.config.config)?.settings;
            show::show(&open(&settings)?.status(), args.json, screen)
        }
        What::Rotate(args) => rotate(&args.config.config, screen),
        What::Reseal(args) => reseal(args, screen),
    }
}

/// Through the gateway if one runs, else as it would: recorded first, and everything sealed anew after it.
fn rotate(config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let reply = tell(config, Request::RotateKey)?;
    if !reply.done {
        return Err(anyhow!(reply.text).context("the key is not rotated"));
    }
    screen.talk(reply.text);
    Ok(ExitCode::Holds)
}

/// Asks the gateway that runs, or does what it would do.
fn tell(config: &Path, request: Request) -> anyhow::Result<Reply> {
    let settings = settings::load(config)?.settings;
    match deployment::ask(&settings.data.value, &request) {
        Ok(reply) => return Ok(reply),
        Err(ControlError::NotRunning { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let clock = Arc::new(SystemClock::new());
    let deployment = Deployment::read(config, &*clock)?;
    let vault = deployment.kept().unlock(&*clock, Arc::new(SystemEntropy))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let keeping = Arc::new(deployment.keep(vault, &clock).await?);
        let asker = format!("uid:{}", rustix::process::getuid().as_raw());
        let reply = keeping.answer(request, &asker).await;
        keeping.close().await?;
        Ok(reply)
    })
}

fn reseal(args: &ResealArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let settings = &settings::load(&args.config.config)?.settings;
    let vault = open(settings)?;
    let (change, done) = match &args.change {
        Change { new_file: Some(path), .. } => {
            let path = std::path::absolute(path).with_context(|| format!("no path: `{}`", path.display()))?;
            outside(&path, &settings.data.value)?;
            let done = replaced(&path, settings);
            (Reseal::ReplaceFile(path), done)
        }
        Change { remove: Some(seal), .. } => {
            let seal = named(seal, &vault.status())?;
            (Reseal::Remove(seal), format!("seal {seal} opens nothing any more"))
        }
        Change { add_passphrase: _, new_file: None, remove: None } => {
            let passphrase = new_passphrase(args.passphrase_file.as_deref())?;
            let done = String::from("the passphrase opens the keys too; nothing brings it back if it is forgotten");
            (Reseal::AddPassphrase { passphrase, cost: PassphraseCost::RECOMMENDED }, done)
        }
    };
    let what = match &change {
        Reseal::AddPassphrase { .. } => "a passphrase is added",
        Reseal::ReplaceFile(_) => "the seal file is replaced",
        _ => "a seal is removed",
    };
    // Before it takes effect, as every administrative act.
    let recorded = tell(&args.config.config, Request::Reseal { what: what.to_owned() })?;
    anyhow::ensure!(recorded.done, "the seals are not changed: {}", recorded.text);
    advise(vault.reseal(change, SystemClock::new().now()), ChangeError::remedy)?;
    screen.talk(done);
    Ok(ExitCode::Holds)
}

/// What is left to do after the seal file was replaced.
fn replaced(path: &Path, settings: &Settings) -> String {
    match &settings.seal {
        Seal::File(named) if named.value == *path => format!("`{}` is fresh and opens the keys", path.display()),
        Seal::File(named) => format!(
            "`{}` opens the keys from now on\nnext: write it into the settings, [keys] file, and delete `{}`",
            path.display(),
            named.value.display()
        ),
        Seal::Passphrase(_) => format!("`{}` opens the keys too", path.display()),
    }
}

/// A seal in the data folder would be copied with what it seals.
fn outside(path: &Path, data: &Path) -> anyhow::Result<()> {
    if !path.starts_with(data) {
        return Ok(());
    }
    let error = anyhow!("`{}` lies in the data folder that it would seal", path.display());
    Err(error).hint("a copy of the folder would hold lock and key; name a path outside it")
}

/// The seal that is meant by an id or a kind.
fn named(text: &str, status: &Status) -> anyhow::Result<SealId> {
    let found: Vec<_> =
        status.seals.iter().filter(|seal| seal.id.to_string() == text || seal.kind.as_str() == text).collect();
    match found.as_slice() {
        [seal] => Ok(seal.id),
        [] => Err(anyhow!("there is no seal `{text}`")).hint("`reeve key status` lists them"),
        several => Err(anyhow!("there are {} seals of the kind `{text}`", several.len()))
            .hint("name one of them by its id: `reeve key status` lists them"),
    }
}

fn open(settings: &Settings) -> anyhow::Result<Vault> {
    // Before a key is in memory. A refusal is told by `reeve selftest`, and is no reason to hide the keys' state.
    let _ = reeve_vault::process::no_dumps();
    keeping::open_vault(&settings.data.value, &settings.seal, Arc::new(SystemEntropy))
}

fn new_passphrase(file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    match file {
        Some(path) => passphrase_from(path),
        None => {
            advise(terminal::ask_new_passphrase(), |error| error.remedy("name a file with it: --passphrase-file FILE"))
        }
    }
}
