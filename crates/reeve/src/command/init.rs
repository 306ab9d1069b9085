//! `reeve init`: a policy and settings to start from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::reference::Reference;
use crate::screen::{STRONG, Screen, paint};
use crate::settings::{HostName, UpstreamUrl};

/// Write policy.toml and reeve.toml to start from
///
/// Nothing is asked: what can be known is written, and the rest is a comment in its place.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InitArgs {
    /// The reference policy to start from
    #[arg(long, value_enum, default_value_t = Reference::Demo, value_name = "NAME")]
    from: Reference,

    /// The folder to write to; made if it is not there
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,

    /// Where the application listens
    #[arg(long, default_value = "http://127.0.0.1:3000", value_name = "URL")]
    upstream: UpstreamUrl,

    /// A name or address that clients call the site by; the first is its public one
    #[arg(long = "name", default_values = ["localhost", "127.0.0.1"], value_name = "HOST")]
    names: Vec<HostName>,

    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  reeve init                                       the demo policy, for an application on port 3000
  reeve init --from saas --upstream h2c://app:8080
  reeve init --dir site --name www.example.com --name example.com";

/// Runs the verb.
pub(crate) fn run(args: &InitArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let files = [("policy.toml", args.from.text().to_owned()), ("reeve.toml", settings(args))]
        .map(|(name, text)| (if here(&args.dir) { PathBuf::from(name) } else { args.dir.join(name) }, text));
    if !args.force {
        refuse_existing(&files)?;
    }
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make the folder `{}`", args.dir.display()))?;
    for (path, text) in &files {
        write(path, text, args.force).with_context(|| format!("cannot write `{}`", path.display()))?;
        screen.talk(format_args!("wrote {}", paint(STRONG, path.display())));
    }
    screen.talk(next_steps(args));
    Ok(ExitCode::Holds)
}

/// In this folder, paths are shown as a person would write them.
fn here(folder: &Path) -> bool {
    folder == Path::new(".")
}

/// Looks at both before anything is written, so that no half of a pair is left behind.
fn refuse_existing(files: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let there: Vec<_> =
        files.iter().filter(|(path, _)| path.exists()).map(|(path, _)| format!("`{}`", path.display())).collect();
    match there.as_slice() {
        [] => Ok(()),
        [one] => Err(anyhow!("{one} is there already")),
        many => Err(anyhow!("{} are there already", many.join(" and "))),
    }
    .hint("`--force` overwrites, `--dir` writes elsewhere; nothing was written")
}

fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    // `create_new` also refuses what appeared since it was looked for, and a link that leads elsewhere.
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(path)?.write_all(text.as_bytes())
}

fn next_steps(args: &InitArgs) -> String {
    let enter = if here(&args.dir) { String::new() } else { format!("  cd {}\n", args.dir.display()) };
    format!(
        "\nNext:\n{enter}  \
         edit policy.toml   company, owner, and the clauses you promise\n  \
         reeve check        finds every fault of both files\n  \
         reeve explain      shows what each control does and how it is proved"
    )
}

/// The settings, with every key in its place: those that have a good default are comments that show it.
fn settings(args: &InitArgs) -> String {
    let names = args.names.iter().map(|name| format!("{:?}", name.as_str())).collect::<Vec<_>>().join(", ");
    let first = args.names.first().map_or("localhost", HostName::as_str).replace("*.", "www.");
    let public = if first.contains(':') { format!("[{first}]") } else { first };
    TEMPLATE.replace("{public}", &public).replace("{names}", &names).replace("{upstream}", &args.upstream.to_string())
}

const TEMPLATE: &str = include_str!("init/reeve.toml");
