//! Where newer rules come from: `[waf.feed]`.

use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, Table};
use reeve_base::{Diagnostic, Period};
use reeve_ledger::proof::VerifierKey;
use url::Url;

use crate::settings::Located;
use crate::settings::read::{bounded, resolved};

/// A feed of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    /// Where its manifest is.
    pub(crate) source: Located<FeedSource>,
    /// Who signs it: a verifier key of a signed note.
    pub(crate) key: VerifierKey,
    /// The authorities that its certificate may be of, instead of the system's.
    pub(crate) ca: Option<Located<PathBuf>>,
    /// How often it is looked at.
    pub(crate) every: Period,
}

/// Where a feed's manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FeedSource {
    /// `https://`.
    Web(Url),
    /// A file of this machine, written by other means.
    File(PathBuf),
}

pub(super) fn read(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Feed> {
    let mut fields = Fields::new(table, "`[waf.feed]`", faults);
    let source = fields.required::<Located<String>>("url");
    let key = fields.required::<Located<String>>("key");
    let ca = fields.optional::<Located<PathBuf>>("ca").map(|ca| resolved(folder, ca));
    let every = bounded(&mut fields, "every", &(Period::seconds(1)..=Period::days(7)), Period::minutes(360));
    let source = source.and_then(|written| {
        let found = source_of(&written.value, folder);
        if found.is_none() {
            let fault = Diagnostic::error("document::wrong-value", "a feed is fetched over https or from a file");
            let help = "write the address of its manifest, such as \"https://rules.example.com/feed.note\", or a path";
            fields.faults().push(fault.at(written.span.clone(), "this value").help(help));
        }
        Some(Located { value: found?, span: written.span })
    });
    let key = key.and_then(|written| {
        let key = written.value.parse().ok();
        if key.is_none() {
            let fault = Diagnostic::error("document::wrong-value", "`key` is no verifier key");
            let help = "`reeve waf feed key` makes a key and prints the line that belongs here";
            fields.faults().push(fault.at(written.span, "this value").help(help));
        }
        key
    });
    fields.finish();
    Some(Feed { source: source?, key: key?, ca, every })
}

fn source_of(text: &str, folder: &Path) -> Option<FeedSource> {
    if !text.contains("://") {
        return (!text.trim().is_empty()).then(|| FeedSource::File(folder.join(text)));
    }
    let url: Url = text.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (url.scheme() == "https" && url.host().is_some() && plain).then_some(FeedSource::Web(url))
}
