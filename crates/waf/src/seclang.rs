//! Reads SecLang: from texts to rules as they are meant.

mod actions;
mod assembly;
mod controls;
mod lex;
mod operators;
mod reader;
mod settings;
mod targets;
mod text;
mod updates;
mod wrong;

use std::fmt;

use crate::rule::{Place, RuleBook, Target};

/// Where rule files come from.
pub trait Source {
    /// The bytes of a file. `name` is as it was written, `beside` the file that names it (none for the first).
    ///
    /// # Errors
    ///
    /// It is not there, or cannot be read.
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError>;

    /// The files that a pattern such as `rules/*.conf` names, in the order of their names; the name itself if it is no
    /// pattern. The names are such that [`read`](Self::read) finds them without `beside`.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError>;
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{name}`: {cause}")]
pub struct SourceError {
    /// As it was asked for.
    pub name: String,
    /// What the system says.
    pub cause: String,
}

/// Something in a rule file that cannot be run as it is written.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.file, self.place.line, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// Reads files in order, as if they were one.
///
/// # Errors
///
/// Every fault of them, not only the first.
pub(crate) fn read(files: &[&str], source: &dyn Source) -> Result<RuleBook, Vec<Fault>> {
    let mut reader = reader::Reader::new(source);
    files.iter().for_each(|name| reader.top(name));
    reader.finish()
}

/// Reads a list of variables as rules write it.
///
/// # Errors
///
/// What is wrong with it, and what to do about that.
pub(crate) fn read_targets(text: &str) -> Result<Vec<Target>, (String, Option<String>)> {
    targets::read(text.as_bytes()).map_err(|wrong| (wrong.message, wrong.help))
}

/// Whether a variable has members with names.
pub(crate) fn has_members(variable: crate::variable::Variable) -> bool {
    targets::is_collection(variable)
}

#[cfg(test)]
mod tests;
