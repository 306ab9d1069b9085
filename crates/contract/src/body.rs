//! Bodies: from bytes to the one value that they stand for.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value};

use crate::charset::{self, Lines};
use crate::finding::{Aspect, Finding, keyword};
use crate::json::{self, Controls, JsonLimits};
use crate::kind::Kind;
use crate::parameter::{self, Parameter};

/// How far a body is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Levels of arrays and objects in JSON, at most 120.
    pub depth_max: u16,
    /// Values in JSON, fields of a form, parts of a multipart body.
    pub values_max: u32,
}

/// The kind of a body, by its Content-Type (RFC 9110 section 8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Form,
    Multipart,
    Text,
    Other,
}

impl Media {
    /// The kind of a media type in lower case, without its parameters.
    pub(crate) fn of(essence: &str) -> Self {
        match essence {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "multipart/form-data" => Self::Multipart,
            "application/xml" => Self::Text,
            other if other.ends_with("+json") => Self::Json,
            other if other.starts_with("text/") || other.ends_with("+xml") => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a charset is stated that is not the one in which everything is read here.
pub(crate) fn is_foreign_charset(content_type: &str) -> bool {
    content_type.split(';').skip(1).any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        let known = value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii");
        name.trim().eq_ignore_ascii_case("charset") && !known
    })
}

/// A part of a multipart body (RFC 7578).
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// What the part says it is; a text if it says nothing (RFC 7578 section 4.4).
    pub(crate) media: Media,
    essence: String,
    pub(crate) file: bool,
    pub(crate) bytes: Bytes,
}

fn flawed(flaw: &'static str) -> Finding {
    let aspect = if matches!(flaw, keyword::UTF8 | keyword::CONTROL) { Aspect::Characters } else { Aspect::Schema };
    Finding::new("/body", flaw, aspect, crate::finding::Answer::Bad)
}

/// Checks the characters of a body of which nothing else is asked.
pub(crate) fn characters(media: Media, content_type: &str, bytes: &Bytes) -> Result<(), Finding> {
    match media {
        Media::Json => {
            // What is no JSON at all is not a matter of characters, beside those that stand there openly.
            charset::plain(bytes, Lines::Pass).map_err(flawed)?;
            match json::read(bytes, WIDEST, Controls::Refuse) {
                Err(flaw @ (keyword::CONTROL | keyword::UTF8)) => Err(flawed(flaw)),
                _ => Ok(()),
            }
        }
        Media::Form => {
            for piece in bytes.split(|byte| matches!(byte, b'&' | b'=')) {
                let text = charset::form(piece).map_err(|flaw| Finding::characters("/body", flaw))?;
                if charset::controls(&text, Lines::Pass) {
                    return Err(flawed(keyword::CONTROL));
                }
            }
            Ok(())
        }
        Media::Multipart => {
            let Ok(parts) = parts(content_type, bytes, WIDEST.values_max) else { return Ok(()) };
            parts.iter().try_for_each(|part| {
                let readable = charset::plain(part.name.as_bytes(), Lines::Refuse).map(drop);
                readable.map_err(flawed)?;
                if part.file || part.media == Media::Other {
                    return Ok(());
                }
                charset::plain(&part.bytes, Lines::Pass).map(drop).map_err(flawed)
            })
        }
        Media::Text => charset::plain(bytes, Lines::Pass).map(drop).map_err(flawed),
        Media::Other => Ok(()),
    }
}

/// Holds a body to the limits that there are without a document.
pub(crate) fn bounded(media: Media, content_type: &str, bytes: &Bytes, limits: BodyLimits) -> Result<(), Finding> {
    let schema = |flaw| Finding::schema("/body", flaw);
    match media {
        Media::Json => json::read(bytes, json_limits(limits), Controls::Pass).map(drop).map_err(schema),
        Media::Form => parameter::pairs(bytes, limits.values_max as usize).map(drop).map_err(schema),
        Media::Multipart => parts(content_type, bytes, limits.values_max).map(drop),
        Media::Text | Media::Other => Ok(()),
    }
}

pub(crate) const fn json_limits(limits: BodyLimits) -> JsonLimits {
    JsonLimits { depth_max: limits.depth_max, values_max: limits.values_max }
}

/// Reads a multipart body. It is all here, so nothing is waited for.
pub(crate) fn parts(content_type: &str, bytes: &Bytes, parts_max: u32) -> Result<Vec<Part>, Finding> {
    let unreadable = || Finding::schema("/body", keyword::SYNTAX);
    let boundary = multer::parse_boundary(content_type).map_err(|_| unreadable())?;
    let stream = futures_util::stream::iter([Ok::<_, Infallible>(bytes.clone())]);
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(bytes.len() as u64));
    let mut multipart = Multipart::with_constraints(stream, boundary, limits);
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().now_or_never().ok_or_else(unreadable)?.map_err(|_| unreadable())? {
        if parts.len() >= parts_max as usize {
            return Err(Finding::schema("/body", keyword::COUNT));
        }
        let name = field.name().map(str::to_owned).ok_or_else(unreadable)?;
        let essence =
            field.content_type().map_or_else(|| String::from("text/plain"), |kind| essence(kind.essence_str()));
        let file = field.file_name().is_some();
        let bytes = field.bytes().now_or_never().ok_or_else(unreadable)?.map_err(|_| unreadable())?;
        parts.push(Part { name, media: Media::of(&essence), essence, file, bytes });
    }
    Ok(parts)
}

/// The value that the parts make together: one of each name, or a list where the document says so.
pub(crate) fn object_of_parts(
    parts: Vec<Part>,
    kind: &Kind,
    taken: &[(String, Vec<String>)],
    limits: BodyLimits,
) -> Result<Value, Finding> {
    let mut object: Map<String, Value> = Map::new();
    for part in parts {
        let place = format!("/body/{}", part.name);
        if let Some((_, kinds)) = taken.iter().find(|(name, _)| *name == part.name)
            && !kinds.iter().any(|range| is_within(&part.essence, range))
        {
            return Err(Finding::new(place, keyword::CONTENT_TYPE, Aspect::Schema, crate::finding::Answer::NoMedia));
        }
        let known = kind.fields.as_ref().and_then(|fields| fields.get(&part.name));
        let list = known.is_some_and(|kind| kind.list.is_some());
        let item = known.and_then(|kind| kind.list.as_deref()).or(known);
        let value = value_of_part(&part, item, limits).map_err(|flaw| Finding::schema(place.clone(), flaw))?;
        match object.get_mut(&part.name) {
            None if list => drop(object.insert(part.name, Value::Array(vec![value]))),
            None => drop(object.insert(part.name, value)),
            Some(Value::Array(values)) if list => values.push(value),
            Some(_) => return Err(Finding::schema(place, keyword::DUPLICATE)),
        }
    }
    Ok(Value::Object(object))
}

fn value_of_part(part: &Part, kind: Option<&Kind>, limits: BodyLimits) -> Result<Value, &'static str> {
    let nested = kind.is_some_and(|kind| kind.fields.is_some() && !kind.text);
    if part.media == Media::Json || nested {
        return json::read(&part.bytes, json_limits(limits), Controls::Pass);
    }
    match std::str::from_utf8(&part.bytes) {
        Ok(text) if !part.file => {
            Ok(kind.map_or_else(|| Value::String(text.to_owned()), |kind| kind.value(text, false)))
        }
        Err(_) if !part.file && part.media != Media::Other => Err(keyword::UTF8),
        // A character for a byte, so that lengths mean bytes.
        _ => Ok(Value::String(part.bytes.iter().map(|byte| char::from(*byte)).collect())),
    }
}

/// The value that the pairs of a form make together.
pub(crate) fn object_of_form(
    bytes: &Bytes,
    fields: &[Parameter],
    limits: BodyLimits,
    literally: bool,
) -> Result<Value, Finding> {
    let pairs = parameter::pairs(bytes, limits.values_max as usize).map_err(|flaw| Finding::schema("/body", flaw))?;
    parameter::query(fields, &pairs, literally)
        .map_err(|finding| Finding { place: finding.place.replacen("/query", "/body", 1), ..finding })
}

/// Whether a media type is within a range such as `image/*` (RFC 9110 section 12.5.1).
pub(crate) fn is_within(essence: &str, range: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(family) => essence.split_once('/').is_some_and(|(first, _)| first == family),
        None => essence == range,
    }
}

/// For bodies of which only the characters are asked.
const WIDEST: JsonLimits = JsonLimits { depth_max: 120, values_max: 1_000_000 };
