//! What runs, by which texts and on which host: recorded whenever it is not what was recorded last.

use std::fs;
use std::io::{self, Read};

use aws_lc_rs::digest::{self, SHA256};

/// One part of what the system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// `system.config`, `system.deploy` or `system.host`.
    pub(super) activity: &'static str,
    /// What it is now.
    pub(super) object: String,
}

/// What the system is now.
///
/// # Errors
/// When the program cannot read its own file, or the host does not say what it is.
pub(super) fn facts(policy: &[u8], settings: &[u8]) -> io::Result<[Fact; 3]> {
    // Not `current_exe`: the file may have been replaced since, and what runs is what counts.
    let program = digest_of(fs::File::open("/proc/self/exe")?)?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let fact = |activity, object| Fact { activity, object };
    Ok([
        fact("system.config", format!("policy sha256:{} settings sha256:{}", digest(policy), digest(settings))),
        fact("system.deploy", format!("reeve {} sha256:{program}", env!("CARGO_PKG_VERSION"))),
        fact("system.host", format!("linux {} boot {}", kernel.trim(), boot.trim())),
    ])
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&digest::digest(&SHA256, bytes))
}

/// The same of what can be read, in pieces: a program is some twenty megabytes.
fn digest_of(mut source: impl Read) -> io::Result<String> {
    let mut context = digest::Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            return Ok(hexadecimal(&context.finish()));
        }
        context.update(piece.get(..read).unwrap_or_default());
    }
}

fn hexadecimal(digest: &digest::Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

const PIECE_BYTES: usize = 64 * 1024;
