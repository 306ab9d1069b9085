//! A firewall for a scratch instance: real rules in a real kernel, in a network namespace that nobody else is in and that
//! ends with the command that reads them.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// The command that loads rules for these ports and prints what holds then. With `open`, everybody is admitted.
pub(super) fn scratch_rules(ports: &[u16], open: bool, folder: &Path) -> anyhow::Result<Vec<String>> {
    let file = folder.join("rules.nft");
    let policy = if open { "accept" } else { "drop" };
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let admitted =
        if ports.is_empty() { String::new() } else { format!("tcp dport {{ {} }} accept\n", ports.join(", ")) };
    let rules = format!(
        "table inet scratch {{\nchain arriving {{\ntype filter hook input priority 0; policy {policy};\n\
         iif lo accept\nct state {{ established, related }} accept\nmeta l4proto {{ icmp, icmpv6 }} accept\n{admitted}}}\n}}\n"
    );
    fs::write(&file, rules).with_context(|| format!("cannot write `{}`", file.display()))?;
    let script = "PATH=$PATH:/usr/sbin:/sbin; nft -f \"$0\" && exec nft -j list ruleset";
    // A user namespace where this is not root: the kernel gives rights over a network that is one's own.
    let map = if rustix::process::geteuid().is_root() { None } else { Some("--map-root-user") };
    let command = ["unshare", "--net"].into_iter().chain(map).chain(["sh", "-c", script]).map(str::to_owned);
    Ok(command.chain([file.display().to_string()]).collect())
}
