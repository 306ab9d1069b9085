//! `reeve completions`: a script that teaches a shell the verbs and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  reeve completions bash > ~/.local/share/bash-completion/completions/reeve
  reeve completions fish > ~/.config/fish/completions/reeve.fish
  reeve completions zsh  > \"${fpath[1]}/_reeve\"";

/// Runs the verb.
pub(crate) fn run(args: &CompletionsArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reeve", &mut script);
    screen.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::Holds)
}
