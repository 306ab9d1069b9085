//! `reeve waf feed`: makes a feed of rules, for other gateways to follow.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use reeve_base::{Clock, Entropy, Secret, SystemClock, SystemEntropy};
use reeve_ledger::proof::Signer;

use crate::diagnostics::plural;
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::feed::{FILES_FOLDER, Listed, Manifest};
use crate::keeping;
use crate::rule_files;
use crate::screen::Screen;

use super::pin;

/// Make a feed of rules, for gateways to follow
///
/// A feed is a folder for a web server: a signed manifest, `feed.note`, and the files that it names, under their digests.
/// Sign it anew as often as the policies of those who follow it ask (`waf.rule_age`), also where nothing has changed: that
/// is how they know that nothing is held back.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct FeedArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf feed key --name rules.example.com/waf feed.key
  reeve waf feed sign crs --key feed.key --version 4.28.0 --out /srv/feed";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key, and print the line for `key` in `[waf.feed]`
    Key {
        /// What the key is called: best a host name and a path
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The file of the private key; it must not be there yet
        file: PathBuf,
    },
    /// Sign a rule set as the newest state of a feed
    Sign {
        /// A folder of rules. What of it is read when the rules are loaded goes into the feed, and nothing else
        folder: PathBuf,
        /// The file of the private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What the rules are called, such as `4.28.0`
        #[arg(long, value_name = "TEXT")]
        version: String,
        /// The folder of the feed; the serial goes on from what is there
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}

/// Runs the verb.
pub(crate) fn run(args: &FeedArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Key { name, file } => make_key(name, file, screen)?,
        Verb::Sign { folder, key, version, out } => sign(folder, key, version, out, screen)?,
    }
    Ok(ExitCode::Holds)
}

fn make_key(name: &str, file: &Path, screen: &Screen) -> anyhow::Result<()> {
    let mut seed = [0; 32];
    SystemEntropy.fill(&mut seed)?;
    let signer = Signer::from_seed(name, &Secret::new(seed))?;
    let key = signer.verifier_key().to_string();
    let id: String = signer.verifier_key().id().iter().map(|byte| format!("{byte:02x}")).collect();
    let coded = STANDARD.encode([&[ED25519][..], &seed].concat());
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut created = created.with_context(|| format!("cannot make `{}`", file.display()))?;
    writeln!(created, "{PRIVATE}{name}+{id}+{coded}")?;
    created.sync_all()?;
    screen.data(key)?;
    screen.talk(format_args!("the private key is in {}: keep it where no gateway runs", file.display()));
    Ok(())
}

fn sign(folder: &Path, key: &Path, version: &str, out: &Path, screen: &Screen) -> anyhow::Result<()> {
    anyhow::ensure!(folder.is_dir(), "`{}` is no folder of rules", folder.display());
    let signer = read_key(key)?;
    // Rules that cannot be loaded are of no use to anybody.
    let facts = pin::facts(&pin::of(&[folder.to_owned()]))?;
    let store = out.join(FILES_FOLDER);
    fs::create_dir_all(&store).with_context(|| format!("cannot make `{}`", store.display()))?;
    let mut files = Vec::new();
    for file in &facts.files {
        let path = folder.join(&file.name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        anyhow::ensure!(keeping::digest(&bytes) == file.sha256, "`{}` was changed meanwhile", path.display());
        rule_files::replace(&store.join(&file.sha256), &bytes)?;
        files.push(Listed { path: file.name.clone(), bytes: bytes.len() as u64, sha256: file.sha256.clone() });
    }
    let note = out.join(MANIFEST);
    let serial = match fs::read(&note) {
        Ok(bytes) => {
            let known = Manifest::open(&bytes, signer.verifier_key())
                .with_context(|| format!("`{}` is there already", note.display()))
                .hint("sign with the key of the feed, or name another folder")?;
            known.serial + 1
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 1,
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", note.display())),
    };
    let manifest = Manifest::new(serial, version.to_owned(), SystemClock::new().now(), files);
    // Last: whoever fetches meanwhile gets the state before, whose files stay.
    rule_files::replace(&note, manifest.sign(&signer)?.as_bytes())?;
    let files = plural(manifest.files.len(), "file");
    screen.talk(format_args!("{version} serial {serial}, {files}: {}", note.display()));
    Ok(())
}

/// Reads a private key in the form of Go's note package, which others write as well.
fn read_key(path: &Path) -> anyhow::Result<Signer> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let Some(signer) = parsed(text.trim()) else {
        bail!("`{}` is no private key of a feed; `reeve waf feed key` makes one", path.display());
    };
    Ok(signer)
}

fn parsed(text: &str) -> Option<Signer> {
    let mut parts = text.strip_prefix(PRIVATE)?.splitn(3, '+');
    let (name, id, coded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = STANDARD.decode(coded).ok()?;
    let (algorithm, seed) = bytes.split_first()?;
    let seed: [u8; 32] = seed.try_into().ok()?;
    let signer = Signer::from_seed(name, &Secret::new(seed)).ok().filter(|_| *algorithm == ED25519)?;
    let own: String = signer.verifier_key().id().iter().map(|byte| format!("{byte:02x}")).collect();
    (own == id).then_some(signer)
}

const PRIVATE: &str = "PRIVATE+KEY+";
/// Its byte in ids and keys (c2sp.org/signed-note, "Signature types").
const ED25519: u8 = 1;
const MANIFEST: &str = "feed.note";
