//! Every environment variable that Reeve reads, with what it does. None of them is read anywhere else by name.

use std::fmt::Write;

/// An environment variable.
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, as `--help` tells it.
    summary: &'static str,
}

/// Where the settings are, for every verb that has `--config`.
pub(crate) const CONFIG: Variable =
    Variable { name: "REEVE_CONFIG", summary: "path of the settings, instead of ./reeve.toml (as --config)" };

/// How much operators are told on standard error while a gateway runs.
pub(crate) const LOG: Variable =
    Variable { name: "REEVE_LOG", summary: "error, warn (the default), info, debug or trace: what a gateway reports" };

/// Where the passphrase of the keys is, for deployments that are sealed with one.
pub(crate) const PASSPHRASE_FILE: Variable =
    Variable { name: "REEVE_PASSPHRASE_FILE", summary: "path of a file with the passphrase of the keys" };

/// Set by systemd for a service with `Type=notify` (sd_notify(3)).
pub(crate) const NOTIFY_SOCKET: Variable =
    Variable { name: "NOTIFY_SOCKET", summary: "set by systemd: where `reeve up` says that it serves" };

/// Set by systemd where it opens the sockets (sd_listen_fds(3)); read by `listenfd`.
const LISTEN_FDS: Variable = Variable { name: "LISTEN_FDS", summary: "set by systemd: sockets that are open already" };

/// What says which sockets came with a start: of one process, and not of those that it starts.
pub(crate) const SOCKETS: [&str; 3] = [LISTEN_FDS.name, "LISTEN_PID", "LISTEN_FDNAMES"];

/// See <https://no-color.org>. Read by `anstream`, which decides about colour for both streams.
const NO_COLOR: Variable = Variable { name: "NO_COLOR", summary: "if set and not empty, nothing is coloured" };

/// See <https://bixense.com/clicolors>. Read by `anstream`, too.
const CLICOLOR_FORCE: Variable =
    Variable { name: "CLICOLOR_FORCE", summary: "if set and not 0, colour is used even in a pipe" };

const ALL: [Variable; 7] = [CONFIG, LOG, PASSPHRASE_FILE, NOTIFY_SOCKET, LISTEN_FDS, NO_COLOR, CLICOLOR_FORCE];

/// The part of `reeve --help` that lists them.
pub(crate) fn help() -> String {
    let width = ALL.iter().map(|variable| variable.name.len()).max().unwrap_or_default();
    let mut text = String::from("Environment:\n");
    for variable in &ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:width$}  {}", variable.name, variable.summary);
    }
    text
}
