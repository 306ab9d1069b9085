//! Types of parameters that concern answers: cookies, payment pages, what is held back from caches.

use reeve_base::document::{FromValue, Kind, Mismatch, Value};
use serde_json::json;

use super::{ParameterValue, quoted};

choice! {
    /// With which requests from other sites a cookie is sent (RFC 6265bis section 5.6.7).
    SameSite {
        /// With every request.
        None = "None", "every request from another site";
        /// Only when somebody follows a link.
        Lax = "Lax", "links from other sites only";
        /// Never.
        Strict = "Strict", "no request from another site";
    }
}

choice! {
    /// A cipher for what is held for a while.
    TemporaryCipher {
        /// AES with a 256-bit key.
        Aes256 = "AES-256", "AES-256";
    }
}

choice! {
    /// What of memory may reach a disk.
    Swap {
        /// Only in cipher: every swap area is memory itself or an encrypted device.
        Encrypted = "encrypted", "encrypted";
        /// Nothing: there is no swap area, or the process cannot be swapped.
        Off = "off", "off";
    }
}

checked_text! {
    /// The name of a cookie (RFC 6265 section 4.1.1: a token).
    CookieName, "the name of a cookie such as \"theme\"", |text| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !text.is_empty() && text.bytes().all(token) { Ok(()) } else { Err(format!("`{text}` is no name of a cookie")) }
    }
}

checked_text! {
    /// An origin that is spoken to over HTTPS (RFC 6454), as a Content Security Policy names it.
    HttpsOrigin, "an origin such as \"https://pay.example.com\"", |text| {
        match text.strip_prefix("https://") {
            Some(host) if is_host(host) => Ok(()),
            _ => Err(format!("`{text}` is no origin of the form https://host")),
        }
    }
}

checked_text! {
    /// A script that may run on a payment page, and why: what PCI DSS 6.4.3 asks an inventory to say.
    AuthorisedScript, "a script and its purpose such as \"/pay.js for the total\", with a path, an https URL or a hash", |text| {
        match text.split_once(" for ") {
            None => Err(format!("`{text}` does not say what the script is for")),
            Some((_, why)) if why.trim().is_empty() => Err(format!("`{text}` does not say what the script is for")),
            Some((source, why)) if why.chars().any(char::is_control) => Err(format!("the purpose of `{source}` is no plain text")),
            Some((source, _)) if source_of(source).is_none() => Err(format!(
                "`{source}` is no path, no URL of the form https://host/path and no sha256-, sha384- or sha512- hash"
            )),
            Some(_) => Ok(()),
        }
    }
}

/// How an authorised script is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each kind is enforced and probed in its own way")]
pub enum ScriptSource<'s> {
    /// By its contents: `sha256-`, `sha384-` or `sha512-` and base64, as a Content Security Policy and Subresource
    /// Integrity write it.
    Hash(&'s str),
    /// By its path on the site itself. One that ends in a slash stands for everything below.
    Own(&'s str),
    /// By its URL on another site. One that ends in a slash stands for everything below.
    Foreign(&'s str),
}

impl AuthorisedScript {
    /// How it is known.
    #[must_use]
    pub fn source(&self) -> ScriptSource<'_> {
        let source = self.as_str().split_once(" for ").map_or(self.as_str(), |(source, _)| source);
        // INVARIANT: it was checked when it was read. Were it otherwise: a hash that no script has.
        source_of(source).unwrap_or(ScriptSource::Hash(source))
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.as_str().split_once(" for ").map_or("", |(_, why)| why.trim())
    }
}

fn source_of(source: &str) -> Option<ScriptSource<'_>> {
    // What separates directives and sources of a policy cannot stand in one.
    let plain = source.bytes().all(|byte| byte.is_ascii_graphic() && !b";,?#'\"<>\\".contains(&byte));
    if !plain {
        return None;
    }
    if source.starts_with('/') && !source.starts_with("//") {
        return Some(ScriptSource::Own(source));
    }
    if let Some((host, path)) = source.strip_prefix("https://").and_then(|rest| rest.split_once('/')) {
        return (is_host(host) && !path.is_empty()).then_some(ScriptSource::Foreign(source));
    }
    let (_, digest) = source.split_once('-').filter(|(name, _)| matches!(*name, "sha256" | "sha384" | "sha512"))?;
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    (digest.len() >= DIGEST_CHARACTERS_MIN && digest.bytes().all(base64)).then_some(ScriptSource::Hash(source))
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.bytes().all(letter) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// SHA-256 in base64.
const DIGEST_CHARACTERS_MIN: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_by_path_address_or_hash() {
        let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(source_of("/pay.js"), Some(ScriptSource::Own("/pay.js")));
        assert_eq!(source_of("https://js.example.com/v3/"), Some(ScriptSource::Foreign("https://js.example.com/v3/")));
        assert_eq!(source_of(hash), Some(ScriptSource::Hash(hash)));
        for wrong in [
            "pay.js",
            "//js.example.com/a",
            "https://js.example.com",
            "https://js.example.com/",
            "http://js.example.com/a",
            "sha256-x",
            "/a;b",
            "/a?b",
            "'self'",
            "*",
            "https://*.example.com/a",
        ] {
            assert_eq!(source_of(wrong), None, "{wrong}");
        }
    }
}
