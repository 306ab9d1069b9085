//! The state of the keys, as text or JSON.

use reeve_base::Timestamp;
use reeve_vault::{MemoryLock, SealStatus, Status, VersionState, VersionStatus};
use serde::Serialize;

use crate::exit::ExitCode;
use crate::screen::{CAREFUL, FAINT, GOOD, Screen, paint};

/// As `--json` prints it. The schema only grows.
#[derive(Serialize)]
struct Report<'s> {
    schema: &'static str,
    #[serde(flatten)]
    status: &'s Status,
}

/// Prints it; what needs a look goes to standard error.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn show(status: &Status, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    if json {
        screen.data(serde_json::to_string_pretty(&Report { schema: SCHEMA, status })?)?;
        return Ok(ExitCode::Holds);
    }
    screen.data(format_args!("installation {}, generation {} of its ring", status.installation, status.generation))?;
    screen.data("")?;
    let header = ["seal", "kind", "made", ""].map(str::to_owned);
    screen.data(screen.table(Some(header), status.seals.iter().map(seal)))?;
    screen.data("")?;
    let header = ["store key", "state", "made", "sealed"].map(str::to_owned);
    screen.data(screen.table(Some(header), status.versions.iter().map(version)))?;
    if status.rotation_due {
        let warning = "the store key has sealed 2^31 values: `reeve key rotate`";
        screen.complain(format_args!("{} {warning}", paint(CAREFUL, "warning:")));
    }
    if let MemoryLock::Refused { cause } = &status.memory {
        let warning = "the root key can reach the swap, because its memory cannot be locked";
        screen.complain(format_args!("{} {warning}: {cause}", paint(CAREFUL, "warning:")));
    }
    Ok(ExitCode::Holds)
}

fn seal(seal: &SealStatus) -> [String; 4] {
    let opened = if seal.opened { paint(FAINT, "opened with it now") } else { String::new() };
    [seal.id.to_string(), seal.kind.as_str().to_owned(), when(seal.created), opened]
}

fn version(version: &VersionStatus) -> [String; 4] {
    let state = match version.state {
        VersionState::Current => paint(GOOD, "current"),
        VersionState::DecryptOnly { since } => format!("opens only, since {}", when(since)),
        VersionState::Destroyed { since } => paint(FAINT, format_args!("destroyed {}", when(since))),
    };
    let sealed = match version.uses_max {
        0 => String::from("nothing"),
        uses => format!("{uses} values or fewer"),
    };
    [format!("v{}", version.version), state, when(version.created), sealed]
}

/// To the second: what a person compares with other logs.
fn when(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

const SCHEMA: &str = "reeve.keys/1";
