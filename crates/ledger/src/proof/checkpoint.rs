//! Checkpoints: what a log says it is at one moment (c2sp.org/tlog-checkpoint).

use std::fmt;
use std::str::FromStr;

use super::note::{Algorithm, Note, NoteError, Signature, Signer, Verified, VerifierKey};
use super::{Hash, Head};

/// The text of a checkpoint. That it was read says nothing about who wrote it: see [`SignedCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name for life.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Lines that mean nothing to us and are signed all the same.
    pub extensions: Vec<String>,
}

/// A checkpoint that the log's own key signed. Made only by [`SignedCheckpoint::open`] and [`SignedCheckpoint::sign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// Why a text is no checkpoint, or not one to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not the three lines of a checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The note around it is no note, or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It is another log's.
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    Origin {
        /// What it names.
        found: String,
        /// What its key names.
        expected: String,
    },
}

impl Checkpoint {
    /// Size and root.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { size: self.size, root: self.root }
    }
}

impl SignedCheckpoint {
    /// Signs a checkpoint with the log's key.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] if the key has another name than the log, [`CheckpointError::Malformed`] and
    /// [`CheckpointError::Note`] if the origin or an extension line cannot stand in a checkpoint.
    pub fn sign(checkpoint: Checkpoint, signer: &Signer) -> Result<Self, CheckpointError> {
        let text = checkpoint.to_string();
        if text.parse::<Checkpoint>()? != checkpoint {
            return Err(CheckpointError::Malformed("a line of it has a newline"));
        }
        check_origin(&checkpoint, signer.verifier_key())?;
        let mut note = Note::new(text)?;
        note.add(signer.sign(note.text()));
        Ok(Self { checkpoint, note })
    }

    /// Reads a checkpoint that one of the log's keys signed. It has more than one while they are exchanged.
    ///
    /// # Errors
    /// When it is not written like one, is another log's, or no key of `keys` signed it. A key of a witness never
    /// counts as a log's.
    pub fn open(bytes: &[u8], keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        Self::from_note(Note::parse(bytes)?, keys)
    }

    /// [`SignedCheckpoint::open`] for a note that was read already.
    pub(crate) fn from_note(note: Note, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let keys: Vec<VerifierKey> = keys.iter().filter(|key| key.algorithm() == Algorithm::Ed25519).cloned().collect();
        note.verify(&keys)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        for key in keys.iter().filter(|key| note.signatures().iter().any(|signature| key.made(signature))) {
            check_origin(&checkpoint, key)?;
        }
        Ok(Self { checkpoint, note })
    }

    /// What the log says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Size and root.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.checkpoint.head()
    }

    /// The note as it is published, with every signature.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Adds another key's signature: a witness's, or the log's next key's.
    pub fn add(&mut self, signature: Signature) {
        self.note.add(signature);
    }

    /// Which of these witnesses cosigned it, and when.
    ///
    /// # Errors
    /// [`NoteError::Wrong`] if a line bears a witness's name and id and is not its. A checkpoint without any
    /// cosignature is no error.
    pub fn cosigned_by(&self, witnesses: &[VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let witnesses: Vec<VerifierKey> =
            witnesses.iter().filter(|key| key.algorithm() == Algorithm::Cosignature).cloned().collect();
        match self.note.verify(&witnesses) {
            Err(NoteError::Unknown) => Ok(Vec::new()),
            other => other,
        }
    }
}

fn check_origin(checkpoint: &Checkpoint, key: &VerifierKey) -> Result<(), CheckpointError> {
    if checkpoint.origin == key.name() {
        return Ok(());
    }
    Err(CheckpointError::Origin { found: checkpoint.origin.clone(), expected: key.name().to_owned() })
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads the text of a checkpoint, without signatures.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text.strip_suffix('\n').ok_or(malformed("it does not end in a newline"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(malformed("it has no origin"))?;
        let size = lines.next().and_then(parse_decimal).ok_or(malformed("its second line is not a size"))?;
        let root = lines.next().and_then(|line| line.parse().ok()).ok_or(malformed("its third line is not a hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(malformed("it has a blank line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

/// A number without sign and leading zeroes.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
