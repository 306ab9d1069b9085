//! Signed notes: a text and the signatures under it (c2sp.org/signed-note).

mod key;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) use key::pair_from_seed;
pub use key::{Algorithm, KeyError, SEED_BYTES, Signer, VerifierKey};

/// The longest note that is read, in bytes: room for a checkpoint, 16 signatures as the specification wants and more.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The most signatures that a note may have.
pub const SIGNATURES_MAX: usize = 64;

/// A text with signatures. That it was read says nothing about them: see [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// One line under a note: who says to have signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id: the first four bytes of a hash over name, algorithm and key.
    pub id: [u8; 4],
    /// The signature, in the form of the key's algorithm.
    pub bytes: Vec<u8>,
}

/// What a key was found to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key's name.
    pub name: String,
    /// When, in seconds since 1970, if its signatures say so (`cosignature/v1` does).
    pub time: Option<u64>,
}

/// Why a text is no note, or a note is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("the note has more than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8, or a control character beside the newline.
    #[error("the note is not plain text")]
    NotText,
    /// No blank line with signatures after it, or a text that does not end in a newline.
    #[error("the note has no signatures")]
    Unsigned,
    /// A line that should be a signature is not one.
    #[error("line {0} under the note is not a signature")]
    Malformed(usize),
    /// More than [`SIGNATURES_MAX`].
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooMany,
    /// None of the keys signed it.
    #[error("none of the known keys signed the note")]
    Unknown,
    /// A signature that bears a known key's name and id is not that key's.
    #[error("the signature of `{0}` is wrong: the note was altered, or signed with another key of this name and id")]
    Wrong(String),
}

impl Note {
    /// A text that nobody signed yet. It must end in a newline.
    ///
    /// # Errors
    /// [`NoteError::NotText`], [`NoteError::TooLong`], [`NoteError::Unsigned`] if the newline is missing.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        check_text(&text)?;
        if text.ends_with('\n') { Ok(Self { text, signatures: Vec::new() }) } else { Err(NoteError::Unsigned) }
    }

    /// Reads a note, with at least one signature, known or not.
    ///
    /// # Errors
    /// When it is not written as the specification says.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        check_text(whole)?;
        // The text may have blank lines of its own: the last one parts it from the signatures.
        let (text, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        let signatures = parse_signatures(lines)?;
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// What was signed, its last newline included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in the order of their lines, verified or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a line, unless the same signature is there already. One of the same key replaces the older one: a note has
    /// one line for each key.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|present| (&present.name, present.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
    }

    /// Which of `keys` signed the note, in the order of the lines; at least one. Lines of unknown keys say nothing.
    ///
    /// # Errors
    /// [`NoteError::Wrong`] as soon as one of `keys` did not sign what bears its name and id, [`NoteError::Unknown`]
    /// if no line is of any of them.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for signature in &self.signatures {
            let Some(key) = keys.iter().find(|key| key.made(signature)) else { continue };
            let time = key.verify(&self.text, signature).ok_or_else(|| NoteError::Wrong(signature.name.clone()))?;
            // Said twice is said once: a quorum counts keys.
            if verified.iter().all(|seen| seen.name != key.name()) {
                verified.push(Verified { name: key.name().to_owned(), time });
            }
        }
        if verified.is_empty() { Err(NoteError::Unknown) } else { Ok(verified) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}

/// Reads lines of signatures, such as a witness answers: at least one, each with its newline.
///
/// # Errors
/// When a line is not a signature, or there are none or too many.
pub fn parse_signatures(lines: &str) -> Result<Vec<Signature>, NoteError> {
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
    if lines.split('\n').count() > SIGNATURES_MAX {
        return Err(NoteError::TooMany);
    }
    lines.split('\n').zip(1..).map(|(line, number)| line.parse().map_err(|()| NoteError::Malformed(number))).collect()
}

impl fmt::Display for Signature {
    /// The line with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.id.iter().chain(&self.bytes).copied().collect();
        writeln!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for Signature {
    type Err = ();

    /// Reads a line without its newline.
    fn from_str(line: &str) -> Result<Self, ()> {
        let (name, bytes) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(())?;
        let bytes = STANDARD.decode(bytes).map_err(|_| ())?;
        let (id, bytes) = bytes.split_first_chunk().ok_or(())?;
        if !is_name(name) || bytes.is_empty() {
            return Err(());
        }
        Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_owned() })
    }
}

/// Whether a key may be called so: not empty, no spaces of any script, no plus.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|character: char| character.is_whitespace() || character == '+')
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let foreign = |byte: u8| byte < b' ' && byte != b'\n';
    if text.bytes().any(foreign) { Err(NoteError::NotText) } else { Ok(()) }
}

/// What a line of signature begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
