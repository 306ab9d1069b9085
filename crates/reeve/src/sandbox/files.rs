//! Landlock: which paths and TCP ports are left.
//!
//! Every right that the running kernel can refuse is refused, and then given back for the paths of the plan. Running a
//! program is given back nowhere. Outgoing connections are not confined: the application's address may change with a
//! reload, and a rule cannot.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Grant, Plan};

/// What is in force.
#[derive(Debug)]
pub(super) struct Confined {
    /// The ABI of the running kernel, as far as it is used here; 0 for none.
    pub(super) abi: u8,
    /// What was there to be opened.
    pub(super) open: Vec<(Grant, PathBuf)>,
    why_not: Option<String>,
}

impl Confined {
    /// Whether a piece that came with ABI `since` is in force.
    pub(super) fn offers(&self, since: u8) -> Result<(), String> {
        match (&self.why_not, self.abi) {
            (Some(why), _) => Err(why.clone()),
            (None, abi) if abi >= since => Ok(()),
            (None, abi) => Err(format!("this kernel's Landlock has ABI {abi} and not {since}")),
        }
    }
}

/// Paths that are held, with what will be allowed below them.
pub(super) struct Prepared(Vec<(Grant, PathBuf, PathFd)>);

/// Makes what is to be written and is not there, and takes hold of everything. What does not exist on this machine is
/// left out; a folder that cannot be made is left to whoever needs it, who knows the line of the settings to point at.
pub(super) fn prepare(plan: &Plan) -> Prepared {
    let mut held = Vec::new();
    for (grant, path) in plan.open() {
        let _made: io::Result<()> = match grant {
            Grant::Change => fs::create_dir_all(path),
            Grant::Append => OpenOptions::new().create(true).append(true).open(path).map(drop),
            Grant::Read | Grant::Device | Grant::Reach => Ok(()),
        };
        if let Ok(fd) = PathFd::new(path) {
            held.push((grant, path.to_owned(), fd));
        }
    }
    Prepared(held)
}

/// Confines the calling thread, and all that it starts from now on.
pub(super) fn confine(plan: &Plan, prepared: Prepared) -> Confined {
    let outcome = restrict(plan, &prepared);
    let mut open = Vec::new();
    let mut pins = Vec::new();
    for (grant, path, fd) in prepared.0 {
        if path.starts_with("/proc") {
            pins.push(fd);
        }
        open.push((grant, path));
    }
    // The first and only time: nobody enters twice.
    let _ = PINNED.set(pins);
    match outcome {
        Ok(status) => match status.landlock {
            LandlockStatus::Available { effective_abi, .. } => {
                Confined { abi: u8::try_from(effective_abi as i32).unwrap_or(0), open, why_not: None }
            }
            LandlockStatus::NotEnabled => {
                missing("this kernel has Landlock and does not use it (boot with `lsm=landlock,…`)")
            }
            LandlockStatus::NotImplemented => missing("this kernel has no Landlock, or the container hides it"),
        },
        Err(error) => missing(&error.to_string()),
    }
}

fn missing(why: &str) -> Confined {
    Confined { abi: 0, open: Vec::new(), why_not: Some(why.to_owned()) }
}

fn restrict(plan: &Plan, prepared: &Prepared) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V9))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    for (grant, _, fd) in &prepared.0 {
        ruleset = ruleset.add_rule(PathBeneath::new(fd, rights(*grant)))?;
    }
    for port in plan.listening() {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    ruleset.restrict_self()
}

fn rights(grant: Grant) -> BitFlags<AccessFs> {
    match grant {
        Grant::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        Grant::Append => AccessFs::WriteFile.into(),
        Grant::Device => AccessFs::ReadFile | AccessFs::WriteFile,
        Grant::Reach => AccessFs::ResolveUnix.into(),
        // Neither devices nor pipes nor links: a link would be followed by whoever reads the folder with more rights.
        Grant::Change => {
            AccessFs::ReadFile
                | AccessFs::ReadDir
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::MakeReg
                | AccessFs::MakeDir
                | AccessFs::MakeSock
                | AccessFs::RemoveFile
                | AccessFs::RemoveDir
                | AccessFs::Refer
                | AccessFs::ResolveUnix
        }
    }
}

/// A rule belongs to an inode, and `/proc` makes new ones for the same name once it has forgotten the old: while these
/// are held, it does not forget.
static PINNED: OnceLock<Vec<PathFd>> = OnceLock::new();
