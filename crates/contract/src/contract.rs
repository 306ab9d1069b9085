//! A document, compiled once: which request is one of its operations, and what is wrong with it.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jsonschema::{Draft, PatternOptions, Registry, ValidationError, Validator};
use serde_json::{Value, json};

use crate::body::{self, BodyLimits, Media};
use crate::document::{ContractError, Document, below};
use crate::finding::{Answer, Asked, Aspect, Finding, keyword};
use crate::operation::{Operation, Plan, listed_parameters};
use crate::parameter;
use crate::route::{Found, Routes};
use crate::shape::{BASE, Shaper};

/// A document, compiled.
pub struct Contract {
    base: String,
    routes: Routes,
    paths: Vec<Methods>,
    operations: Vec<Operation>,
    /// Names that the document knows, which a finding may repeat.
    names: HashSet<String>,
}

/// The operations of a path.
struct Methods {
    template: String,
    operations: Vec<(Method, usize)>,
}

/// A request that is one of the document's, as far as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    operation: usize,
    body: Option<usize>,
}

/// Where a request belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third place")]
pub enum Routed {
    /// Not to this document: its path is outside the base, or the document has nothing of it and need not.
    Outside,
    /// To an operation.
    Taken(Taken),
}

impl Contract {
    /// Compiles a document. `base` is the path under which its operations are served; without it that of the first
    /// server in the document counts.
    ///
    /// # Errors
    /// See [`ContractError`]: each names the place in the document and what to do.
    pub fn compile(text: &[u8], base: Option<&str>) -> Result<Self, ContractError> {
        let document = Document::read(text)?;
        let base = base.map_or_else(|| server_path(&document.root), |base| Ok(base.to_owned()))?;
        let mut shaper = Shaper::new(&document);
        let (mut routes, mut paths, mut plans) = (Routes::default(), Vec::new(), Vec::new());
        let written = document.root.get("paths").and_then(Value::as_object);
        for (template, item) in written.into_iter().flatten().filter(|(path, _)| !path.starts_with("x-")) {
            let (item, place) = document.follow(item, &below("/paths", template))?;
            routes.insert(template, paths.len(), &place)?;
            let mut methods = Methods { template: template.clone(), operations: Vec::new() };
            let shared = listed_parameters(&document, item, &place)?;
            let names = Routes::names(template);
            for method in METHODS {
                let Some(operation) = item.get(method.as_str().to_ascii_lowercase()) else { continue };
                let place = below(&place, &method.as_str().to_ascii_lowercase());
                if plans.len() == OPERATIONS_MAX {
                    return Err(ContractError::at(
                        place,
                        format!("more than {OPERATIONS_MAX} operations: split the document"),
                    ));
                }
                methods.operations.push((method, plans.len()));
                plans.push(Plan::read(&document, &mut shaper, operation, &place, &shared, &names)?);
            }
            paths.push(methods);
        }
        if plans.is_empty() {
            return Err(ContractError::at("/paths", "there is no operation, so every request would be refused"));
        }
        let operations = ready(plans, &shaper.finish()?)?;
        let mut names = HashSet::new();
        gather_names(&document.root, &mut names);
        Ok(Self { base: base.trim_end_matches('/').to_owned(), routes, paths, operations, names })
    }

    /// How many operations it has.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// The path under which its operations are served, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Judges a head. A path or method of which the document has nothing is a finding if it is the only way in
    /// (`exhaustive`), else the request belongs to nobody.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn head(
        &self,
        asked: Asked,
        exhaustive: bool,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        has_body: bool,
    ) -> Result<Routed, Finding> {
        let Some(path) = self.within(uri.path()) else { return Ok(Routed::Outside) };
        let lacking = |place, keyword, answer| match exhaustive && asked.schema {
            true => Err(Finding::new(place, keyword, Aspect::Schema, answer)),
            false => Ok(Routed::Outside),
        };
        let found = match self.routes.find(path) {
            Ok(found) => found,
            Err(flaw) => return lacking("/path", flaw, Answer::Bad),
        };
        let Some(found) = found else { return lacking("/path", keyword::PATH, Answer::NoPath) };
        let Some(operation) = self.operation_of(found.path, method) else {
            return lacking("/method", keyword::METHOD, Answer::NoMethod);
        };
        let Some(held) = self.operations.get(operation) else { return Ok(Routed::Outside) };
        self.judge_head(asked, held, &found, uri.query().unwrap_or_default(), headers)?;
        let body = match held.body_for(headers, has_body) {
            Ok(body) => body,
            Err(finding) if asked.covers(finding.aspect) => return Err(finding),
            Err(_) => None,
        };
        Ok(Routed::Taken(Taken { operation, body }))
    }

    /// Whether the body of this request has to be read before anything can be said of it.
    #[must_use]
    pub fn wants_body(&self, taken: Taken) -> bool {
        taken.body.is_some()
    }

    /// Judges a body, whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn body(
        &self,
        asked: Asked,
        taken: Taken,
        content_type: &str,
        bytes: &Bytes,
        limits: BodyLimits,
    ) -> Result<(), Finding> {
        let Some(operation) = self.operations.get(taken.operation) else { return Ok(()) };
        let Some(body) = taken.body.and_then(|body| operation.bodies.get(body)) else { return Ok(()) };
        if bytes.is_empty() && !operation.body_required {
            return Ok(());
        }
        self.judged(asked, body.schema.as_ref(), body.is_ambiguous(), "/body", |literally| {
            body.value(content_type, bytes, limits, literally)
        })
    }

    /// Whether a path, spelled so, is under the base.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.within(path).is_some()
    }

    /// Whether a path, spelled so, is one of the document's.
    #[must_use]
    pub fn knows(&self, path: &str) -> bool {
        self.within(path).is_some_and(|path| matches!(self.routes.find(path), Ok(Some(_))))
    }

    /// How the document writes a path of its own: `/items/{id}`.
    #[must_use]
    pub fn template(&self, path: &str) -> Option<&str> {
        let found = self.within(path).and_then(|path| self.routes.find(path).ok().flatten())?;
        self.paths.get(found.path).map(|methods| methods.template.as_str())
    }

    /// The methods that a path has, for `Allow`.
    #[must_use]
    pub fn methods(&self, path: &str) -> Vec<&Method> {
        let found = self.within(path).and_then(|path| self.routes.find(path).ok().flatten());
        let methods = found.and_then(|found| self.paths.get(found.path));
        methods.into_iter().flat_map(|methods| methods.operations.iter().map(|(method, _)| method)).collect()
    }

    /// The path below the base.
    fn within<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.base.as_str())?;
        if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
    }

    /// A HEAD is a GET whose answer has no body (RFC 9110 section 9.3.2), and need not be named apart.
    fn operation_of(&self, path: usize, method: &Method) -> Option<usize> {
        let methods = &self.paths.get(path)?.operations;
        let of = |wanted: &Method| methods.iter().find(|(method, _)| method == wanted).map(|(_, operation)| *operation);
        of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None })
    }

    fn judge_head(
        &self,
        asked: Asked,
        operation: &Operation,
        found: &Found<'_>,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<(), Finding> {
        if operation.parameters.is_empty() && query.is_empty() {
            return Ok(());
        }
        let flawed = |flaw| Finding::schema("/query", flaw);
        let pairs = match parameter::pairs(query.as_bytes(), PAIRS_MAX) {
            Ok(pairs) => pairs,
            Err(flaw) if asked.schema => return Err(flawed(flaw)),
            Err(_) => return Ok(()),
        };
        self.judged(asked, Some(&operation.head), operation.ambiguous, "", |literally| {
            let parameters = &operation.parameters;
            Ok(Some(json!({
                "path": parameter::path(parameters, &found.values, literally)?,
                "query": parameter::query(parameters, &pairs, literally)?,
                "header": parameter::header(parameters, headers, literally)?,
                "cookie": parameter::cookie(parameters, headers, literally)?,
            })))
        })
    }

    /// Holds a value against a schema, and again with its texts taken literally where they could be meant so.
    fn judged(
        &self,
        asked: Asked,
        schema: Option<&Validator>,
        ambiguous: bool,
        prefix: &str,
        value: impl Fn(bool) -> Result<Option<Value>, Finding>,
    ) -> Result<(), Finding> {
        let made = match value(false) {
            Ok(made) => made,
            Err(finding) => return if asked.covers(finding.aspect) { Err(self.masked(finding)) } else { Ok(()) },
        };
        let (Some(made), Some(schema)) = (made, schema) else { return Ok(()) };
        if schema.is_valid(&made) {
            return Ok(());
        }
        if ambiguous
            && let Ok(Some(literal)) = value(true)
            && schema.is_valid(&literal)
        {
            return Ok(());
        }
        let found = schema.iter_errors(&made).take(ERRORS_MAX).map(|error| finding(&error, prefix));
        match found.into_iter().find(|finding| asked.covers(finding.aspect)) {
            Some(finding) => Err(self.masked(finding)),
            None => Ok(()),
        }
    }

    /// Names that the document does not know are the client's own words.
    fn masked(&self, finding: Finding) -> Finding {
        let known = |segment: &&str| {
            segment.is_empty()
                || segment.bytes().all(|byte| byte.is_ascii_digit()) && segment.len() < 8
                || self.names.contains(*segment)
        };
        let segments = finding.place.split('/').take(PLACE_SEGMENTS_MAX);
        let place: Vec<_> = segments.map(|segment| if known(&segment) { segment } else { "*" }).collect();
        Finding { place: place.join("/"), ..finding }
    }
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract").field("base", &self.base).field("operations", &self.operations.len()).finish()
    }
}

/// Holds a body of which no document says anything to the limits of its kind, and to its characters if asked.
///
/// # Errors
/// What is wrong with it.
pub fn plain_body(content_type: &str, bytes: &Bytes, limits: BodyLimits) -> Result<(), Finding> {
    body::bounded(Media::of(&body::essence(content_type)), content_type, bytes, limits)
}

/// Whether a body of this kind is looked into.
#[must_use]
pub fn is_readable(content_type: &str) -> bool {
    Media::of(&body::essence(content_type)) != Media::Other
}

/// Checks the characters of a body: see [`crate::characters_of_head`].
///
/// # Errors
/// What is wrong with it.
pub fn characters_of_body(content_type: &str, bytes: &Bytes) -> Result<(), Finding> {
    body::characters(Media::of(&body::essence(content_type)), content_type, bytes)
}

fn finding(error: &ValidationError<'_>, prefix: &str) -> Finding {
    let keyword = error.kind().keyword().to_owned();
    let aspect = match keyword.as_str() {
        "type" => Aspect::Type,
        "format" | "pattern" | "contentEncoding" | "contentMediaType" => Aspect::Format,
        _ => Aspect::Schema,
    };
    let place = format!("{prefix}{}", error.instance_path());
    Finding { place, keyword: Cow::Owned(keyword), aspect, answer: Answer::Bad }
}

fn ready(plans: Vec<Plan>, root: &Value) -> Result<Vec<Operation>, ContractError> {
    let unusable = |place: &str, error: &dyn std::fmt::Display| {
        let cause: String = error.to_string().chars().take(CAUSE_CHARS_MAX).collect();
        ContractError::at(place, format!("a schema of it cannot be used: {cause}"))
    };
    let resource = Draft::Draft202012.create_resource(root.clone());
    let registry = Registry::new().add(BASE, resource).and_then(|registry| registry.prepare());
    let registry = registry.map_err(|error| unusable("", &error))?;
    let build = |name: &str, place: &str| {
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&registry)
            .with_pattern_options(PatternOptions::regex().size_limit(REGEX_BYTES_MAX))
            .should_validate_formats(true)
            .with_format("byte", is_base64)
            .offline()
            .build(&json!({ "$ref": format!("{BASE}#/$defs/{name}") }))
            .map_err(|error| unusable(place, &error))
    };
    plans.into_iter().map(|plan| plan.ready(&build)).collect()
}

/// `format: byte` of 3.0 (RFC 4648 section 4).
fn is_base64(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    text.len().is_multiple_of(4)
        && padding <= 2
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// The path of the first server, whose host is somebody else's business.
fn server_path(root: &Value) -> Result<String, ContractError> {
    let Some(server) = root.pointer("/servers/0") else { return Ok(String::new()) };
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let value = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), value);
    }
    if url.contains('{') {
        return Err(ContractError::at("/servers/0/url", "a variable has no default: set `base` beside `openapi`"));
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().to_owned(),
        None => url,
    };
    Ok(if path.starts_with('/') { path } else { String::new() })
}

/// The names of properties and parameters, wherever they stand.
fn gather_names(value: &Value, names: &mut HashSet<String>) {
    names.extend(["path", "query", "header", "cookie", "body", "method"].map(str::to_owned));
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => names.extend(properties.keys().cloned()),
                    ("name", Value::String(name)) => {
                        names.insert(name.clone());
                        names.insert(name.to_ascii_lowercase());
                    }
                    _ => {}
                }
                gather_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather_names(item, names)),
        _ => {}
    }
}

/// The methods that a document can name (OpenAPI 3.1.0 section 4.8.9).
const METHODS: [Method; 8] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
    Method::PATCH,
    Method::TRACE,
];

/// The largest public documents have about a thousand.
const OPERATIONS_MAX: usize = 5_000;
/// Pairs in a query.
const PAIRS_MAX: usize = 256;
/// Errors of one value that are looked through for one that is asked for.
const ERRORS_MAX: usize = 64;
/// A compiled pattern.
const REGEX_BYTES_MAX: usize = 1 << 20;
const PLACE_SEGMENTS_MAX: usize = 24;
const CAUSE_CHARS_MAX: usize = 300;
