//! Why a request is not let through: a status for the client, a control and a cause for the operator.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use reeve_base::{Findings, Timestamp};

use crate::rate::{Counted, whole_seconds};

/// A request that a control, or a fault on the way, keeps from the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The head can be read in more than one way, or in none (RFC 9112).
    Malformed(&'static str),
    /// The protocol version is not served.
    Version,
    /// The request demands an expectation that is not met (RFC 9110 section 10.1.1).
    Expectation,
    /// A transfer coding that is not served.
    TransferCoding,
    /// The request target is longer than the policy allows.
    TargetTooLong,
    /// The head is larger, or has more fields, than the policy allows.
    HeadTooLarge,
    /// The body is larger than the policy allows.
    BodyTooLarge,
    /// The head did not arrive in time.
    HeadTooSlow,
    /// The body stalled, or comes too slowly.
    BodyTooSlow,
    /// The answer is taken too slowly.
    ReaderTooSlow,
    /// Frames of HTTP/2 that cost their sender nothing, without measure.
    Flood(&'static str),
    /// The client broke its body off.
    ClientGone(String),
    /// The method is not served.
    Method,
    /// The path is one that is never served.
    HiddenPath,
    /// What was sent is not what the application takes.
    Unfit(Box<Unfit>),
    /// Rules of the firewall refuse it, or its answer.
    Waf(Box<Blocked>),
    /// The address, the user or the key has used up its rate.
    Rate {
        /// Whose requests were counted.
        counted: Counted,
        /// When it may try again.
        retry_after: Duration,
    },
    /// The route does not answer this address.
    Elsewhere,
    /// The program is listed by this pattern of its name.
    Agent(Arc<str>),
    /// The request carries the signature of a bot.
    Signature(&'static str),
    /// The application could not be reached.
    UpstreamDown(String),
    /// The application did not answer in time.
    UpstreamSlow(String),
    /// None of the application's servers takes requests.
    NoServer {
        /// The application's name.
        upstream: String,
        /// When one may again.
        retry_after: Duration,
    },
    /// The site is closed for a time.
    Maintenance {
        /// Until when, if that is known.
        until: Option<Timestamp>,
        /// When to come back.
        retry_after: Duration,
    },
    /// Readings of the path differ on which application it is for.
    AmbiguousPath,
    /// The application answered with something that is no HTTP.
    UpstreamGarbled(String),
    /// The application answered with an error that is not shown.
    UpstreamError(StatusCode),
    /// The application's answer shows a stack trace.
    Trace {
        /// What wrote it.
        of: &'static str,
        /// What the application answered.
        status: StatusCode,
    },
    /// The application's answer cannot be looked into.
    Unreadable(&'static str),
    /// What claims to be a browser's report is none.
    BadReport(&'static str),
    /// The address is banned, and came over a connection that was open before.
    Banned,
    /// What it does could not be recorded, and the policy promises a record.
    Unrecorded,
    /// A fault in the gateway itself.
    Fault(String),
}

/// What is wrong with what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What the client is told.
    pub(crate) status: StatusCode,
    /// The control that refuses it.
    pub(crate) control: &'static str,
    /// A keyword and a place, and never the value.
    pub(crate) cause: String,
    /// The methods that the path has, with a 405.
    pub(crate) allow: Option<HeaderValue>,
}

/// What the firewall refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// What the client is told.
    pub(crate) status: StatusCode,
    /// Rules and variables, and never the value.
    pub(crate) cause: String,
    /// Whether it is about the request. An answer may be nobody's doing.
    pub(crate) of_client: bool,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
    /// Where the client is sent instead.
    pub(crate) location: Option<HeaderValue>,
    /// What rules found, for the event; none where it was no rule.
    pub(crate) findings: Option<Box<Findings>>,
}

impl Blocked {
    /// A request that is refused with this status.
    pub(crate) fn request(status: StatusCode, cause: String) -> Refusal {
        Refusal::Waf(Box::new(Self { status, cause, of_client: true, closes: false, location: None, findings: None }))
    }

    /// An answer that is not shown.
    pub(crate) fn answer(status: StatusCode, cause: String) -> Refusal {
        Refusal::Waf(Box::new(Self { status, cause, of_client: false, closes: false, location: None, findings: None }))
    }
}

impl Refusal {
    /// What the client is told.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::ClientGone(_) | Self::AmbiguousPath | Self::BadReport(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooSlow | Self::BodyTooSlow | Self::ReaderTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HiddenPath => StatusCode::NOT_FOUND,
            Self::Rate { .. } | Self::Flood(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamSlow(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamDown(_) | Self::UpstreamGarbled(_) | Self::Unreadable(_) => StatusCode::BAD_GATEWAY,
            Self::UpstreamError(status) => *status,
            Self::Unrecorded | Self::NoServer { .. } | Self::Maintenance { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Banned | Self::Elsewhere | Self::Agent(_) | Self::Signature(_) => StatusCode::FORBIDDEN,
            // An error stays the error that it was; what called itself a success was none.
            Self::Trace { status, .. } if status.is_client_error() => *status,
            Self::Trace { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unfit(unfit) => unfit.status,
            Self::Waf(blocked) => blocked.status,
            Self::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The control that refused, by its name in the catalogue; for faults, the part that failed.
    pub(crate) fn control(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Version | Self::Expectation | Self::TransferCoding => "edge.smuggling",
            Self::TargetTooLong | Self::HeadTooLarge | Self::BodyTooLarge => "input.size",
            Self::HeadTooSlow | Self::BodyTooSlow | Self::ReaderTooSlow | Self::Flood(_) => "edge.slow_and_flood",
            Self::Method => "input.methods",
            Self::Rate { counted, .. } => counted.control(),
            Self::Elsewhere => "edge.ip_allow",
            Self::Agent(_) => "bot.ua",
            Self::Signature(_) => "bot.signature",
            Self::HiddenPath | Self::Trace { .. } | Self::Unreadable(_) => "error.no_debug",
            Self::BadReport(_) => "hdr.csp",
            Self::Unfit(unfit) => unfit.control,
            Self::Waf(_) => "waf.attack_set",
            Self::UpstreamError(_) => "error.page",
            Self::UpstreamDown(_) | Self::UpstreamSlow(_) | Self::UpstreamGarbled(_) | Self::NoServer { .. } => {
                "upstream"
            }
            Self::AmbiguousPath => "route",
            Self::Maintenance { .. } => "maintenance",
            Self::ClientGone(_) => "client",
            Self::Banned => "ban",
            Self::Unrecorded => "log.access",
            Self::Fault(_) => "gateway",
        }
    }

    /// Whether the client brought it on itself. A fault of the gateway or of the application is not held against it.
    pub(crate) const fn is_of_client(&self) -> bool {
        match self {
            Self::Waf(blocked) => blocked.of_client,
            Self::Malformed(_)
            | Self::Version
            | Self::Expectation
            | Self::TransferCoding
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::HeadTooSlow
            | Self::BodyTooSlow
            | Self::ReaderTooSlow
            | Self::Flood(_)
            | Self::Method
            | Self::HiddenPath
            | Self::AmbiguousPath
            | Self::Elsewhere
            | Self::Agent(_)
            | Self::Signature(_)
            | Self::BadReport(_)
            | Self::Unfit(_)
            | Self::Rate { .. } => true,
            Self::ClientGone(_)
            | Self::UpstreamDown(_)
            | Self::UpstreamSlow(_)
            | Self::NoServer { .. }
            | Self::Maintenance { .. }
            | Self::UpstreamGarbled(_)
            | Self::UpstreamError(_)
            | Self::Trace { .. }
            | Self::Unreadable(_)
            | Self::Banned
            | Self::Unrecorded
            | Self::Fault(_) => false,
        }
    }

    /// Whether the connection can carry another request: not when it is unclear where the next one would begin.
    pub(crate) const fn closes(&self) -> bool {
        match self {
            Self::Waf(blocked) => blocked.closes,
            Self::Malformed(_)
            | Self::Version
            | Self::Expectation
            | Self::TransferCoding
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::HeadTooSlow
            | Self::BodyTooSlow
            | Self::ReaderTooSlow
            | Self::Flood(_)
            | Self::ClientGone(_)
            | Self::BadReport(_)
            | Self::Banned
            | Self::Fault(_) => true,
            Self::Method
            | Self::HiddenPath
            | Self::AmbiguousPath
            | Self::Elsewhere
            | Self::Agent(_)
            | Self::Signature(_)
            | Self::Unfit(_)
            | Self::Rate { .. }
            | Self::Unrecorded
            | Self::UpstreamDown(_)
            | Self::UpstreamSlow(_)
            | Self::NoServer { .. }
            | Self::Maintenance { .. }
            | Self::UpstreamGarbled(_)
            | Self::Trace { .. }
            | Self::Unreadable(_)
            | Self::UpstreamError(_) => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(cause) => f.write_str(cause),
            Self::Version => f.write_str("protocol version is not served"),
            Self::Expectation => f.write_str("unknown expectation"),
            Self::TransferCoding => f.write_str("transfer coding is not served"),
            Self::TargetTooLong => f.write_str("request target past the limit"),
            Self::HeadTooLarge => f.write_str("head past the limit"),
            Self::BodyTooLarge => f.write_str("body past the limit"),
            Self::HeadTooSlow => f.write_str("head not complete in time"),
            Self::BodyTooSlow => f.write_str("body too slow"),
            Self::ReaderTooSlow => f.write_str("answer taken too slowly"),
            Self::Flood(cause) => f.write_str(cause),
            Self::ClientGone(cause) => write!(f, "client broke off: {cause}"),
            Self::Method => f.write_str("method is not served"),
            Self::HiddenPath => f.write_str("path is never served"),
            Self::Rate { retry_after, .. } => {
                write!(f, "rate used up, next request in {} s", whole_seconds(*retry_after))
            }
            Self::Elsewhere => f.write_str("address is on no allow-list of this route"),
            Self::Agent(pattern) => write!(f, "user agent is listed: {pattern}"),
            Self::Signature(cause) => f.write_str(cause),
            Self::UpstreamDown(cause) => write!(f, "upstream unreachable: {cause}"),
            Self::UpstreamSlow(cause) => write!(f, "upstream did not answer in time: {cause}"),
            Self::NoServer { upstream, retry_after } => {
                let wait = whole_seconds(*retry_after);
                write!(f, "no server of upstream `{upstream}` takes requests, one may in {wait} s")
            }
            Self::Maintenance { .. } => f.write_str("closed for maintenance"),
            Self::AmbiguousPath => f.write_str("readings of the path lead to different upstreams"),
            Self::UpstreamGarbled(cause) => write!(f, "upstream answer unreadable: {cause}"),
            Self::UpstreamError(status) => write!(f, "upstream answered {status}"),
            Self::Trace { of, status } => write!(f, "upstream answered {status} with a stack trace of {of}"),
            Self::Unreadable(cause) => write!(f, "upstream answer cannot be looked into: {cause}"),
            Self::BadReport(cause) => write!(f, "report is not taken: {cause}"),
            Self::Unfit(unfit) => f.write_str(&unfit.cause),
            Self::Waf(blocked) => f.write_str(&blocked.cause),
            Self::Banned => f.write_str("address is banned"),
            Self::Unrecorded => f.write_str("cannot be recorded"),
            Self::Fault(cause) => write!(f, "fault in the gateway: {cause}"),
        }
    }
}
