//! The stages of a request. Each type is made in one place, from the one before it; only the last can be forwarded.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Request, Version};
use hyper::body::{Body, Incoming};
use reeve_base::DecisionId;

use crate::guard::Heads;
use crate::head::{DISGUISED, Strictness, is_in_disguise};
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::scrutiny::Scrutiny;
use crate::taking::Taking;
use crate::traces::Carried;

/// Who is at the other end of a connection, in every form that a request needs.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// The address as text, for events.
    pub(crate) text: Rc<str>,
    /// The address as a header value, for the application.
    pub(crate) header: HeaderValue,
    /// Whether it speaks TLS to us.
    pub(crate) transport: Transport,
    /// What the guard found in the heads of this connection.
    pub(crate) heads: Arc<Heads>,
    /// How it takes its answers, where several share the connection.
    pub(crate) taking: Option<Rc<Taking>>,
    /// The fingerprint of its TLS handshake, where that is its own and could be read.
    pub(crate) ja4: Option<Rc<str>>,
    /// Whether a trusted proxy's word for it was taken, request by request.
    pub(crate) forwarded: bool,
}

/// How a client reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tls,
    Plain,
}

impl Transport {
    /// The port that it is for where none is named.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Tls => 443,
            Self::Plain => 80,
        }
    }

    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Tls => "https",
            Self::Plain => "http",
        }
    }
}

/// A request that can be read in one way, within the limits. Made only by [`Parsed::read`].
pub(crate) struct Parsed {
    parts: Parts,
    body: Incoming,
    authority: Authority,
}

/// A request whose subject is known. Made only by [`Parsed::admit`].
pub(crate) struct Admitted {
    request: Parsed,
    subject: Subject,
}

/// On whose behalf a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nobody signed in: there is no sign-in yet.
    Anonymous,
}

/// A request that the policy lets through. Made only by [`Admitted::decide`]; remembers which decision said so.
pub(crate) struct Allowed {
    request: Admitted,
    decision: DecisionId,
    carried: Option<Carried>,
}

impl Parsed {
    /// Reads a request. What the guard judged for HTTP/1 on the raw bytes is judged here for HTTP/2 on the fields.
    pub(crate) fn read(request: Request<Incoming>, rules: &Rules) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.version == Version::HTTP_2 {
            check_sizes(&parts, rules)?;
            if rules.guard.strictness == Strictness::Strict
                && parts.headers.keys().any(|name| is_in_disguise(name.as_str().as_bytes()))
            {
                return Err(Refusal::Malformed(DISGUISED));
            }
        }
        let authority = authority(&parts)?;
        Ok(Self { parts, body, authority })
    }

    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What the gateway reads by itself, instead of sending it on.
    pub(crate) fn into_inner(self) -> (Parts, Incoming) {
        (self.parts, self.body)
    }

    /// The site that the client asked for.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Finds out on whose behalf the request comes, once `count` has counted it against every rate.
    pub(crate) fn admit(self, count: impl FnOnce(&Parts) -> Result<(), Refusal>) -> Result<Admitted, Refusal> {
        count(&self.parts)?;
        Ok(Admitted { request: self, subject: Subject::Anonymous })
    }
}

impl Admitted {
    /// A request that the gateway answers by itself.
    pub(crate) fn into_request(self) -> Parsed {
        self.request
    }

    pub(crate) fn request(&self) -> &Parsed {
        &self.request
    }

    /// Judges what the request wants.
    pub(crate) fn decide(self, rules: &Rules, decision: DecisionId) -> Result<Allowed, Refusal> {
        let parts = &self.request.parts;
        if let Some(methods) = &rules.methods
            && !methods.allowed.contains(&parts.method)
        {
            return Err(Refusal::Method);
        }
        if rules.hides(parts.uri.path()) {
            return Err(Refusal::HiddenPath);
        }
        if declared_length(parts).is_some_and(|length| length > rules.body_bytes_max) {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(Allowed { request: self, decision, carried: None })
    }
}

impl Allowed {
    /// Holds it to what the application takes. Its body is judged when it is here, before any of it goes on.
    pub(crate) fn inspect(mut self, scrutiny: &Arc<Scrutiny>) -> Result<Self, Refusal> {
        let Parsed { parts, body, .. } = &mut self.request.request;
        scrutiny.head(parts, !body.is_end_stream())?;
        Ok(self)
    }

    /// The head, and whether a body comes with it, for whoever learns from it.
    pub(crate) fn seen(&mut self) -> (&mut Parts, bool) {
        let Parsed { parts, body, .. } = &mut self.request.request;
        let has_body = !body.is_end_stream();
        (parts, has_body)
    }

    pub(crate) fn parts(&self) -> &Parts {
        self.request.request.parts()
    }

    pub(crate) fn authority(&self) -> &Authority {
        self.request.request.authority()
    }

    pub(crate) fn has_body(&self) -> bool {
        !self.request.request.body.is_end_stream()
    }

    /// Has it carry its trace on.
    pub(crate) fn carrying(self, carried: Option<Carried>) -> Self {
        Self { carried, ..self }
    }

    /// The request, for the one who forwards it: it cannot be judged or spent again.
    pub(crate) fn into_parts(self) -> (Parts, Incoming, Authority, DecisionId, Subject, Option<Carried>) {
        let Self { request: Admitted { request, subject }, decision, carried } = self;
        (request.parts, request.body, request.authority, decision, subject, carried)
    }
}

fn declared_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_sizes(parts: &Parts, rules: &Rules) -> Result<(), Refusal> {
    let limits = &rules.guard.head;
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    // Counted as RFC 9113 section 10.5.1 does without its overhead, so that a limit means the same in both versions.
    let bytes: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_FRAME_BYTES).sum();
    // The four pseudo-header fields stand for the request line and Host.
    if parts.headers.len() + 1 > limits.fields_max || bytes + target > limits.head_bytes_max {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(())
}

/// The site asked for: the target's authority or Host, which must agree where there are both (RFC 9113 section 8.3.1).
fn authority(parts: &Parts) -> Result<Authority, Refusal> {
    let host = parts.headers.get(HOST).map(|host| Authority::try_from(host.as_bytes()));
    let authority = match (parts.uri.authority(), host) {
        (Some(target), Some(Ok(host))) if *target != host => {
            return Err(Refusal::Malformed("the request target names another host than Host"));
        }
        (_, Some(Ok(host))) => host,
        (Some(target), None) => target.clone(),
        (_, Some(Err(_))) => return Err(Refusal::Malformed("a Host that is no host")),
        // HTTP/1.0 need not name a site.
        (None, None) if parts.version <= Version::HTTP_10 => Authority::from_static("localhost"),
        (None, None) => return Err(Refusal::Malformed("no Host")),
    };
    // A user name there fools whoever takes the part in front of the `@` for the site.
    if authority.as_str().contains('@') { Err(Refusal::Malformed("a user name in the host")) } else { Ok(authority) }
}

/// What `: ` and CR LF would take in HTTP/1.
const FIELD_FRAME_BYTES: usize = 4;
