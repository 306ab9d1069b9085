//! Sends one request through rules as a gateway would, with exclusions or without.

use std::net::{IpAddr, Ipv4Addr};

use super::wire::take_apart;
use crate::collections::Kept;
use crate::engine::Engine;
use crate::exclusion::Exclusion;
use crate::transaction::{Facts, Refusal, Report, Scratch};

/// What became of a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Replayed {
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// What rules found.
    pub report: Report,
    /// What was refused.
    pub refusal: Option<Refusal>,
    /// What it holds, by the names that rules have for it, such as `ARGS:q`; each once.
    pub members: Vec<String>,
}

/// Sends a request, byte for byte as it would go over the wire with HTTP/1.1, through the rules; its answer is not looked
/// into. `applies` says, from method and path, what is left out.
///
/// # Errors
/// Why no server would take such bytes for a request.
pub fn replay(
    engine: &Engine,
    raw: &[u8],
    seconds: i64,
    applies: impl FnOnce(&str, &str) -> Vec<Exclusion>,
) -> Result<Replayed, String> {
    let request = take_apart(raw).map_err(|refused| refused.to_string())?;
    let method = String::from_utf8_lossy(&request.method).into_owned();
    let path = String::from_utf8_lossy(request.path()).into_owned();
    let facts = Facts {
        // From outside (RFC 5737): rule sets let the machine itself do what others may not.
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        remote_port: 0,
        server_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        server_port: 443,
        unique_id: "replay",
        seconds,
    };
    let mut transaction = engine.begin(&facts, Scratch::default());
    applies(&method, &path).iter().for_each(|exclusion| transaction.exclude(exclusion));
    let fields = request.borrowed();
    let head = transaction.request_head(&request.head(&fields));
    let refusal = head.or_else(|| transaction.request_body(&request.body));
    let mut members: Vec<String> = Vec::new();
    for (kept, names) in NAMES {
        for entry in transaction.state.collections.entries(*kept) {
            let member = String::from_utf8_lossy(transaction.state.values.text(entry.name)).into_owned();
            let named = names
                .iter()
                .map(|name| if member.is_empty() { (*name).to_owned() } else { format!("{name}:{member}") });
            members.extend(named);
            if members.len() > MEMBERS_MAX {
                break;
            }
        }
    }
    members.sort_unstable();
    members.dedup();
    let (report, _) = transaction.end();
    Ok(Replayed { method, path, report, refusal, members })
}

/// What collections are called in rules.
const NAMES: &[(Kept, &[&str])] = &[
    (Kept::Get, &["ARGS", "ARGS_NAMES", "ARGS_GET", "ARGS_GET_NAMES"]),
    (Kept::Post, &["ARGS", "ARGS_NAMES", "ARGS_POST", "ARGS_POST_NAMES"]),
    (Kept::RequestHeaders, &["REQUEST_HEADERS", "REQUEST_HEADERS_NAMES"]),
    (Kept::Cookies, &["REQUEST_COOKIES", "REQUEST_COOKIES_NAMES"]),
    (Kept::Files, &["FILES", "FILES_NAMES", "MULTIPART_FILENAME", "MULTIPART_NAME"]),
    (Kept::XmlText, &["XML:/*"]),
    (Kept::XmlAttributes, &["XML://@*"]),
];

/// Members of one request that are named.
const MEMBERS_MAX: usize = 4_000;
