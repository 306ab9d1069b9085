//! What a process does for its keys: it leaves no picture of its memory behind.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use serde::Serialize;

/// What [`no_dumps`] achieved. A refusal is a line for the log, no reason to stop: the other measure may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dumps {
    /// The process is not dumpable, and nobody but root may attach to it or read its memory (`PR_SET_DUMPABLE`, 0); or
    /// why not.
    pub attach_refused: Result<(), String>,
    /// Its core file may have no size (`RLIMIT_CORE`, 0, which cannot be raised again); or why not.
    pub core_file_refused: Result<(), String>,
}

impl Dumps {
    /// Both measures hold.
    #[must_use]
    pub const fn refused(&self) -> bool {
        self.attach_refused.is_ok() && self.core_file_refused.is_ok()
    }
}

/// Forbids core dumps and attaching for this process. To be called before the first key is in memory.
///
/// From then on `/proc/PID` belongs to root: an unprivileged process can no longer read its own `/proc/self/maps` and the
/// like, so whatever needs those comes first. A core pattern that is a pipe (`/proc/sys/kernel/core_pattern`) ignores the limit
/// of a core file and respects the other measure.
pub fn no_dumps() -> Dumps {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Dumps {
        attach_refused: set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string()),
        core_file_refused: setrlimit(Resource::Core, none).map_err(|error| error.to_string()),
    }
}
