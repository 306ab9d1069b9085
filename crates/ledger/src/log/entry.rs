//! What goes in.

use std::fmt;

use crate::proof::leaf::WORD_BYTES_MAX;

/// One thing to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which retention it falls under.
    pub class: Class,
    /// What kind of thing happened: `policy.change`, `http.requests`. A word as [`Leaf`](crate::proof::Leaf) has
    /// it. It stays readable for ever, so it must tell nothing of a person.
    pub activity: String,
    /// The clause that it proves, if there is one. A word, too; it stays readable for ever.
    pub clause: Option<String>,
    /// Who: kept only as a hash under the day's key, so that it can be searched for while the day is kept and by nobody
    /// after that.
    pub actor: Option<String>,
    /// The contents, at most [`BODY_BYTES_MAX`] bytes: JSON, or one JSON document on each line for a batch.
    pub body: Vec<u8>,
}

/// Classes of entries. Each has its own key for each day, so that each can be forgotten by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new class needs a retention, and its own answer wherever classes are told apart"
)]
pub enum Class {
    /// Requests and answers, mostly in batches.
    Request,
    /// The security trail: sign-ins, administrative acts, changes of policy, evidence.
    Security,
    /// What the ledger records of itself: purges and holds. Kept for ever, because a purge must stay explained.
    Ledger,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Request, Self::Security, Self::Ledger];

    /// The class as it stands in leaves, paths and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Security => "security",
            Self::Ledger => "ledger",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Entry {
    /// Whether it may be recorded at all.
    ///
    /// # Errors
    /// [`InvalidEntry`] says what is too long, empty or not allowed.
    pub fn check(&self) -> Result<(), InvalidEntry> {
        if self.body.len() > BODY_BYTES_MAX {
            return Err(InvalidEntry::Body(self.body.len()));
        }
        name("activity", &self.activity)?;
        self.clause.as_deref().map_or(Ok(()), |clause| name("clause", clause))?;
        match &self.actor {
            Some(actor) if actor.len() > ACTOR_BYTES_MAX => Err(InvalidEntry::Actor(actor.len())),
            _ => Ok(()),
        }
    }
}

/// The same rule as [`crate::proof::Leaf::print`] has, so that an entry is refused to its caller and not on its way.
fn name(what: &'static str, text: &str) -> Result<(), InvalidEntry> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    let word = (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(known);
    if word { Ok(()) } else { Err(InvalidEntry::Name(what)) }
}

/// An entry that cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEntry {
    /// The contents are too long; a batch has to be cut into several entries.
    #[error("contents of {0} bytes are longer than {BODY_BYTES_MAX}, the most that one entry holds")]
    Body(usize),
    /// Activity or clause is not a word as leaves have it.
    #[error("the {0} of an entry is 1 to {WORD_BYTES_MAX} of the characters a-z A-Z 0-9 . _ : / -")]
    Name(&'static str),
    /// The actor is too long.
    #[error("an actor of {0} bytes is longer than {ACTOR_BYTES_MAX}")]
    Actor(usize),
}

/// The longest contents of one entry, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The longest actor, in bytes.
pub const ACTOR_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { class: Class::Security, activity: "a".into(), clause: None, actor: None, body: Vec::new() }
    }

    #[test]
    fn each_bound_holds_at_its_edge_and_one_past_it() {
        let long = |length| "a".repeat(length);
        assert_eq!(entry().check(), Ok(()));
        assert_eq!(Entry { body: vec![0; BODY_BYTES_MAX], ..entry() }.check(), Ok(()));
        assert!(Entry { body: vec![0; BODY_BYTES_MAX + 1], ..entry() }.check().is_err());
        assert_eq!(Entry { activity: long(WORD_BYTES_MAX), ..entry() }.check(), Ok(()));
        for wrong in [long(WORD_BYTES_MAX + 1), String::new(), "a b".into(), "a\u{1b}".into(), "ä".into()] {
            assert!(Entry { activity: wrong.clone(), ..entry() }.check().is_err(), "{wrong}");
            assert!(Entry { clause: Some(wrong.clone()), ..entry() }.check().is_err(), "{wrong}");
        }
        assert_eq!(Entry { actor: Some(long(ACTOR_BYTES_MAX)), ..entry() }.check(), Ok(()));
        assert!(Entry { actor: Some(long(ACTOR_BYTES_MAX + 1)), ..entry() }.check().is_err());
    }

    #[test]
    fn class_names_come_back() {
        for class in Class::ALL {
            assert_eq!(Class::from_name(class.as_str()), Some(class));
        }
        assert_eq!(Class::from_name("Request"), None);
    }
}
