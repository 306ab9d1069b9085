//! Reeve: one program that enforces a written security policy and proves it.
//!
//! This crate is the rim: the command line ([`cli`], one module of [`command`] for each verb), the settings of one
//! deployment ([`settings`]), what is shown and how ([`screen`], [`diagnostics`], [`failure`]). What a clause means is
//! `reeve-policy`'s business, what keeps it `reeve-edge`'s, what proves it `reeve-prove`'s.
//!
//! A new verb is a module `command/<verb>.rs` with its arguments and a function `run`, a variant of [`cli::Command`],
//! and a line in [`command::run`].

mod application;
mod cli;
mod command;
mod deployment;
mod diagnostics;
mod dns_hook;
mod environment;
mod exit;
mod failure;
mod feed;
mod firewall;
mod input;
mod journal;
mod keeping;
mod metrics;
mod reference;
mod rule_files;
mod sandbox;
mod screen;
mod settings;
mod terminal;
mod upgrade;
mod witnessing;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// The gateway allocates small buffers from all workers at once; glibc's allocator contends and fragments there, and
/// musl's, which the static release would get, is slower still.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return cli::answer(&answer).into(),
    };
    let screen = Screen::new(cli.volume(), cli.color);
    let code: ExitCode = command::run(&cli.command, &screen).unwrap_or_else(|error| failure::report(&error, &screen));
    code.into()
}
