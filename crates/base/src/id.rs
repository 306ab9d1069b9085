//! One newtype for each identifier, listed together so that no two can be swapped.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::entropy::EntropyError;
use crate::{Entropy, Timestamp};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Names the thing. The text is kept as it stands.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id! {
    /// The key of a clause in the policy file: `lockout`, `0.30`.
    ClauseId
}
text_id! {
    /// The name of a control in the catalogue: `tls.floor`.
    ControlName
}
text_id! {
    /// The name of a probe: `tls.floor`. Often the name of the control it judges.
    ProbeName
}

/// The number of one thing that happened, quotable by a user and findable by an operator.
///
/// A ULID: 48 bits of milliseconds, then 80 bits that are unique in the process. Printed in Crockford's base 32, 26
/// characters, so that it survives being read out over the telephone. It is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; ulid::ULID_LEN];
        f.pad(ulid::Ulid::from(self.0).array_to_str(&mut text))
    }
}

impl FromStr for EventId {
    type Err = NoEventId;

    /// As it is printed, in capital or small letters, with or without the `urn:ulid:` of problem details.
    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let bare = text.get(..URN.len()).filter(|start| start.eq_ignore_ascii_case(URN)).map_or(0, str::len);
        let bare = text.get(bare..).unwrap_or_default().to_ascii_uppercase();
        ulid::Ulid::from_string(&bare).map(|id| Self(id.into())).map_err(|_| NoEventId)
    }
}

/// A text is no [`EventId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id has 26 letters and digits")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say of it")]
pub struct NoEventId;

impl EventId {
    /// When it was made, in milliseconds since 1970.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        ulid::Ulid::from(self.0).timestamp_ms()
    }
}

/// What stands before it in problem details.
const URN: &str = "urn:ulid:";

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The decision that let a request through. Today each request is one decision, so it has the number of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecisionId(pub EventId);

/// Makes event ids: random once at start, then counted, because a request cannot afford the system's entropy.
#[derive(Debug)]
pub struct EventIds {
    /// 40 random bits that tell this process from any other.
    origin: u64,
    /// 40 bits that tell the events of this process apart. `Relaxed` is enough: only uniqueness is asked of it.
    next: AtomicU64,
}

impl EventIds {
    /// A new series.
    ///
    /// # Errors
    /// When `entropy` fails.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes)?;
        Ok(Self { origin: u64::from_le_bytes(bytes) & FORTY_BITS, next: AtomicU64::new(0) })
    }

    /// The next id, stamped with `now`. Times before 1970 count as 1970.
    pub fn next(&self, now: Timestamp) -> EventId {
        let count = self.next.fetch_add(1, Ordering::Relaxed) & FORTY_BITS;
        let random = (u128::from(self.origin) << 40) | u128::from(count);
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
        EventId(ulid::Ulid::from_parts(milliseconds, random).into())
    }
}

const FORTY_BITS: u64 = (1 << 40) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn event_ids_are_distinct_ordered_and_26_characters() {
        let ids = EventIds::new(&SystemEntropy).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (first, second) = (ids.next(now), ids.next(now));
        assert!(first < second);
        assert_eq!(first.to_string().len(), 26);
        assert_eq!(first.milliseconds(), 1_800_000_000_000);
        for text in [first.to_string(), first.to_string().to_ascii_lowercase(), format!("urn:ulid:{first}")] {
            assert_eq!(text.parse(), Ok(first), "{text}");
        }
        for text in ["", "urn:ulid:", "01M8", "01M807ENJGATBQ3BM4000000UU"] {
            assert_eq!(text.parse::<EventId>(), Err(NoEventId), "{text}");
        }
    }
}
