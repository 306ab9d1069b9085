//! Attacks that must not come through anywhere.

use super::wire::At;

pub(crate) use reeve_waf::attacks::{BY_HEADER, BY_PATH, EVERYWHERE, SQL};

/// Every place from which an application takes values.
pub(crate) const PLACES: &[At] = &[
    At::Query("q"),
    At::Form("comment"),
    At::Json("text"),
    At::DeepJson("text"),
    At::Field("text"),
    At::Cookie("prefs"),
    At::Xml,
    At::Body("text/plain"),
];

/// Headers that applications write into their logs and pages.
pub(crate) const HEADERS: &[At] = &[At::Header("User-Agent"), At::Header("Referer"), At::Header("X-Client")];
