//! Makes requests that hold a text in the place that an exclusion is about.

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Query(String),
    Form(String),
    /// A member of a JSON body, by its path.
    Json(String),
    Cookie(String),
    Header(String),
    /// The path below the route.
    Path,
    /// The name of an uploaded file, in the field of this name.
    File(String),
    /// The text of an element.
    Xml,
    /// A body of plain text.
    Text,
}

impl Place {
    /// The place of a variable such as `ARGS:q`, or why no text can be put there.
    pub(super) fn of(variable: &str, method: &str) -> Result<Self, &'static str> {
        let (collection, name) = variable.split_once(':').unwrap_or((variable, ""));
        let name = name.to_owned();
        let has_body = ["POST", "PUT", "PATCH"].contains(&method);
        Ok(match collection.to_ascii_uppercase().as_str() {
            _ if collection.ends_with("_NAMES") || collection == "MULTIPART_NAME" => {
                return Err("only the name itself is left out, and no other text can stand there");
            }
            "ARGS" | "ARGS_POST" if name.starts_with("json.") => Self::Json(name),
            "ARGS" if has_body => Self::Form(name),
            "ARGS_POST" => Self::Form(name),
            "ARGS" | "ARGS_GET" => Self::Query(name),
            "QUERY_STRING" => Self::Query(String::from("q")),
            "REQUEST_COOKIES" => Self::Cookie(name),
            "REQUEST_HEADERS" if FRAMING.iter().any(|header| header.eq_ignore_ascii_case(&name)) => {
                return Err("this field says how the request is read, so that attacks cannot be tried in it");
            }
            "REQUEST_HEADERS" => Self::Header(name),
            "XML" => Self::Xml,
            "REQUEST_FILENAME" | "REQUEST_BASENAME" | "REQUEST_URI" | "REQUEST_URI_RAW" | "REQUEST_LINE"
            | "PATH_INFO" => Self::Path,
            "FILES" | "MULTIPART_FILENAME" => Self::File(name),
            "REQUEST_BODY" => Self::Text,
            "TX" if name.eq_ignore_ascii_case("reeve_text") => Self::Text,
            _ => return Err("no text of a client's stands there alone, so that attacks cannot be tried in it"),
        })
    }

    /// Another place of the same kind.
    pub(super) fn beside(&self) -> Self {
        let name = String::from(BESIDE);
        match self {
            Self::Query(_) | Self::Path | Self::Text | Self::Xml => Self::Query(name),
            Self::Form(_) => Self::Form(name),
            Self::Json(_) => Self::Json(format!("json.{BESIDE}")),
            Self::Cookie(_) => Self::Cookie(name),
            Self::Header(_) => Self::Header(String::from("X-Beside")),
            Self::File(_) => Self::File(name),
        }
    }

    /// A request that is ordinary but for the text.
    pub(super) fn request(&self, path: &str, method: &str, text: &str) -> Vec<u8> {
        let mut target = path.to_owned();
        let mut agent = AGENT;
        let (mut fields, mut body) = (String::new(), Vec::new());
        let line = |text: &str| text.replace(['\r', '\n'], " ");
        match self {
            Self::Query(name) => target = format!("{path}?{}={}", percent(name), percent(text)),
            Self::Path => target = format!("{}/{}", path.trim_end_matches('/'), percent(text)),
            Self::Cookie(name) => fields = format!("Cookie: {name}={}\r\n", line(text)),
            Self::Header(name) if name.eq_ignore_ascii_case("User-Agent") => agent = text,
            Self::Header(name) => fields = format!("{name}: {}\r\n", line(text)),
            Self::Form(name) => {
                fields = String::from("Content-Type: application/x-www-form-urlencoded\r\n");
                body = format!("{}={}", percent(name), percent(text)).into_bytes();
            }
            Self::Json(name) => {
                fields = String::from("Content-Type: application/json\r\n");
                body = nested(name, text).to_string().into_bytes();
            }
            Self::File(name) => {
                fields = String::from("Content-Type: multipart/form-data; boundary=line\r\n");
                let (name, file) = (line(name).replace('"', ""), line(text).replace(['"', '\\'], "'"));
                body = format!(
                    "--line\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\nx\r\n--line--\r\n"
                )
                .into_bytes();
            }
            Self::Xml => {
                fields = String::from("Content-Type: text/xml\r\n");
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                body = format!("<a><b>{text}</b></a>").into_bytes();
            }
            Self::Text => {
                fields = String::from("Content-Type: text/plain\r\n");
                body = text.as_bytes().to_vec();
            }
        }
        if !body.is_empty() || ["POST", "PUT", "PATCH"].contains(&method) {
            fields.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let agent = line(agent);
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{fields}\r\n"
        );
        [head.into_bytes(), body].concat()
    }
}

/// The JSON in which a text has this path.
fn nested(name: &str, text: &str) -> serde_json::Value {
    let parts: Vec<&str> = name.split('.').skip(1).collect();
    parts.iter().rev().fold(serde_json::Value::from(text), |inner, part| {
        let number = part.strip_prefix("array_").and_then(|digits| digits.parse::<usize>().ok());
        match number.filter(|number| *number <= LIST_MAX) {
            Some(number) => {
                let mut list = vec![serde_json::Value::Null; number];
                list.push(inner);
                serde_json::Value::Array(list)
            }
            None => serde_json::json!({ *part: inner }),
        }
    })
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]$".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Fields by which a request is taken apart.
const FRAMING: [&str; 5] = ["Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection"];
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A name that no application is likely to have.
const BESIDE: &str = "beside";

/// Members of a list that are made to stand before one.
const LIST_MAX: usize = 256;
