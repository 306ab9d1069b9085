//! Why a request is not let through: a status for the client, a control and a cause for the operator.

use std::fmt;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

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
    /// The body stalled.
    BodyTooSlow,
    /// The client broke its body off.
    ClientGone(String),
    /// The method is not served.
    Method,
    /// The path is one that is never served.
    HiddenPath,
    /// What was sent is not what the application takes.
    Unfit(Box<Unfit>),
    /// The address has used up its rate.
    Rate {
        /// When it may try again.
        retry_after: Duration,
    },
    /// The application could not be reached.
    UpstreamDown(String),
    /// The application did not answer in time.
    UpstreamSlow,
    /// The application answered with something that is no HTTP.
    UpstreamGarbled(String),
    /// The application answered with an error that is not shown.
    UpstreamError(StatusCode),
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

impl Refusal {
    /// What the client is told.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::ClientGone(_) => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooSlow | Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HiddenPath => StatusCode::NOT_FOUND,
            Self::Rate { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamDown(_) | Self::UpstreamGarbled(_) => StatusCode::BAD_GATEWAY,
            Self::UpstreamSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamError(status) => *status,
            Self::Unfit(unfit) => unfit.status,
            Self::Banned => StatusCode::FORBIDDEN,
            Self::Unrecorded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The control that refused, by its name in the catalogue; for faults, the part that failed.
    pub(crate) fn control(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Version | Self::Expectation | Self::TransferCoding => "edge.smuggling",
            Self::TargetTooLong | Self::HeadTooLarge | Self::BodyTooLarge => "input.size",
            Self::HeadTooSlow | Self::BodyTooSlow => "edge.slow_and_flood",
            Self::Method => "input.methods",
            Self::HiddenPath => "error.no_debug",
            Self::Rate { .. } => "rate.ip",
            Self::Unfit(unfit) => unfit.control,
            Self::UpstreamError(_) => "error.page",
            Self::UpstreamDown(_) | Self::UpstreamSlow | Self::UpstreamGarbled(_) => "upstream",
            Self::ClientGone(_) => "client",
            Self::Banned => "ban",
            Self::Unrecorded => "log.access",
            Self::Fault(_) => "gateway",
        }
    }

    /// Whether the client brought it on itself. A fault of the gateway or of the application is not held against it.
    pub(crate) const fn is_of_client(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::Version
            | Self::Expectation
            | Self::TransferCoding
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::HeadTooSlow
            | Self::BodyTooSlow
            | Self::Method
            | Self::HiddenPath
            | Self::Unfit(_)
            | Self::Rate { .. } => true,
            Self::ClientGone(_)
            | Self::UpstreamDown(_)
            | Self::UpstreamSlow
            | Self::UpstreamGarbled(_)
            | Self::UpstreamError(_)
            | Self::Banned
            | Self::Unrecorded
            | Self::Fault(_) => false,
        }
    }

    /// Whether the connection can carry another request: not when it is unclear where the next one would begin.
    pub(crate) const fn closes(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::Version
            | Self::Expectation
            | Self::TransferCoding
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::BodyTooLarge
            | Self::HeadTooSlow
            | Self::BodyTooSlow
            | Self::ClientGone(_)
            | Self::Banned
            | Self::Fault(_) => true,
            Self::Method
            | Self::HiddenPath
            | Self::Unfit(_)
            | Self::Rate { .. }
            | Self::Unrecorded
            | Self::UpstreamDown(_)
            | Self::UpstreamSlow
            | Self::UpstreamGarbled(_)
            | Self::UpstreamError(_) => false,
        }
    }
}

/// Rounded up: a client that waits exactly so long passes.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
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
            Self::BodyTooSlow => f.write_str("body stalled"),
            Self::ClientGone(cause) => write!(f, "client broke off: {cause}"),
            Self::Method => f.write_str("method is not served"),
            Self::HiddenPath => f.write_str("path is never served"),
            Self::Rate { retry_after } => write!(f, "rate used up, next request in {} s", whole_seconds(*retry_after)),
            Self::UpstreamDown(cause) => write!(f, "upstream unreachable: {cause}"),
            Self::UpstreamSlow => f.write_str("upstream did not answer in time"),
            Self::UpstreamGarbled(cause) => write!(f, "upstream answer unreadable: {cause}"),
            Self::UpstreamError(status) => write!(f, "upstream answered {status}"),
            Self::Unfit(unfit) => f.write_str(&unfit.cause),
            Self::Banned => f.write_str("address is banned"),
            Self::Unrecorded => f.write_str("cannot be recorded"),
            Self::Fault(cause) => write!(f, "fault in the gateway: {cause}"),
        }
    }
}
