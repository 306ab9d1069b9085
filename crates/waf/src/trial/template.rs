//! The few templates that tests use for long texts: `{{ "a" | repeat 64200 }}` (Go's text/template with sprig's functions).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error(
        "the template `{{{{{0}}}}}` is not known: there are texts, numbers, `repeat`, `upper`, `lower`, `trim` and `b64enc`"
    )]
    Unknown(String),
    #[error("`{{{{` without `}}}}`")]
    Open,
    #[error("a template makes more than {TEXT_BYTES_MAX} bytes")]
    Large,
}

/// The text, with its templates filled in.
pub(super) fn fill(text: &str) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        let (inside, after) = close(inside).ok_or(TemplateError::Open)?;
        // `{{-` and `-}}` take the space beside them away.
        let (inside, trims_before) = inside.strip_prefix("- ").map_or((inside, false), |inside| (inside, true));
        let (inside, trims_after) = inside.strip_suffix(" -").map_or((inside, false), |inside| (inside, true));
        filled.push_str(if trims_before { before.trim_end() } else { before });
        filled.push_str(&value(inside)?);
        if filled.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::Large);
        }
        rest = if trims_after { after.trim_start() } else { after };
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Up to the end of a template, and what follows. Its texts may hold braces.
fn close(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some('"') if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '`' => quote = Some(letter),
            None if letter == '}' => {
                let (inside, after) = text.split_at_checked(at)?;
                if let Some(after) = after.strip_prefix("}}") {
                    return Some((inside, after));
                }
            }
            None => {}
        }
    }
    None
}

/// What stands between `{{` and `}}`: values and functions in a pipe.
fn value(inside: &str) -> Result<String, TemplateError> {
    let unknown = || TemplateError::Unknown(inside.to_owned());
    let words = words(inside).ok_or_else(unknown)?;
    let mut piped: Option<String> = None;
    for command in words.split(|word| *word == Word::Pipe) {
        piped = Some(call(command, piped)?.ok_or_else(unknown)?);
    }
    piped.ok_or_else(unknown)
}

/// A function with its arguments; what comes through the pipe is the last of them.
fn call(command: &[Word], piped: Option<String>) -> Result<Option<String>, TemplateError> {
    let (first, rest) = match command {
        [Word::Name(name), rest @ ..] => (name.as_str(), rest),
        [Word::Value(value)] if piped.is_none() => return Ok(Some(value.clone())),
        _ => return Ok(None),
    };
    let mut arguments: Vec<String> = Vec::new();
    for word in rest {
        let Word::Value(value) = word else { return Ok(None) };
        arguments.push(value.clone());
    }
    arguments.extend(piped);
    Ok(match (first, arguments.as_slice()) {
        ("repeat", [count, text]) => match count.parse::<usize>() {
            Ok(count) if count.saturating_mul(text.len()) > TEXT_BYTES_MAX => return Err(TemplateError::Large),
            Ok(count) => Some(text.repeat(count)),
            Err(_) => None,
        },
        ("upper", [text]) => Some(text.to_uppercase()),
        ("lower", [text]) => Some(text.to_lowercase()),
        ("trim", [text]) => Some(text.trim().to_owned()),
        ("b64enc", [text]) => Some(STANDARD.encode(text)),
        _ => None,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Pipe,
    /// A text or a whole number.
    Value(String),
    Name(String),
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(letter) = rest.chars().next() {
        let (word, after) = match letter {
            '|' => (Word::Pipe, rest.strip_prefix('|')?),
            '`' => {
                let (text, after) = rest.strip_prefix('`')?.split_once('`')?;
                (Word::Value(text.to_owned()), after)
            }
            '"' => quoted(rest)?,
            _ => {
                let end = rest.find([' ', '\t', '\n', '|', '"', '`']).unwrap_or(rest.len());
                let (word, after) = rest.split_at_checked(end)?;
                (plain(word)?, after)
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

fn plain(word: &str) -> Option<Word> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Word::Value(word.to_owned()));
    }
    word.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| Word::Name(word.to_owned()))
}

/// A text between quotes. Its escapes are those that Go and JSON have in common.
fn quoted(text: &str) -> Option<(Word, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = stream.next()?.ok()?;
    let after = text.get(stream.byte_offset()..)?;
    Some((Word::Value(value), after))
}

/// What a template may make of a body.
const TEXT_BYTES_MAX: usize = 16 << 20;
