//! The sandbox: what the running process can no longer do, to whoever takes it over.
//!
//! [`enter`] shuts the process in, for good. In this order, all of it on the main thread while there is no other one:
//!
//! 1. **No dumps** (`PR_SET_DUMPABLE`, `RLIMIT_CORE`). Whoever opened keys before has asked for that already.
//! 2. **No new privileges**: without it the kernel takes neither of the two filters from an ordinary user.
//! 3. **Capabilities** go before the filter of calls, which forbids to change them.
//! 4. **Landlock** ([`files`]): which paths and which TCP ports are left.
//! 5. **Seccomp** ([`calls`]): which system calls are left. Last, because it also refuses most of what came before.
//!
//! Capabilities and Landlock belong to a thread and are inherited by the threads that it makes; older kernels have no
//! way to put them on threads that run already. So the process must enter before it starts its runtime, its log and its
//! workers: "everything is open" then means that every path is known, and ports are opened from inside, by a rule that
//! names them. That a second thread was there is noticed and reported.
//!
//! Whatever the kernel does not offer is reported piece by piece in the [`Status`]; [`Mode`] says whether that stops
//! the start.

mod calls;
mod files;
mod plan;
mod privileges;
mod status;

use serde::{Deserialize, Serialize};

pub(crate) use plan::{Grant, Plan};
pub(crate) use status::{Piece, State, Status};

use crate::settings;

/// How much of the sandbox a start insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Every needed piece, or the process does not start.
    Enforce,
    /// What the kernel offers, with a warning for each needed piece that it does not.
    BestEffort,
    /// None of it.
    Off,
}

impl From<settings::Sandbox> for Mode {
    fn from(written: settings::Sandbox) -> Self {
        match written {
            settings::Sandbox::Enforce => Self::Enforce,
            settings::Sandbox::BestEffort => Self::BestEffort,
            settings::Sandbox::Off => Self::Off,
        }
    }
}

/// Why a process that insists on its sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// Needed pieces are missing.
    #[error("the sandbox is not whole: {}", .0.join("; "))]
    Incomplete(Vec<String>),
}

/// Shuts the calling process in. There is no way back: what is not in `plan` stays out of reach until it ends.
///
/// Call it from the main thread, before any other thread exists. Folders to write to and files to append to are made
/// here if they are not there, because a rule can only be given for what exists.
///
/// # Errors
/// With [`Mode::Enforce`], when a needed piece is missing; the process is then half shut in and should end.
pub(crate) fn enter(plan: &Plan, mode: Mode) -> Result<Status, SandboxError> {
    let mut status = Status::outside(mode);
    if mode == Mode::Off {
        return Ok(status);
    }
    let threads = threads();
    status.set(Piece::Dumps, privileges::no_dumps());
    status.set(Piece::NoNewPrivileges, privileges::no_new_privileges());
    let prepared = files::prepare(plan);
    status.set(Piece::Capabilities, privileges::drop_capabilities(plan.privileged_port()));
    status.confined(&files::confine(plan, prepared));
    status.set(Piece::Calls, calls::filter());
    status.observe(plan);
    status.alone(threads);
    match status.warnings() {
        missing if mode == Mode::Enforce && !missing.is_empty() => Err(SandboxError::Incomplete(missing)),
        _ => Ok(status),
    }
}

/// How many threads this process has; none if that cannot be known.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
