//! `reeve ledger verify`: computes again what the ledger claims, or what the proof of one entry does.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use reeve_ledger::proof::{EntryProof, SignedCheckpoint, VerifierKey};
use reeve_ledger::verify;
use serde_json::{Value, json};

use super::tail::printable;
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::{BAD, GOOD, Screen, paint};

/// Verify the whole ledger, or the proof of one entry
///
/// Without --proof: signatures, every tile and bundle, every commitment against its contents, and whether all that is
/// missing was purged. With it: one file, on any machine, without ledger and keys.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A checkpoint from before, which the ledger must continue
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,

    /// A file of `reeve ledger prove`
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "since")]
    proof: Option<PathBuf>,

    /// The key that verifies the log, as `reeve ledger status` shows it
    #[arg(long, value_name = "KEY", requires = "proof")]
    key: Option<String>,

    /// A witness that must have cosigned the proof's checkpoint
    #[arg(long, value_name = "KEY", requires = "proof")]
    witness: Vec<String>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    match (&args.proof, &args.key) {
        (Some(proof), Some(key)) => one(args, proof, key, screen),
        _ => whole(args, config, screen),
    }
}

/// One entry by its proof.
fn one(args: &VerifyArgs, path: &Path, log: &str, screen: &Screen) -> anyhow::Result<ExitCode> {
    let key = |text: &String| {
        text.parse::<VerifierKey>()
            .with_context(|| format!("`{text}` is no verifier key"))
            .hint("`reeve ledger status` and `reeve witness` show theirs: name+1a2b3c4d+base64")
    };
    let log = key(&log.to_owned())?;
    let witnesses: Vec<VerifierKey> = args.witness.iter().map(key).collect::<anyhow::Result<_>>()?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let proof = EntryProof::parse(&bytes);
    let verified = proof
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|proof| proof.verify(std::slice::from_ref(&log), &witnesses, witnesses.len()));
    let proved = match verified {
        Ok(proved) => proved,
        Err(error) => {
            if args.json {
                screen.data(json!({ "holds": false, "fault": error.to_string() }))?;
            } else {
                screen.data(format_args!("{} {error}", paint(BAD, "refused:")))?;
            }
            return Ok(ExitCode::FoundWanting);
        }
    };
    let proof = proof?;
    let leaf_json: Value = serde_json::from_slice(&proof.leaf)?;
    let body = proof.contents.map(|contents| contents.body);
    let text = body.map(|body| printable(&String::from_utf8_lossy(&body)));
    let head = proved.checkpoint.head();
    if args.json {
        screen.data(json!({ "holds": true, "leaf": leaf_json, "size": head.size, "body": text }))?;
        return Ok(ExitCode::Holds);
    }
    let leaf = &proved.leaf;
    screen.data(format_args!(
        "{} entry {} of {}: {} at {}, one of {} under a checkpoint that {} signed{}",
        paint(GOOD, "holds:"),
        leaf.seq,
        log.name(),
        leaf.kind,
        leaf.ts,
        head.size,
        log.name(),
        if proved.witnesses.is_empty() {
            String::new()
        } else {
            format!(" and {} witnesses cosigned", proved.witnesses.len())
        }
    ))?;
    if let Some(text) = text {
        screen.data(text.trim_end())?;
    }
    Ok(ExitCode::Holds)
}

/// The whole ledger of this deployment.
fn whole(args: &VerifyArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = super::reader(config)?;
    let since = match &args.since {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            let key = std::slice::from_ref(reader.verifier_key());
            let checkpoint = SignedCheckpoint::open(&bytes, key)
                .with_context(|| format!("`{}` is no checkpoint of this ledger", path.display()))?;
            Some(checkpoint)
        }
    };
    let size = reader.checkpoint()?.head().size;
    let bar = screen.progress(size, "entries");
    let report = verify::run(&reader, since.as_ref(), |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let faults: Vec<String> = report.faults.iter().map(|fault| printable(&fault.to_string())).collect();
    if args.json {
        screen.data(json!({
            "holds": report.holds(), "size": report.head.size, "root": report.head.root.to_string(),
            "kept": report.kept, "purged": report.purged, "faults": faults, "faults_total": report.faults_total,
        }))?;
    } else {
        for fault in &faults {
            screen.data(format_args!("{} {fault}", paint(BAD, "wrong:")))?;
        }
        let word = if report.holds() { paint(GOOD, "holds:") } else { paint(BAD, "does not hold:") };
        screen.data(format_args!(
            "{word} {} entries under the root {}, {} with their contents, {} purged; {} wrong",
            report.head.size, report.head.root, report.kept, report.purged, report.faults_total
        ))?;
    }
    Ok(if report.holds() { ExitCode::Holds } else { ExitCode::FoundWanting })
}
