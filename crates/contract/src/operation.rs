//! One operation of a document: what its head and its body are held to.

use http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::body::{self, BodyLimits, Media};
use crate::document::{ContractError, Document, below};
use crate::finding::{Answer, Aspect, Finding, keyword};
use crate::kind::Kind;
use crate::parameter::{Parameter, Place};
use crate::shape::Shaper;

/// An operation, with the names of the definitions that its validators are made of.
pub(crate) struct Plan {
    pub(crate) place: String,
    parameters: Vec<Parameter>,
    ambiguous: bool,
    head: String,
    bodies: Vec<BodyPlan>,
    body_required: bool,
    body_documented: bool,
}

struct BodyPlan {
    range: String,
    form: Form,
    schema: Option<String>,
}

/// How a body becomes a value.
#[derive(Debug)]
pub(crate) enum Form {
    Json,
    Pairs(Vec<Parameter>),
    Parts {
        kind: Kind,
        taken: Vec<(String, Vec<String>)>,
    },
    Text,
    /// Nothing can be said of it but its kind and its size.
    Opaque,
}

/// An operation, ready.
pub(crate) struct Operation {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) ambiguous: bool,
    pub(crate) head: Validator,
    pub(crate) bodies: Vec<Body>,
    pub(crate) body_required: bool,
    pub(crate) body_documented: bool,
}

/// A kind of body that an operation takes.
pub(crate) struct Body {
    pub(crate) range: String,
    pub(crate) form: Form,
    pub(crate) schema: Option<Validator>,
}

impl Plan {
    /// Reads an operation. `shared` are the parameters of its path.
    pub(crate) fn read(
        document: &Document,
        shaper: &mut Shaper<'_>,
        operation: &Value,
        place: &str,
        shared: &[(Value, String)],
        template: &[&str],
    ) -> Result<Self, ContractError> {
        let mut written = listed_parameters(document, operation, place)?;
        let same =
            |one: &Value, other: &Value| one.get("name") == other.get("name") && one.get("in") == other.get("in");
        for (parameter, at) in shared {
            if !written.iter().any(|(own, _)| same(own, parameter)) {
                written.push((parameter.clone(), at.clone()));
            }
        }
        let mut head = Head::default();
        let mut parameters = Vec::new();
        for (parameter, at) in &written {
            if let Some(parameter) = head.parameter(document, shaper, parameter, at, template)? {
                parameters.push(parameter);
            }
        }
        for name in template {
            if !parameters.iter().any(|parameter: &Parameter| parameter.place == Place::Path && parameter.name == *name)
            {
                return Err(ContractError::at(
                    place,
                    format!("the path has `{{{name}}}`, and no parameter of this name says what it is"),
                ));
            }
        }
        head.keys(document, operation);
        let head = shaper.define(head.schema(), place);
        let (bodies, body_required, body_documented) = bodies(document, shaper, operation, place)?;
        let ambiguous = parameters.iter().any(Parameter::is_ambiguous);
        Ok(Self { place: place.to_owned(), parameters, ambiguous, head, bodies, body_required, body_documented })
    }

    /// Makes the validators.
    pub(crate) fn ready(
        self,
        build: &impl Fn(&str, &str) -> Result<Validator, ContractError>,
    ) -> Result<Operation, ContractError> {
        let bodies = self.bodies.into_iter().map(|body| {
            let schema = body.schema.map(|name| build(&name, &self.place)).transpose()?;
            Ok(Body { range: body.range, form: body.form, schema })
        });
        Ok(Operation {
            head: build(&self.head, &self.place)?,
            bodies: bodies.collect::<Result<_, ContractError>>()?,
            parameters: self.parameters,
            ambiguous: self.ambiguous,
            body_required: self.body_required,
            body_documented: self.body_documented,
        })
    }
}

/// The parameters of an operation or a path, each with its place, references followed.
pub(crate) fn listed_parameters(
    document: &Document,
    holder: &Value,
    place: &str,
) -> Result<Vec<(Value, String)>, ContractError> {
    let here = below(place, "parameters");
    match holder.get("parameters") {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let follow = |(at, item)| {
                let (found, place) = document.follow(item, &below(&here, &format!("{at}")))?;
                Ok((found.clone(), place))
            };
            items.iter().enumerate().map(follow).collect()
        }
        Some(_) => Err(ContractError::at(here, "`parameters` is written as a list")),
    }
}

/// What is said of a head, place by place.
#[derive(Default)]
struct Head {
    properties: [Map<String, Value>; 4],
    required: [Vec<Value>; 4],
    open_query: bool,
}

impl Head {
    fn parameter(
        &mut self,
        document: &Document,
        shaper: &mut Shaper<'_>,
        written: &Value,
        at: &str,
        template: &[&str],
    ) -> Result<Option<Parameter>, ContractError> {
        let empty = json!({});
        let content = written.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let (schema, here) = match (written.get("schema"), content) {
            (Some(schema), _) => (schema, below(at, "schema")),
            (None, Some((kind, media))) => {
                (media.get("schema").unwrap_or(&empty), below(&below(&below(at, "content"), kind), "schema"))
            }
            (None, None) => return Err(ContractError::at(at, "a parameter needs a `schema`")),
        };
        let parameter = Parameter::read(document, written, schema, at)?;
        let index = Place::ALL.iter().position(|place| *place == parameter.place).unwrap_or_default();
        // These are described elsewhere in a document (OpenAPI 3.1.0 section 4.8.12.2).
        if parameter.place == Place::Header
            && matches!(parameter.name.as_str(), "accept" | "content-type" | "authorization")
        {
            return Ok(None);
        }
        if parameter.place == Place::Path && !template.contains(&parameter.name.as_str()) {
            return Err(ContractError::at(at, format!("there is no `{{{}}}` in the path", parameter.name)));
        }
        let shaped = shaper.whole(schema, &here)?;
        let required = written.get("required").and_then(Value::as_bool) == Some(true) || parameter.place == Place::Path;
        if parameter.place == Place::Query {
            let (found, _) = document.follow(schema, &here)?;
            // An object whose fields stand in the query by their own names takes any name, if it says so.
            self.open_query |= found.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
        }
        if let Some(properties) = self.properties.get_mut(index) {
            properties.insert(parameter.name.clone(), shaped);
        }
        if let Some(names) = self.required.get_mut(index).filter(|_| required) {
            names.push(Value::String(parameter.name.clone()));
        }
        Ok(Some(parameter))
    }

    /// Keys that clients show in the query are fields that the document names, elsewhere (OpenAPI 3.1.0 section 4.8.27).
    fn keys(&mut self, document: &Document, operation: &Value) {
        let demanded = operation.get("security").or_else(|| document.root.get("security"));
        let names =
            demanded.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys);
        for name in names {
            let scheme = document.root.pointer(&below("/components/securitySchemes", name));
            let Some(Ok((scheme, _))) = scheme.map(|scheme| document.follow(scheme, "")) else { continue };
            let text = |key: &str| scheme.get(key).and_then(Value::as_str);
            if let (Some("apiKey"), Some("query"), Some(name)) = (text("type"), text("in"), text("name"))
                && let [_, query, ..] = &mut self.properties
            {
                query.entry(name.to_owned()).or_insert_with(|| json!({}));
            }
        }
    }

    fn schema(self) -> Value {
        let mut places = Map::new();
        for ((place, properties), required) in Place::ALL.iter().zip(self.properties).zip(self.required) {
            let open = *place == Place::Query && self.open_query;
            let schema = json!({ "properties": properties, "required": required, "additionalProperties": open });
            places.insert(place.name().to_owned(), schema);
        }
        json!({ "properties": places })
    }
}

type Bodies = (Vec<BodyPlan>, bool, bool);

fn bodies(
    document: &Document,
    shaper: &mut Shaper<'_>,
    operation: &Value,
    place: &str,
) -> Result<Bodies, ContractError> {
    let Some(written) = operation.get("requestBody") else { return Ok((Vec::new(), false, false)) };
    let (written, at) = document.follow(written, &below(place, "requestBody"))?;
    let required = written.get("required").and_then(Value::as_bool) == Some(true);
    let here = below(&at, "content");
    let Some(content) = written.get("content").and_then(Value::as_object) else {
        return Err(ContractError::at(here, "a body needs its `content`: a mapping from media types to schemas"));
    };
    let mut bodies = Vec::new();
    for (range, media) in content {
        bodies.push(one_body(document, shaper, &body::essence(range), media, &below(&here, range))?);
    }
    // What is named goes before what is within a range.
    bodies.sort_by_key(|body| body.range.matches('*').count());
    Ok((bodies, required, true))
}

fn one_body(
    document: &Document,
    shaper: &mut Shaper<'_>,
    range: &str,
    media: &Value,
    at: &str,
) -> Result<BodyPlan, ContractError> {
    let Some(schema) = media.get("schema") else {
        let form = if Media::of(range) == Media::Json { Form::Json } else { Form::Opaque };
        return Ok(BodyPlan { range: range.to_owned(), form, schema: None });
    };
    let here = below(at, "schema");
    let form = match Media::of(range) {
        Media::Json => Form::Json,
        Media::Form => Form::Pairs(fields(document, schema, media, &here)?),
        Media::Multipart => Form::Parts { kind: Kind::of(document, schema), taken: kinds_of_parts(media) },
        Media::Text if range.starts_with("text/") => Form::Text,
        Media::Text | Media::Other => Form::Opaque,
    };
    if matches!(form, Form::Opaque) {
        return Ok(BodyPlan { range: range.to_owned(), form, schema: None });
    }
    let shaped = shaper.whole(schema, &here)?;
    let name = shaper.define(shaped, &here);
    Ok(BodyPlan { range: range.to_owned(), form, schema: Some(name) })
}

/// The fields of a form, each written as a parameter of a query is.
fn fields(document: &Document, schema: &Value, media: &Value, at: &str) -> Result<Vec<Parameter>, ContractError> {
    let mut fields = Vec::new();
    collect_fields(document, schema, media, at, 0, &mut fields)?;
    Ok(fields)
}

fn collect_fields(
    document: &Document,
    schema: &Value,
    media: &Value,
    at: &str,
    depth: usize,
    fields: &mut Vec<Parameter>,
) -> Result<(), ContractError> {
    if depth > FORM_DEPTH_MAX {
        return Ok(());
    }
    let (schema, at) = document.follow(schema, at)?;
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut written = json!({ "name": name, "in": "query" });
        let encoding = media.get("encoding").and_then(|encoding| encoding.get(name)).and_then(Value::as_object);
        if let (Some(written), Some(encoding)) = (written.as_object_mut(), encoding) {
            let kept = encoding.iter().filter(|(key, _)| matches!(key.as_str(), "style" | "explode"));
            written.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        if !fields.iter().any(|field| field.name == *name) {
            fields.push(Parameter::read(document, &written, property, &below(&at, name))?);
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            collect_fields(document, part, media, &at, depth + 1, fields)?;
        }
    }
    Ok(())
}

/// Which kinds a part may be of, where the document says so.
fn kinds_of_parts(media: &Value) -> Vec<(String, Vec<String>)> {
    let encodings = media.get("encoding").and_then(Value::as_object).into_iter().flatten();
    let stated = encodings.filter_map(|(name, encoding)| Some((name, encoding.get("contentType")?.as_str()?)));
    stated.map(|(name, kinds)| (name.clone(), kinds.split(',').map(body::essence).collect())).collect()
}

impl Operation {
    /// Finds the kind of a body that is about to come.
    pub(crate) fn body_for(&self, headers: &HeaderMap, has_body: bool) -> Result<Option<usize>, Finding> {
        if !has_body {
            return if self.body_required { Err(Finding::schema("/body", "required")) } else { Ok(None) };
        }
        let unfit = |keyword| Finding::new("/body", keyword, Aspect::Schema, Answer::NoMedia);
        if !self.body_documented {
            return Err(Finding::schema("/body", keyword::NO_BODY));
        }
        if headers.contains_key(http::header::CONTENT_ENCODING) {
            return Err(unfit(keyword::CONTENT_ENCODING));
        }
        let mut stated = headers.get_all(http::header::CONTENT_TYPE).iter();
        let (Some(kind), None) = (stated.next(), stated.next()) else { return Err(unfit(keyword::CONTENT_TYPE)) };
        let kind = kind.to_str().map_err(|_| unfit(keyword::CONTENT_TYPE))?;
        let essence = body::essence(kind);
        let found = self.bodies.iter().position(|body| body::is_within(&essence, &body.range));
        let found = found.ok_or_else(|| unfit(keyword::CONTENT_TYPE))?;
        let opaque = self.bodies.get(found).is_some_and(|body| matches!(body.form, Form::Opaque));
        if !opaque && body::is_foreign_charset(kind) {
            return Err(unfit(keyword::CONTENT_TYPE));
        }
        Ok(Some(found))
    }
}

impl Body {
    /// Makes the value that the bytes stand for; none if nothing can be said of it.
    pub(crate) fn value(
        &self,
        content_type: &str,
        bytes: &bytes::Bytes,
        limits: BodyLimits,
        literally: bool,
    ) -> Result<Option<Value>, Finding> {
        let schema = |flaw| Finding::schema("/body", flaw);
        match &self.form {
            // A range such as `*/*` takes JSON too, and then it is read as such.
            Form::Opaque => Ok(None),
            Form::Json => {
                let read = crate::json::read(bytes, body::json_limits(limits), crate::json::Controls::Pass);
                read.map(Some).map_err(schema)
            }
            Form::Pairs(fields) => body::object_of_form(bytes, fields, limits, literally).map(Some),
            Form::Parts { kind, taken } => {
                let parts = body::parts(content_type, bytes, limits.values_max)?;
                body::object_of_parts(parts, kind, taken, limits).map(Some)
            }
            Form::Text => {
                let text = std::str::from_utf8(bytes).map_err(|_| schema(keyword::UTF8))?;
                Ok(Some(Value::String(text.to_owned())))
            }
        }
    }

    /// Whether a text in it may stand for itself or for something else.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(&self.form, Form::Pairs(fields) if fields.iter().any(Parameter::is_ambiguous))
    }
}

const FORM_DEPTH_MAX: usize = 8;
