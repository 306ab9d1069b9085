//! Seccomp: which system calls are left.
//!
//! Two filters, because two answers are needed. The first is a list of what a server uses, by family and a little wider
//! than what today's C library asks for; whatever is not on it **does not exist** (ENOSYS), which is the answer that C
//! libraries expect of an older kernel and have a way around. The second names what an intruder would reach for, and
//! what the first leaves open with the wrong arguments: those are **not permitted** (EPERM). Where both object, the
//! kernel takes the answer of the filter that came last. Nothing is killed: a refusal is an error that can be logged,
//! and a library that probes for a feature does no harm.
//!
//! `clone3` does not exist on purpose: its flags lie in memory, where no filter sees them. `clone` carries them in a
//! register, so threads can be told from processes, and C libraries fall back to it.
//!
//! Both filters are put on all threads at once.

mod lists;

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use self::lists::{FILES, LEGACY, MEMORY, NETWORK, REFUSED, SELF, THREADS, TIME};
use super::status::Calls;

/// Puts both filters on all threads.
pub(super) fn filter() -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| format!("there is no filter for {}", std::env::consts::ARCH))?;
    let pid = std::process::id();
    for program in [allowed(arch), refused(arch, pid)] {
        let program = program.map_err(|error| error.to_string())?;
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// How many calls the lists hold.
pub(super) fn counts() -> Calls {
    Calls { allowed: allowed_calls().filter(|call| !REFUSED.contains(call)).count(), refused: REFUSED.len() }
}

fn allowed_calls() -> impl Iterator<Item = c_long> {
    [FILES, MEMORY, THREADS, TIME, NETWORK, SELF, LEGACY].into_iter().flatten().copied()
}

/// The filter for which everything unlisted does not exist.
fn allowed(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = allowed_calls().map(|call| (call, Vec::new())).collect();
    SeccompFilter::new(rules, errno(libc::ENOSYS), SeccompAction::Allow, arch)?.try_into()
}

/// The filter that objects: to some calls always, to others for their arguments.
fn refused(arch: TargetArch, pid: u32) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<_, _> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, conditions) in bad_arguments(pid) {
        let conditions: Result<Vec<_>, _> = conditions.into_iter().map(Condition::compile).collect();
        let rule = SeccompRule::new(conditions?)?;
        rules.entry(call).or_default().push(rule);
    }
    SeccompFilter::new(rules, SeccompAction::Allow, errno(libc::EPERM), arch)?.try_into()
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

/// What an argument must be for a call to be refused. All arguments here are 32 bits wide in the kernel.
struct Condition {
    argument: u8,
    operator: SeccompCmpOp,
    value: u32,
}

impl Condition {
    fn compile(self) -> Result<SeccompCondition, seccompiler::BackendError> {
        SeccompCondition::new(self.argument, SeccompCmpArgLen::Dword, self.operator, self.value.into())
    }
}

fn is(argument: u8, value: i32) -> Condition {
    Condition { argument, operator: SeccompCmpOp::Eq, value: value.cast_unsigned() }
}

fn is_not(argument: u8, value: i32) -> Condition {
    Condition { argument, operator: SeccompCmpOp::Ne, value: value.cast_unsigned() }
}

/// All bits of `flags` are set.
fn has(argument: u8, flags: i32) -> Condition {
    masked(argument, flags, flags)
}

fn masked(argument: u8, mask: i32, value: i32) -> Condition {
    Condition { argument, operator: SeccompCmpOp::MaskedEq(mask.cast_unsigned().into()), value: value.cast_unsigned() }
}

/// Calls that are refused when all conditions of a line hold.
fn bad_arguments(pid: u32) -> Vec<(c_long, Vec<Condition>)> {
    let own = pid.cast_signed();
    let mut lines = vec![
        // A process and not a thread.
        (libc::SYS_clone, vec![masked(0, libc::CLONE_THREAD, 0)]),
        // Signals and limits of others.
        (libc::SYS_kill, vec![is_not(0, own)]),
        (libc::SYS_tgkill, vec![is_not(0, own)]),
        (libc::SYS_prlimit64, vec![is_not(0, 0), is_not(0, own)]),
        // Code that did not come from a file: written here and then run.
        (libc::SYS_mmap, vec![has(2, libc::PROT_EXEC | libc::PROT_WRITE)]),
        (libc::SYS_mmap, vec![has(2, libc::PROT_EXEC), has(3, libc::MAP_ANONYMOUS)]),
        (libc::SYS_mprotect, vec![has(2, libc::PROT_EXEC)]),
        // Memory that could be read again after a dump.
        (libc::SYS_prctl, vec![is(0, libc::PR_SET_DUMPABLE), is_not(1, 0)]),
        // Packets that were not made by the kernel's TCP and UDP.
        (libc::SYS_socket, vec![is(0, libc::AF_INET), masked(1, SOCKET_TYPE, libc::SOCK_RAW)]),
        (libc::SYS_socket, vec![is(0, libc::AF_INET6), masked(1, SOCKET_TYPE, libc::SOCK_RAW)]),
        // Of the kernel's own protocols, only the one that tells addresses and routes.
        (libc::SYS_socket, vec![is(0, libc::AF_NETLINK), is_not(2, libc::NETLINK_ROUTE)]),
        (libc::SYS_socket, SOCKET_FAMILIES.iter().map(|family| is_not(0, *family)).collect()),
        (libc::SYS_prctl, PRCTL.iter().map(|operation| is_not(0, *operation)).collect()),
    ];
    lines.extend(CLONE_REFUSED.iter().map(|flag| (libc::SYS_clone, vec![has(0, *flag)])));
    // Typing into the terminal of whoever started us; its line discipline.
    lines.extend(TERMINAL.iter().map(|request| (libc::SYS_ioctl, vec![is(1, *request)])));
    lines
}

/// The bits of a socket's type that are not flags.
const SOCKET_TYPE: i32 = 0xf;

const SOCKET_FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Namespaces, and a thread that is traced from its first instruction.
const CLONE_REFUSED: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // CLONE_NEWTIME is for `clone3` only: `clone` reads its bit as part of a signal's number.
    libc::CLONE_PTRACE,
];

/// TIOCSTI, TIOCSETD and TIOCLINUX; the same numbers on both architectures.
const TERMINAL: [i32; 3] = [0x5412, 0x5423, 0x541c];

/// Operations of `prctl`: names of threads and of memory, and questions.
const PRCTL: [i32; 13] = [
    libc::PR_SET_DUMPABLE,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_GET_SECCOMP,
    libc::PR_CAPBSET_READ,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_SET_TIMERSLACK,
    libc::PR_GET_TIMERSLACK,
    libc::PR_SET_THP_DISABLE,
    libc::PR_GET_THP_DISABLE,
];

#[cfg(test)]
mod tests;
