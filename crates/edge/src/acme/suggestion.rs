//! When authorities themselves would have certificates renewed (RFC 9773), where they say so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, RenewalInfo};
use reeve_base::Timestamp;

use crate::certificate::Identity;
use crate::renewal;

/// What was suggested, by the certificate's fingerprint. It is not kept: every gateway asks by itself.
#[derive(Debug, Default)]
pub(super) struct Suggestions(Mutex<HashMap<String, Suggestion>>);

#[derive(Debug, Clone, Copy)]
struct Suggestion {
    /// The moment that was chosen inside the window.
    moment: Option<Timestamp>,
    /// When to ask again.
    again: Timestamp,
}

impl Suggestions {
    /// The moment for a certificate, if there was a suggestion.
    pub(super) fn moment(&self, identity: &Identity) -> Option<Timestamp> {
        self.held().get(identity.fingerprint())?.moment
    }

    /// Whether it is time to ask about a certificate. From then on it counts as asked: an authority that does not answer
    /// is not asked again at once.
    pub(super) fn ask(&self, identity: &Identity, now: Timestamp) -> bool {
        let mut held = self.held();
        let known = held.get(identity.fingerprint()).copied();
        // A clock that went far ahead and came back must not keep us from asking for longer than usual.
        if known.is_some_and(|known| known.again > now && known.again <= renewal::later(now, ASK_MAX)) {
            return false;
        }
        if held.len() >= HELD_MAX {
            held.clear();
        }
        let moment = known.and_then(|known| known.moment);
        held.insert(identity.fingerprint().to_owned(), Suggestion { moment, again: renewal::later(now, ASK_USUALLY) });
        true
    }

    /// Asks. An authority that knows nothing of suggestions leaves everything as it is.
    pub(super) async fn fetch(&self, account: &Account, identity: &Identity, now: Timestamp) {
        let Some(id) = identity.leaf().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok()) else { return };
        let (info, again) = match account.renewal_info(&id).await {
            Ok(answer) => answer,
            Err(error) => return tracing::debug!(%error, "no suggestion for a renewal"),
        };
        let suggestion =
            Suggestion { moment: chosen(identity, &info), again: renewal::later(now, again.clamp(ASK_MIN, ASK_MAX)) };
        self.held().insert(identity.fingerprint().to_owned(), suggestion);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<String, Suggestion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment inside the window, by the certificate's own chance, and none in the first part of its life: an authority that
/// always says "now" would be asked without end.
fn chosen(identity: &Identity, info: &RenewalInfo) -> Option<Timestamp> {
    let time = |seconds| Timestamp::from_second(seconds).ok();
    let window = &info.suggested_window;
    let (start, end) = (time(window.start.unix_timestamp())?, time(window.end.unix_timestamp())?);
    let width = u64::try_from(end.as_second().saturating_sub(start.as_second())).unwrap_or(0);
    let into = width.saturating_mul(u64::from(identity.jitter())) / u64::from(u16::MAX);
    let moment = renewal::later(start, Duration::from_secs(into));
    let (from, to) = identity.life();
    let life = u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0);
    Some(moment.max(renewal::later(from, Duration::from_secs(life / UNTOUCHED_PART))))
}

const ASK_MIN: Duration = Duration::from_mins(10);
const ASK_USUALLY: Duration = Duration::from_hours(6);
const ASK_MAX: Duration = Duration::from_hours(24);

/// The part of a certificate's life in which no suggestion is followed.
const UNTOUCHED_PART: u64 = 20;

/// More certificates than a gateway shows; those that were replaced are forgotten with the rest.
const HELD_MAX: usize = 1_000;
