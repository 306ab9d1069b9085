//! A second reading of an OpenAPI document, for canaries: from the specification, and not from the code that enforces it.
//!
//! It understands less than it is held against. An operation of which no well-formed request can be made up is left
//! alone, and what is made up is small.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// A document, read.
pub(super) struct Reading {
    root: Value,
    base: String,
}

/// A request to an operation.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    template: String,
    path: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(super) body: Option<(String, Value)>,
}

/// A canary: what is wrong with it, and the request.
pub(super) type Canary = (String, Request);

/// An operation that a probe may ask for.
pub(super) struct Operation<'d> {
    /// Its method and path, as a person calls it.
    pub(super) name: String,
    written: &'d Value,
    parameters: Vec<&'d Value>,
    pub(super) twin: Request,
}

impl Reading {
    /// Reads YAML, of which JSON is a part.
    pub(super) fn new(text: &str, base: &str) -> Result<Self, String> {
        let root = serde_saphyr::from_str(text).map_err(|error| format!("the document cannot be read: {error}"))?;
        Ok(Self { root, base: base.to_owned() })
    }

    /// Where the application tells which canaries it got: the path before the mark.
    pub(super) fn journal(&self) -> Option<String> {
        let paths = self.root.get("paths")?.as_object()?;
        let marked = |item: &Value| item.pointer("/get/x-reeve-journal") == Some(&Value::Bool(true));
        let (template, _) = paths.iter().find(|(_, item)| marked(item))?;
        let (before, _) = template.split_once('{')?;
        Some(format!("{}{before}", self.base))
    }

    /// The operations that may be asked for: those that change nothing (RFC 9110 section 9.2.1), and those that their
    /// owner has marked.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (template, item) in self.root.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let item = self.resolve(item);
            for method in ["get", "post", "put", "patch"] {
                let Some(written) = item.get(method) else { continue };
                let marked = written.get("x-reeve-probe") == Some(&Value::Bool(true));
                let journal = written.get("x-reeve-journal").is_some();
                if journal || !(method == "get" || marked) {
                    continue;
                }
                let own = written.get("parameters").and_then(Value::as_array).into_iter().flatten();
                let shared = item.get("parameters").and_then(Value::as_array).into_iter().flatten();
                let parameters: Vec<_> = own.chain(shared).map(|parameter| self.resolve(parameter)).collect();
                if let Some(twin) = self.twin(method, template, written, &parameters) {
                    let name = format!("{} {template}", method.to_ascii_uppercase());
                    operations.push(Operation { name, written, parameters, twin });
                }
            }
        }
        operations
    }

    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let mut value = value;
        for _ in 0..REFERENCES_MAX {
            let Some(pointer) = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'))
            else {
                break;
            };
            value = self.root.pointer(pointer).unwrap_or(&Value::Null);
        }
        value
    }

    fn twin(&self, method: &str, template: &str, written: &Value, parameters: &[&Value]) -> Option<Request> {
        let mut request = Request {
            method: method.to_ascii_uppercase(),
            template: format!("{}{template}", self.base),
            path: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        };
        for parameter in parameters.iter().filter(|parameter| parameter.get("required") == Some(&Value::Bool(true))) {
            let value = text_of(&self.sample(parameter.get("schema")?, 0)?)?;
            request.place(parameter, value)?;
        }
        let body = written.get("requestBody").map(|body| self.resolve(body));
        if let Some(body) = body {
            let (kind, schema) = self.body_schema(body)?;
            request.body = Some((kind, self.sample(schema, 0)?));
        }
        Some(request)
    }

    /// The schema of a body that a canary can be made of.
    fn body_schema<'d>(&'d self, body: &'d Value) -> Option<(String, &'d Value)> {
        let content = body.get("content")?.as_object()?;
        let known = ["application/json", "application/x-www-form-urlencoded"];
        let (kind, media) = known.iter().find_map(|kind| Some((*kind, content.get(*kind)?)))?;
        Some((kind.to_owned(), self.resolve(media.get("schema")?)))
    }

    /// A small value that fits a schema; none where that takes more than this knows.
    fn sample(&self, schema: &Value, depth: usize) -> Option<Value> {
        let schema = self.resolve(schema);
        if depth > DEPTH_MAX {
            return None;
        }
        if let Some(given) = ["example", "default", "const"].iter().find_map(|key| schema.get(*key)) {
            return Some(given.clone());
        }
        if let Some(first) = schema.pointer("/enum/0").or_else(|| schema.pointer("/examples/0")) {
            return Some(first.clone());
        }
        if let Some(part) = schema.pointer("/oneOf/0").or_else(|| schema.pointer("/anyOf/0")) {
            return self.sample(part, depth + 1);
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            let mut whole = Map::new();
            for part in parts {
                whole.extend(self.sample(part, depth + 1)?.as_object()?.clone());
            }
            return Some(Value::Object(whole));
        }
        match kind(schema) {
            "integer" | "number" => Some(schema.get("minimum").cloned().unwrap_or_else(|| json!(1))),
            "boolean" => Some(json!(true)),
            "array" => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(ITEMS_MAX);
                let item = || self.sample(schema.get("items")?, depth + 1);
                (0..least).map(|_| item()).collect::<Option<Vec<_>>>().map(Value::Array)
            }
            "object" => {
                let mut object = Map::new();
                for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                    let name = name.as_str()?;
                    let property = self.resolve(schema.get("properties")?.get(name)?);
                    if property.get("readOnly") != Some(&Value::Bool(true)) {
                        object.insert(name.to_owned(), self.sample(property, depth + 1)?);
                    }
                }
                Some(Value::Object(object))
            }
            "string" | "" => sample_text(schema),
            _ => None,
        }
    }

    /// Canaries with a value of a wrong type.
    pub(super) fn wrong_types(&self, operation: &Operation<'_>) -> Vec<Canary> {
        let stiff = |schema: &Value| matches!(kind(schema), "integer" | "number" | "boolean");
        let mut canaries = self.altered(operation, "a text for a number or truth value", stiff, "reeve-probe");
        if let Some((at, schema)) = self.json_body(operation) {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let wrong = match kind(self.resolve(property)) {
                    "string" => json!(["reeve-probe"]),
                    "integer" | "number" | "boolean" | "array" | "object" => json!("reeve-probe"),
                    _ => continue,
                };
                canaries.push((format!("another type for `{name}` in the body"), with_member(at, name, wrong)));
            }
        }
        canaries
    }

    /// Canaries with a text of a wrong format.
    pub(super) fn wrong_formats(&self, operation: &Operation<'_>) -> Vec<Canary> {
        let formatted = |schema: &Value| {
            let format = schema.get("format").and_then(Value::as_str);
            kind(schema) == "string" && format.is_some_and(|format| FORMATS.iter().any(|(name, _)| *name == format))
        };
        let mut canaries = self.altered(operation, "a text of no such format", formatted, "reeve probe");
        if let Some((at, schema)) = self.json_body(operation) {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if formatted(self.resolve(property)) {
                    let what = format!("a text of no such format for `{name}` in the body");
                    canaries.push((what, with_member(at, name, json!("reeve probe"))));
                }
            }
        }
        canaries
    }

    /// Canaries of another shape than the document's.
    pub(super) fn wrong_shapes(&self, operation: &Operation<'_>) -> Vec<Canary> {
        let mut unknown = operation.twin.clone();
        unknown.query.push((String::from("reeve_probe"), String::from("1")));
        let mut canaries = vec![(String::from("a parameter that nobody knows"), unknown)];
        if let Some((at, schema)) = self.json_body(operation) {
            let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
            if schema.get("properties").is_some() && !open {
                canaries.push((String::from("a field that nobody knows"), with_member(at, "reeve_probe", json!(1))));
            }
            if schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty()) {
                let mut bare = at.clone();
                bare.body = bare.body.map(|(kind, _)| (kind, json!({})));
                canaries.push((String::from("a body without what it needs"), bare));
            }
        }
        if operation.written.get("requestBody").is_none() {
            let mut laden = operation.twin.clone();
            laden.body = Some((String::from("application/json"), json!({ "reeve": "probe" })));
            canaries.push((String::from("a body where there is none"), laden));
        }
        canaries
    }

    fn json_body<'o>(&'o self, operation: &'o Operation<'_>) -> Option<(&'o Request, &'o Value)> {
        let body = self.resolve(operation.written.get("requestBody")?);
        let (kind, schema) = self.body_schema(body)?;
        (kind == "application/json").then_some((&operation.twin, schema))
    }

    /// One canary for each parameter of this sort, with another text.
    fn altered(&self, operation: &Operation<'_>, what: &str, sort: impl Fn(&Value) -> bool, text: &str) -> Vec<Canary> {
        let mut canaries = Vec::new();
        for parameter in &operation.parameters {
            let Some(schema) = parameter.get("schema").map(|schema| self.resolve(schema)).filter(|schema| sort(schema))
            else {
                continue;
            };
            let (mut request, name) = (operation.twin.clone(), parameter.get("name").and_then(Value::as_str));
            if schema.is_object() && request.place(parameter, text.to_owned()).is_some() {
                canaries.push((format!("{what}, in `{}`", name.unwrap_or_default()), request));
            }
        }
        canaries
    }

    /// A request to a path that the document does not have.
    pub(super) fn undocumented(&self, path: &str) -> Canary {
        let request = Request {
            method: String::from("GET"),
            template: format!("{}{path}", self.base),
            path: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        };
        (String::from("a path that nobody knows"), request)
    }
}

impl Request {
    /// Puts the value of a parameter where it belongs, in the place of another.
    fn place(&mut self, parameter: &Value, text: String) -> Option<()> {
        let name = parameter.get("name")?.as_str()?.to_owned();
        let list = match parameter.get("in")?.as_str()? {
            "path" => &mut self.path,
            "query" => &mut self.query,
            "header" => &mut self.headers,
            _ => return None,
        };
        list.retain(|(held, _)| *held != name);
        list.push((name, text));
        Some(())
    }

    /// The bytes of the request over HTTP/1.1, marked for the application's journal.
    pub(super) fn bytes(&self, authority: &str, user_agent: &str, mark: &str) -> Vec<u8> {
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        let mut target = self.template.clone();
        for (name, text) in &self.path {
            target = target.replace(&format!("{{{name}}}"), &encoded(text));
        }
        let pairs: Vec<_> =
            self.query.iter().map(|(name, text)| format!("{}={}", encoded(name), encoded(text))).collect();
        if !pairs.is_empty() {
            target = format!("{target}?{}", pairs.join("&"));
        }
        let mut head = format!(
            "{} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {user_agent}\r\nX-Reeve-Mark: {mark}\r\nConnection: close\r\n",
            self.method
        );
        for (name, text) in &self.headers {
            head += &format!("{name}: {text}\r\n");
        }
        let body = match &self.body {
            None => String::new(),
            Some((kind, value)) => {
                let text = if kind == "application/json" { value.to_string() } else { form_of(value) };
                head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", text.len());
                text
            }
        };
        format!("{head}\r\n{body}").into_bytes()
    }
}

fn form_of(value: &Value) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let members = value.as_object().into_iter().flatten();
    let pairs =
        members.map(|(name, value)| format!("{}={}", encoded(name), encoded(&text_of(value).unwrap_or_default())));
    pairs.collect::<Vec<_>>().join("&")
}

fn with_member(request: &Request, name: &str, value: Value) -> Request {
    let mut request = request.clone();
    if let Some((_, Value::Object(members))) = &mut request.body {
        members.insert(name.to_owned(), value);
    }
    request
}

/// A value as one text; none for lists and objects, which are written in a dozen ways.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => match kinds.as_slice() {
            [Value::String(kind)] => kind,
            _ => "several",
        },
        _ if schema.get("properties").is_some() => "object",
        _ => "",
    }
}

fn sample_text(schema: &Value) -> Option<Value> {
    if schema.get("pattern").is_some() {
        return None;
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && let Some((_, text)) = FORMATS.iter().find(|(name, _)| *name == format)
    {
        return Some(json!(text));
    }
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(1).clamp(1, TEXT_MAX);
    Some(json!("a".repeat(usize::try_from(least).unwrap_or(1))))
}

/// Formats of which a good text is known, and of which `reeve probe` is a bad one.
const FORMATS: [(&str, &str); 7] = [
    ("date", "2026-01-02"),
    ("date-time", "2026-01-02T03:04:05Z"),
    ("email", "probe@example.com"),
    ("uuid", "6f9619ff-8b86-4011-b42d-00c04fc964ff"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("hostname", "probe.example.com"),
];

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const REFERENCES_MAX: usize = 16;
const DEPTH_MAX: usize = 12;
const ITEMS_MAX: u64 = 4;
const TEXT_MAX: u64 = 256;
