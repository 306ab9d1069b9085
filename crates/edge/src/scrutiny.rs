//! Looks into requests: their characters, and whether they are what the application's document says or, where there is
//! no document, within the limits of their kind.
//!
//! A head is judged with the other stages that wait for nothing. A body is read whole before it is judged and only then
//! goes on, in the pieces that it came in: the application gets the bytes that were judged, or none.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use reeve_contract::{
    Answer, Asked, Aspect, BodyLimits, Contract, ContractError, DOCUMENT_BYTES_MAX, Finding, Routed, Taken, keyword,
};
use reeve_policy::catalogue::Controls;

use crate::body::{RequestBody, Rooms, joined};
use crate::refusal::{Refusal, Unfit};
use crate::rules::plainly;
use crate::settings::ContractSettings;

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScrutinyError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be used.
    #[error("`{}`: {source}", path.display())]
    Contract {
        /// The file.
        path: PathBuf,
        /// Where in it, and why.
        source: ContractError,
    },
}

/// What requests are looked at for. One for each set of rules; shared by the requests that are under way.
#[derive(Debug)]
pub(crate) struct Scrutiny {
    contract: Option<Contract>,
    document: Option<PathBuf>,
    asked: Asked,
    exhaustive: bool,
    characters: bool,
    /// Bodies that no document speaks of are bounded.
    bounded: bool,
    limits: BodyLimits,
    body_bytes_max: usize,
}

/// What is still to be found out of a request once its body is here.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    scrutiny: Arc<Scrutiny>,
    taken: Option<Taken>,
}

impl Scrutiny {
    /// Reads the document, whether a control asks for it or not: one that is wrong is told of at once.
    pub(crate) fn new(settings: Option<&ContractSettings>, controls: &Controls) -> Result<Arc<Self>, ScrutinyError> {
        let schema = controls.input_schema.as_ref();
        let contract = settings.map(load).transpose()?;
        Ok(Arc::new(Self {
            contract,
            document: settings.map(|settings| settings.document.clone()),
            asked: Asked {
                schema: schema.is_some(),
                types: controls.input_type.is_some(),
                formats: controls.input_format.is_some(),
            },
            exhaustive: schema.is_some_and(|schema| schema.documented_only),
            characters: controls.input_charset.is_some(),
            bounded: schema.is_some(),
            limits: BodyLimits {
                depth_max: schema.map_or(DEPTH_MAX, |schema| schema.depth),
                values_max: schema.map_or(VALUES_MAX, |schema| schema.values),
            },
            body_bytes_max: schema
                .map_or(BODY_BYTES_MAX, |schema| usize::try_from(schema.body.bytes()).unwrap_or(usize::MAX)),
        }))
    }

    /// The document and the path under which its operations are.
    pub(crate) fn document(&self) -> Option<(&Path, &str)> {
        Some((self.document.as_deref()?, self.contract.as_ref()?.base()))
    }

    /// The path as the document writes it, with the base in front; nothing if it has none such.
    pub(crate) fn template(&self, path: &str) -> Option<String> {
        let contract = self.contract.as_ref()?;
        Some(format!("{}{}", contract.base(), contract.template(path)?))
    }

    /// Judges a head, and leaves word with it if the body is to be judged too.
    pub(crate) fn head(self: &Arc<Self>, parts: &mut Parts, has_body: bool) -> Result<(), Refusal> {
        if self.characters {
            let found = reeve_contract::characters_of_head(parts.uri.path(), parts.uri.query(), &parts.headers);
            found.map_err(|finding| self.refusal(&finding, parts.uri.path()))?;
        }
        let routed = match self.contract.as_ref().filter(|_| self.asked.any()) {
            None => Routed::Outside,
            Some(contract) => contract
                .head(self.asked, self.exhaustive, &parts.method, &parts.uri, &parts.headers, has_body)
                .map_err(|finding| self.refusal(&finding, parts.uri.path()))?,
        };
        if routed == Routed::Outside && self.is_disguised(parts.uri.path()) {
            let finding = Finding {
                place: String::from("/path"),
                keyword: keyword::PERCENT.into(),
                aspect: Aspect::Schema,
                answer: Answer::Bad,
            };
            return Err(self.refusal(&finding, parts.uri.path()));
        }
        let kind = content_type(&parts.headers);
        let readable = has_body && reeve_contract::is_readable(kind);
        let (taken, wanted) = match routed {
            Routed::Outside => (None, readable && (self.bounded || self.characters)),
            Routed::Taken(taken) => {
                let wanted = self.contract.as_ref().is_some_and(|contract| contract.wants_body(taken));
                (Some(taken), wanted || readable && self.characters)
            }
        };
        if wanted {
            // What is packed cannot be looked into, and what cannot be looked into is not let through.
            if readable && parts.headers.contains_key(CONTENT_ENCODING) {
                let aspect = if self.bounded { Aspect::Schema } else { Aspect::Characters };
                let finding = Finding {
                    place: String::from("/body"),
                    keyword: keyword::CONTENT_ENCODING.into(),
                    aspect,
                    answer: Answer::NoMedia,
                };
                return Err(self.refusal(&finding, parts.uri.path()));
            }
            parts.extensions.insert(Expected { scrutiny: Arc::clone(self), taken });
        }
        Ok(())
    }

    /// Whether a path is no operation's as it is spelled, and might be one as an application comes to read it: with its
    /// dot segments and empty segments gone, or decoded.
    fn is_disguised(&self, path: &str) -> bool {
        let Some(contract) = self.contract.as_ref().filter(|_| self.asked.any()) else { return false };
        let plain = plainly(path);
        let covered = contract.covers(&plain) && !contract.covers(path);
        covered || contract.knows(&plain) && !contract.knows(path)
    }

    fn body(&self, taken: Option<Taken>, kind: &str, bytes: &Bytes) -> Result<(), Finding> {
        if self.characters {
            reeve_contract::characters_of_body(kind, bytes)?;
        }
        match (taken, &self.contract) {
            (Some(taken), Some(contract)) => contract.body(self.asked, taken, kind, bytes, self.limits),
            _ if self.bounded && !bytes.is_empty() => reeve_contract::plain_body(kind, bytes, self.limits),
            _ => Ok(()),
        }
    }

    fn refusal(&self, finding: &Finding, path: &str) -> Refusal {
        let control = match finding.aspect {
            Aspect::Characters if self.characters => "input.charset",
            Aspect::Type if self.asked.types => "input.type",
            Aspect::Format if self.asked.formats => "input.format",
            _ => "input.schema",
        };
        let status = match finding.answer {
            Answer::Bad => StatusCode::BAD_REQUEST,
            Answer::NoPath => StatusCode::NOT_FOUND,
            Answer::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Answer::NoMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Answer::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        };
        // Which a 405 has to name (RFC 9110 section 15.5.6).
        let allow = if status == StatusCode::METHOD_NOT_ALLOWED { self.allow(path) } else { None };
        Refusal::Unfit(Box::new(Unfit { status, control, cause: finding.to_string(), allow }))
    }

    fn allow(&self, path: &str) -> Option<HeaderValue> {
        let methods = self.contract.as_ref()?.methods(path);
        let names: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
        HeaderValue::from_str(&names.join(", ")).ok()
    }
}

/// Reads the body of a request to its end and judges it. The request goes on as it came, or not at all.
pub(crate) async fn whole(
    request: Request<RequestBody>,
    expected: Expected,
    rooms: &Rooms,
) -> Result<Request<RequestBody>, Refusal> {
    let Expected { scrutiny, taken } = expected;
    let (parts, body) = request.into_parts();
    let finding = |keyword: &'static str, answer| Finding {
        place: String::from("/body"),
        keyword: keyword.into(),
        aspect: Aspect::Schema,
        answer,
    };
    let (body, pieces) = body.gather(rooms, scrutiny.body_bytes_max).await?;
    let Some(pieces) = pieces else {
        let finding = finding(keyword::COUNT, Answer::TooLarge);
        return Err(scrutiny.refusal(&finding, parts.uri.path()));
    };
    let bytes = joined(pieces);
    match scrutiny.body(taken, content_type(&parts.headers), &bytes) {
        Ok(()) => Ok(Request::from_parts(parts, body)),
        Err(finding) => Err(scrutiny.refusal(&finding, parts.uri.path())),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

fn load(settings: &ContractSettings) -> Result<Contract, ScrutinyError> {
    let path = &settings.document;
    let read = |source| ScrutinyError::Read { path: path.clone(), source };
    let mut text = Vec::new();
    // One byte more than is taken, so that a file that is too long is seen to be so.
    let most = DOCUMENT_BYTES_MAX as u64 + 1;
    File::open(path).map_err(read)?.take(most).read_to_end(&mut text).map_err(read)?;
    let compiled = Contract::compile(&text, settings.base.as_deref());
    compiled.map_err(|source| ScrutinyError::Contract { path: path.clone(), source })
}

/// Bodies that are looked through for their characters, types or formats alone.
const BODY_BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: u16 = 64;
const VALUES_MAX: u32 = 50_000;
