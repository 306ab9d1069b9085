//! What the process gives up for itself: dumps, new privileges, capabilities.

use rustix::process::{DumpableBehavior, Resource};
use rustix::thread::{CapabilitySet, CapabilitySets, SecureComputingMode};

use super::Piece;

/// No core dump will be written and no other process of this user may read this one's memory.
pub(super) fn no_dumps() -> Result<(), String> {
    let dumps = reeve_vault::process::no_dumps();
    dumps.attach_refused.and(dumps.core_file_refused)
}

/// No program that is run from here gains rights by its file's mode or capabilities.
pub(super) fn no_new_privileges() -> Result<(), String> {
    rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())
}

/// Gives up every capability, but that to listen below port 1024 where a listed port is there.
pub(super) fn drop_capabilities(privileged_port: bool) -> Result<(), String> {
    let had = rustix::thread::capabilities(None).map_err(|error| error.to_string())?;
    let wanted = if privileged_port { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    let keep = had.permitted & wanted;
    // The bounding and the ambient set only count when a program is run, which is refused anyway; and only the
    // superuser may empty the first. So what cannot be given up here is no gap.
    for capability in CapabilitySet::all().iter() {
        if capability != CapabilitySet::NET_BIND_SERVICE || !privileged_port {
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(|error| error.to_string())
}

/// The capabilities that this thread could still use, by name.
pub(super) fn capabilities() -> Vec<String> {
    let permitted = rustix::thread::capabilities(None).map_or(CapabilitySet::all(), |sets| sets.permitted);
    permitted.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// The pieces of which the kernel says that they are not in force.
pub(super) fn denied() -> impl Iterator<Item = Piece> {
    let claims: [(Piece, bool); 4] = [
        (Piece::NoNewPrivileges, matches!(rustix::thread::no_new_privs(), Ok(true))),
        (Piece::Dumps, matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable))),
        (Piece::Dumps, rustix::process::getrlimit(Resource::Core).maximum == Some(0)),
        (Piece::Calls, matches!(rustix::thread::secure_computing_mode(), Ok(SecureComputingMode::Filter))),
    ];
    claims.into_iter().filter(|(_, holds)| !holds).map(|(piece, _)| piece)
}
