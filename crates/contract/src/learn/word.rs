//! Which words of a request may be kept as they are: names that an application gave, and no values that somebody sent.
//!
//! Both stand in the same places: `/users/export` and `/users/ada`, `{"street": …}` and `{"ada@example.com": …}`. What looks
//! like a word counts as a name; what has digits among its letters only once several clients have asked for it; numbers,
//! identifiers, tokens and addresses never do.

/// What is a secret, as whoever hands the samples over knows it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever knows")]
pub struct Discretion {
    /// Whether a text by itself looks like a secret, or names a person.
    pub is_secret: fn(&str) -> bool,
    /// Whether what follows this segment of a path is likely to be a secret.
    pub announces: fn(&str) -> bool,
}

/// What a segment of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of every address of its kind, wherever it stands.
    Fixed,
    /// A word.
    Word,
    /// It might be one: `mp3`, `oauth2`, `a-title-with-many-words`.
    Mixed,
    /// A number, an identifier, a token, a person.
    Value,
}

impl Discretion {
    pub(super) fn class(&self, segment: &str) -> Class {
        if segment.is_empty() || VERBS.contains(&segment) || (self.announces)(segment) {
            return Class::Fixed;
        }
        let plain = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '.' | '~');
        if segment.len() > SEGMENT_BYTES_MAX || !segment.chars().all(plain) || (self.is_secret)(segment) {
            return Class::Value;
        }
        let parts: Vec<&str> = segment.split(['-', '_', '.', '~']).filter(|part| !part.is_empty()).collect();
        if (1..=WORD_PARTS_MAX).contains(&parts.len()) && parts.iter().all(|part| is_word(part) || is_version(part)) {
            return Class::Word;
        }
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let begins_well = segment.chars().next().is_some_and(|first| first.is_alphabetic() || first == '.');
        if begins_well && digits <= MIXED_DIGITS_MAX && !is_hexadecimal(segment) { Class::Mixed } else { Class::Value }
    }

    /// Whether this may be kept as the name of a parameter, a field or a part.
    pub(super) fn is_name(&self, text: &str) -> bool {
        let punctuation = |char: char| matches!(char, '-' | '_' | '.' | ':' | '[' | ']' | '$');
        let begins_well = text.chars().next().is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '$'));
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        begins_well
            && text.len() <= NAME_BYTES_MAX
            && text.chars().all(|char| char.is_alphanumeric() || punctuation(char))
            && digits <= NAME_DIGITS_MAX
            && humps(text) * 3 <= text.len()
            && !is_hexadecimal(text)
            && !(self.is_secret)(text)
    }
}

/// Letters as a language has them: no long run of consonants, no capitals strewn in.
fn is_word(part: &str) -> bool {
    let letters = part.len() <= WORD_BYTES_MAX && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters && consonants(part) <= CONSONANTS_MAX && humps(part) * 3 <= part.len() && is_pronounceable(part)
}

/// In a text of capital and small letters, every stretch of four has a vowel: `getUserOrders` and no `dGhpcyBp`.
fn is_pronounceable(part: &str) -> bool {
    let uniform = humps(part) == 0;
    let stretches = part.split_inclusive(|char: char| char.is_ascii_uppercase());
    uniform || stretches.filter(|stretch| stretch.len() >= 4).all(|stretch| stretch.bytes().any(is_vowel))
}

fn is_version(part: &str) -> bool {
    let number = part.strip_prefix(['v', 'V']).unwrap_or_default();
    (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hexadecimal(text: &str) -> bool {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    digits && text.len() >= HEXADECIMAL_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// How often a capital follows a small letter.
fn humps(text: &str) -> usize {
    let rises = |pair: &[u8]| matches!(pair, [one, other] if one.is_ascii_lowercase() && other.is_ascii_uppercase());
    text.as_bytes().windows(2).filter(|pair| rises(pair)).count()
}

/// The longest run of consonants.
fn consonants(text: &str) -> usize {
    let soft = |byte: u8| is_vowel(byte) || matches!(byte, b'y' | b'Y');
    text.as_bytes().split(|byte| soft(*byte)).map(<[u8]>::len).max().unwrap_or_default()
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u')
}

/// What is done with things, and no thing's name. They stay where everything else is a value: `/token/refresh`.
const VERBS: [&str; 16] = [
    "new", "edit", "create", "update", "delete", "remove", "search", "refresh", "request", "resend", "revoke", "login",
    "logout", "check", "status", "list",
];
const SEGMENT_BYTES_MAX: usize = 40;
const WORD_BYTES_MAX: usize = 24;
/// A slug of more words is a title.
const WORD_PARTS_MAX: usize = 3;
const CONSONANTS_MAX: usize = 5;
const MIXED_DIGITS_MAX: usize = 4;
const NAME_BYTES_MAX: usize = 48;
const NAME_DIGITS_MAX: usize = 4;
const HEXADECIMAL_BYTES_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const DISCRETION: Discretion =
        Discretion { is_secret: |text| text.len() > 30, announces: |segment| segment == "reset" };

    #[track_caller]
    fn check(class: Class, segments: &[&str]) {
        for segment in segments {
            assert_eq!(DISCRETION.class(segment), class, "{segment}");
        }
    }

    #[test]
    fn segments_are_told_apart() {
        check(Class::Fixed, &["", "reset", "refresh"]);
        check(
            Class::Word,
            &["orders", "v1", "V12", "getUserOrders", ".well-known", "app.min.js", "a", "HTTP", "about-us"],
        );
        check(Class::Mixed, &["oauth2", "hunter2", "mp3", "how-to-install-it-now", "xkqzjwvb", "dGhpcyBp", "über"]);
        check(
            Class::Value,
            &[
                "7",
                "2026-11-22",
                "9d2fa3",
                "0b6f5a0e-9a3e-4b0e-8b1e-2f3d4c5b6a79",
                "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                "ada@example.com",
                "a b",
                "a{b}",
                "order12345",
                "abcdefghijklmnopqrstuvwxyzabcdefghi",
            ],
        );
    }

    #[test]
    fn names_are_told_from_values() {
        for name in ["id", "_", "line1", "sha256", "filter[state]", "utm_source", "camelCaseName", "$ref", "größe"] {
            assert!(DISCRETION.is_name(name), "{name}");
        }
        for value in ["", "7", "ada@example.com", "a b", "9d2fa3", "aBcDeFgH", "2026-11-22", "k1234567", "{x}"] {
            assert!(!DISCRETION.is_name(value), "{value}");
        }
    }
}
