//! By what the gateway knows the application, and the application the gateway: pins, a client certificate, a document.

use std::path::{Path, PathBuf};

use reeve_base::Diagnostic;
use reeve_base::document::{Fields, FromValue, Mismatch, Table, Value};
use reeve_edge::{KeyPin, KeyPinError};

use crate::settings::read::resolved;
use crate::settings::{ClientFiles, DocumentFile, Located};

/// A pin as it is written.
struct Written(KeyPin);

impl FromValue for Written {
    const EXPECTED: &'static str = "a pin such as \"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let text = String::from_value(value)
            .map_err(|mismatch| Mismatch { expected: Self::EXPECTED.to_owned(), ..mismatch })?;
        text.parse().map(Self).map_err(|error: KeyPinError| Mismatch::content(value, Self::EXPECTED, error))
    }
}

/// Reads `pins`. One alone would lock the gateway out on the day that the application changes its key.
pub(in crate::settings) fn read_pins(fields: &mut Fields<'_, '_>) -> Vec<Located<KeyPin>> {
    let written = fields.optional::<Vec<Located<Written>>>("pins").unwrap_or_default();
    let pins: Vec<_> = written.into_iter().map(|pin| pin.map(|Written(pin)| pin)).collect();
    let [first, rest @ ..] = pins.as_slice() else { return pins };
    if rest.iter().all(|pin| pin.value == first.value) {
        let fault = Diagnostic::error("settings::no-spare-pin", "there is one pin and no spare");
        let help = "make the application's next key now, and add its pin: \
                    `openssl pkey -in next.key -pubout -outform der | openssl dgst -sha256 -binary | base64`";
        fields.faults().push(fault.at(first.span.clone(), "when this key changes, nothing is served").help(help));
    }
    pins
}

/// Reads `certificate` and `key`, which come together.
pub(in crate::settings) fn read_client(
    fields: &mut Fields<'_, '_>,
    table: &Table,
    folder: &Path,
) -> Option<ClientFiles> {
    let certificate = fields.optional::<Located<PathBuf>>("certificate");
    let key = fields.optional::<Located<PathBuf>>("key");
    let written = |key| table.entry(key).map(|entry| entry.key_span.clone());
    match (written("certificate"), written("key")) {
        (Some(certificate), None) => {
            let fault = Diagnostic::error("settings::no-key", "the certificate comes without its private key");
            fields.faults().push(fault.at(certificate, "needs `key` beside it").help("add `key = \"client-key.pem\"`"));
        }
        (None, Some(key)) => {
            let fault = Diagnostic::error("settings::no-certificate", "the private key comes without its certificate");
            let help = "add `certificate = \"client.pem\"`";
            fields.faults().push(fault.at(key, "needs `certificate` beside it").help(help));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    Some(ClientFiles { certificate: resolved(folder, certificate?), key: resolved(folder, key?) })
}

/// Reads `openapi` and `base`, of which the second needs the first.
pub(super) fn read_document(fields: &mut Fields<'_, '_>, folder: &Path) -> Option<DocumentFile> {
    let file = fields.optional::<Located<PathBuf>>("openapi");
    let base = fields.optional::<Located<String>>("base");
    if let Some(base) = &base {
        if file.is_none() {
            let fault = Diagnostic::error(
                "settings::no-document",
                "`base` says where a document's operations are, and there is none",
            );
            let help = "add `openapi = \"api.yaml\"`, or remove `base`";
            fields.faults().push(fault.at(base.span.clone(), "of no document").help(help));
        }
        if !base.value.is_empty() && !base.value.starts_with('/') {
            let fault = Diagnostic::error("document::wrong-value", "`base` is no absolute path of a URL");
            fields.faults().push(fault.at(base.span.clone(), "this value").help("write a path such as \"/api/v1\""));
        }
    }
    Some(DocumentFile { file: resolved(folder, file?), base: base.map(|base| base.value) })
}
