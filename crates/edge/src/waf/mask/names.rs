//! Names that announce a secret.

use crate::redact;

/// Whether a name announces a secret, by one of its words or by what is in it.
pub(super) fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let word = |word: &str| SECRET_WORDS.contains(&word);
    let humps = || {
        let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).flat_map(humps);
        words.any(|hump| word(&hump.to_ascii_lowercase()))
    };
    redact::announces(&lower)
        || SECRET_PARTS.iter().any(|part| lower.contains(part))
        || lower.split(|letter: char| !letter.is_ascii_alphanumeric()).any(word)
        || humps()
}

/// `apiKeyId` as `api`, `Key`, `Id`.
fn humps(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest.char_indices().skip(1).find(|(_, letter)| letter.is_ascii_uppercase()).map(|(at, _)| at);
        let (hump, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        (!hump.is_empty()).then_some(hump)
    })
}

/// Whole words of a name.
const SECRET_WORDS: [&str; 21] = [
    "key", "keys", "pin", "sid", "sig", "otp", "totp", "pan", "auth", "pass", "pwd", "pw", "code", "tan", "nonce",
    "salt", "login", "hash", "mfa", "ssn", "cvc",
];

/// Parts of a name.
const SECRET_PARTS: [&str; 25] = [
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "kennwort",
    "pwd",
    "secret",
    "token",
    "authorization",
    "authentication",
    "bearer",
    "cookie",
    "card",
    "session",
    "sessid",
    "credential",
    "apikey",
    "private",
    "jwt",
    "csrf",
    "xsrf",
    "cvv",
    "iban",
    "signature",
];
