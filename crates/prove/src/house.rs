//! The inside of a deployment, where the judge may look: its control socket and the places it writes to.

use std::path::PathBuf;

/// What a probe may look at beside the wire, when it judges a deployment from the same machine and as its owner.
///
/// A site that is judged from outside has none, and clauses on what is kept inside are then unknown, not kept.
#[derive(Debug, Clone)]
pub struct House {
    /// The control socket of the running gateway.
    pub control: PathBuf,
    /// Every file and folder on this machine that the deployment is set to write to.
    pub places: Vec<PathBuf>,
    /// Caches beside it on this machine, that hold what passes through: files and folders.
    pub caches: Vec<PathBuf>,
    /// SHA-256 of the policy file that it is set to, in hexadecimal.
    pub policy_digest: String,
    /// The command that prints the host's nftables rules as JSON: `nft -j list ruleset`.
    pub ruleset: Vec<String>,
}
