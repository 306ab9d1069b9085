//! Parameters of an operation: from the texts of a head to the values that they stand for (OpenAPI 3.1.0 section 4.8.12).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::COOKIE;
use serde_json::{Map, Value};

use crate::charset;
use crate::document::{ContractError, Document};
use crate::finding::{Finding, keyword};
use crate::json::{self, Controls, JsonLimits};
use crate::kind::Kind;

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    style: Style,
    kind: Kind,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// One text; a list is separated by this character.
    Separated(char),
    /// One text; a list is several of the same name, an object a pair for each field.
    Exploded,
    /// `filter[name]=value`.
    Deep,
    /// A JSON text.
    Json,
}

impl Place {
    pub(crate) const ALL: [Self; 4] = [Self::Path, Self::Query, Self::Header, Self::Cookie];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

impl Parameter {
    /// Reads how a parameter is written; its schema is the caller's.
    pub(crate) fn read(document: &Document, written: &Value, schema: &Value, at: &str) -> Result<Self, ContractError> {
        let text = |key: &str| written.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(|| ContractError::at(at, "a parameter needs a `name`"))?;
        let place = match text("in") {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            _ => return Err(ContractError::at(at, "`in` is `path`, `query`, `header` or `cookie`")),
        };
        // Names of fields are the same in any case; everything else is exact.
        let name = if place == Place::Header { name.to_ascii_lowercase() } else { name.to_owned() };
        let style = style(written, place, at)?;
        Ok(Self { name, place, style, kind: Kind::of(document, schema) })
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        self.kind.is_ambiguous() || self.kind.list.as_ref().is_some_and(|item| item.is_ambiguous())
    }

    fn of_text(&self, text: &str, literally: bool) -> Result<Value, Finding> {
        let place = || format!("/{}/{}", self.place.name(), self.name);
        if self.style == Style::Json {
            let read = json::read(text.as_bytes(), PARAMETER_LIMITS, Controls::Pass);
            return read.map_err(|flaw| Finding::schema(place(), flaw));
        }
        let separator = if let Style::Separated(separator) = self.style { separator } else { ',' };
        if self.kind.list.is_some() {
            // No text at all is a list of nothing.
            let texts = text.split(separator).filter(|_| !text.is_empty());
            return Ok(self.kind.values(texts, literally));
        }
        if self.kind.fields.is_some() && !self.kind.text {
            let mut pieces = text.split(separator);
            let mut pairs = Vec::new();
            while let Some(piece) = pieces.next() {
                // `R=100,G=200` where the pairs are exploded, `R,100,G,200` where they are not.
                match piece.split_once('=') {
                    Some(pair) => pairs.push(pair),
                    None => pairs.push((piece, pieces.next().unwrap_or_default())),
                }
            }
            let object = self.kind.object(pairs.into_iter(), literally);
            return object.ok_or_else(|| Finding::schema(place(), keyword::DUPLICATE));
        }
        Ok(self.kind.value(text, literally))
    }
}

fn style(written: &Value, place: Place, at: &str) -> Result<Style, ContractError> {
    if let Some(content) = written.get("content").and_then(Value::as_object) {
        let json = content.keys().all(|kind| kind.starts_with("application/json"));
        return if json {
            Ok(Style::Json)
        } else {
            Err(ContractError::at(at, "the `content` of a parameter can be checked if it is `application/json`"))
        };
    }
    let usual = if matches!(place, Place::Query | Place::Cookie) { "form" } else { "simple" };
    let style = written.get("style").and_then(Value::as_str).unwrap_or(usual);
    let explode = written.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    match (style, place) {
        ("form", Place::Query | Place::Cookie) if explode => Ok(Style::Exploded),
        ("form", Place::Query | Place::Cookie) | ("simple", Place::Path | Place::Header) => Ok(Style::Separated(',')),
        ("spaceDelimited", Place::Query) => Ok(if explode { Style::Exploded } else { Style::Separated(' ') }),
        ("pipeDelimited", Place::Query) => Ok(if explode { Style::Exploded } else { Style::Separated('|') }),
        ("deepObject", Place::Query) => Ok(Style::Deep),
        _ => {
            Err(ContractError::at(at, format!("the style `{style}` is not read in `{}`: use `{usual}`", place.name())))
        }
    }
}

/// The names that stand in a query, decoded, with their values.
pub(crate) type Pairs<'q> = Vec<(Cow<'q, str>, Cow<'q, str>)>;

/// Reads a query or a form.
pub(crate) fn pairs<'q>(text: &'q [u8], pairs_max: usize) -> Result<Pairs<'q>, &'static str> {
    let mut pairs = Vec::new();
    for piece in text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
        if pairs.len() == pairs_max {
            return Err(keyword::COUNT);
        }
        let at = piece.iter().position(|byte| *byte == b'=');
        let (name, value) = match at {
            Some(at) => (piece.get(..at).unwrap_or_default(), piece.get(at + 1..).unwrap_or_default()),
            None => (piece, &b""[..]),
        };
        let (name, value) = (charset::form(name)?, charset::form(value)?);
        if name.contains('\0') || value.contains('\0') {
            return Err(keyword::CONTROL);
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Makes one object of all pairs. Those that no parameter has go in under their own names, where `additionalProperties`
/// finds them.
pub(crate) fn query(parameters: &[Parameter], pairs: &Pairs<'_>, literally: bool) -> Result<Value, Finding> {
    let mut object = Map::new();
    let mut taken = vec![false; pairs.len()];
    for parameter in parameters.iter().filter(|parameter| parameter.place == Place::Query) {
        if let Some(value) = one(parameter, pairs, &mut taken, literally)? {
            object.insert(parameter.name.clone(), value);
        }
    }
    for ((name, value), _) in pairs.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        object.insert(name.clone().into_owned(), Value::String(value.clone().into_owned()));
    }
    Ok(Value::Object(object))
}

fn one(
    parameter: &Parameter,
    pairs: &Pairs<'_>,
    taken: &mut [bool],
    literally: bool,
) -> Result<Option<Value>, Finding> {
    let mut texts: Vec<(&str, &str)> = Vec::new();
    let exploded_fields = parameter.style == Style::Exploded && parameter.kind.fields.is_some() && !parameter.kind.text;
    for ((name, value), taken) in pairs.iter().zip(taken) {
        let field = match parameter.style {
            Style::Deep => deep(&parameter.name, name),
            _ if exploded_fields => {
                let known = parameter.kind.fields.as_ref().is_some_and(|fields| fields.contains_key(&**name));
                known.then_some(&**name)
            }
            _ => (**name == *parameter.name).then_some(""),
        };
        if let Some(field) = field {
            *taken = true;
            texts.push((field, value));
        }
    }
    let duplicate = || Finding::schema(format!("/query/{}", parameter.name), keyword::DUPLICATE);
    if texts.is_empty() {
        return Ok(None);
    }
    if parameter.style == Style::Deep || exploded_fields {
        return parameter.kind.object(texts.into_iter(), literally).ok_or_else(duplicate).map(Some);
    }
    if parameter.style == Style::Exploded && parameter.kind.list.is_some() {
        return Ok(Some(parameter.kind.values(texts.iter().map(|(_, text)| *text), literally)));
    }
    match texts.as_slice() {
        [(_, text)] => parameter.of_text(text, literally).map(Some),
        _ => Err(duplicate()),
    }
}

/// `name` of `filter[name]`.
fn deep<'n>(parameter: &str, name: &'n str) -> Option<&'n str> {
    name.strip_prefix(parameter)?.strip_prefix('[')?.strip_suffix(']')
}

/// Makes one object of the parameters of a path, each of which stands once.
pub(crate) fn path(
    parameters: &[Parameter],
    values: &[(String, Cow<'_, str>)],
    literally: bool,
) -> Result<Value, Finding> {
    let mut object = Map::new();
    for parameter in parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        if let Some((_, text)) = values.iter().find(|(name, _)| *name == parameter.name) {
            object.insert(parameter.name.clone(), parameter.of_text(text, literally)?);
        }
    }
    Ok(Value::Object(object))
}

/// Makes one object of those fields that are parameters. The others are not the document's business.
pub(crate) fn header(parameters: &[Parameter], headers: &HeaderMap, literally: bool) -> Result<Value, Finding> {
    let mut object = Map::new();
    for parameter in parameters.iter().filter(|parameter| parameter.place == Place::Header) {
        let place = || format!("/header/{}", parameter.name);
        let mut values = headers.get_all(parameter.name.as_str()).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Finding::schema(place(), keyword::DUPLICATE));
        }
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Finding::schema(place(), keyword::UTF8))?;
        object.insert(parameter.name.clone(), parameter.of_text(text, literally)?);
    }
    Ok(Value::Object(object))
}

/// Makes one object of those cookies that are parameters (RFC 6265 section 4.2.1).
pub(crate) fn cookie(parameters: &[Parameter], headers: &HeaderMap, literally: bool) -> Result<Value, Finding> {
    let mut object = Map::new();
    for parameter in parameters.iter().filter(|parameter| parameter.place == Place::Cookie) {
        let place = || format!("/cookie/{}", parameter.name);
        for field in headers.get_all(COOKIE) {
            let text = std::str::from_utf8(field.as_bytes()).map_err(|_| Finding::schema(place(), keyword::UTF8))?;
            for (name, value) in text.split(';').filter_map(|pair| pair.trim().split_once('=')) {
                if name != parameter.name {
                    continue;
                }
                let value = parameter.of_text(value.trim_matches('"'), literally)?;
                if object.insert(parameter.name.clone(), value).is_some() {
                    return Err(Finding::schema(place(), keyword::DUPLICATE));
                }
            }
        }
    }
    Ok(Value::Object(object))
}

/// Pairs in a query.
pub(crate) const PAIRS_MAX: usize = 256;

/// JSON in an address is short.
const PARAMETER_LIMITS: JsonLimits = JsonLimits { depth_max: 16, values_max: 1_000 };
