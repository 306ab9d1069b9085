//! Legal holds: days that must not be forgotten, whatever the retention says.

use std::sync::PoisonError;

use jiff::civil::Date;
use reeve_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::log::{AppendError, Class, ClassDay, Ledger};
use crate::shelf::{Object, Shelf, ShelfError};

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Its name, by which it is lifted: a case's number. 1 to [`LABEL_BYTES_MAX`] bytes.
    pub label: String,
    /// The class, by its name; all of them if there is none.
    pub class: Option<String>,
    /// The first day that is held, in UTC.
    pub from: Date,
    /// The last one.
    pub to: Date,
    /// Since when.
    pub since: Timestamp,
}

/// Why a hold is not set or lifted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The list of holds cannot be read.
    #[error("`{HOLDS}` in {place} is damaged: {cause}; restore it from the newest copy, nothing is purged until then")]
    Damaged {
        /// The folder or bucket.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// There is one of that name.
    #[error("there is a hold `{0}` already")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no hold `{0}`")]
    Unknown(String),
    /// The label is empty or too long, or the days are in the wrong order.
    #[error("a hold needs a label of 1 to {LABEL_BYTES_MAX} bytes and a last day that is not before its first")]
    Invalid,
    /// It could not be recorded.
    #[error("the hold could not be recorded: {0}")]
    Record(#[from] AppendError),
}

impl Hold {
    /// Whether it keeps this day.
    #[must_use]
    pub fn covers(&self, of: ClassDay) -> bool {
        let class = self.class.as_deref().is_none_or(|class| class == of.class.as_str());
        class && (self.from..=self.to).contains(&of.day)
    }
}

impl Ledger {
    /// Keeps days from being purged, from now on and until the hold is lifted. The hold is in force before it is
    /// recorded.
    ///
    /// # Errors
    /// [`HoldError`].
    pub fn hold(&self, label: &str, class: Option<Class>, from: Date, to: Date) -> Result<Hold, HoldError> {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX || from > to {
            return Err(HoldError::Invalid);
        }
        let _turn = self.retaining.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = &*self.shared().shelf;
        let mut holds = read(shelf)?;
        if holds.iter().any(|hold| hold.label == label) {
            return Err(HoldError::Exists(label.to_owned()));
        }
        let class = class.map(|class| class.to_string());
        let hold = Hold { label: label.to_owned(), class, from, to, since: self.shared().tools.clock.now() };
        holds.push(hold.clone());
        write(shelf, &holds)?;
        self.record("ledger.hold", &hold)?;
        Ok(hold)
    }

    /// Lifts a hold. That is recorded before the hold ends.
    ///
    /// # Errors
    /// [`HoldError`].
    pub fn lift(&self, label: &str) -> Result<Hold, HoldError> {
        let _turn = self.retaining.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = &*self.shared().shelf;
        let mut holds = read(shelf)?;
        let position = holds.iter().position(|hold| hold.label == label);
        let position = position.ok_or_else(|| HoldError::Unknown(label.to_owned()))?;
        let hold = holds.remove(position);
        self.record("ledger.lift", &hold)?;
        write(shelf, &holds)?;
        Ok(hold)
    }

    /// The holds in force.
    ///
    /// # Errors
    /// [`HoldError::Shelf`], [`HoldError::Damaged`].
    pub fn holds(&self) -> Result<Vec<Hold>, HoldError> {
        read(&*self.shared().shelf)
    }
}

pub(super) fn read(shelf: &dyn Shelf) -> Result<Vec<Hold>, HoldError> {
    let Some(bytes) = shelf.get(HOLDS)? else { return Ok(Vec::new()) };
    serde_json::from_slice(&bytes).map_err(|error| HoldError::Damaged { place: shelf.name(), cause: error.to_string() })
}

fn write(shelf: &dyn Shelf, holds: &[Hold]) -> Result<(), ShelfError> {
    shelf.put(&[Object { path: HOLDS.to_owned(), bytes: serde_json::to_vec(holds).unwrap_or_default() }])
}

/// The longest label of a hold, in bytes.
pub const LABEL_BYTES_MAX: usize = 200;

/// Where the holds are.
const HOLDS: &str = "holds";
