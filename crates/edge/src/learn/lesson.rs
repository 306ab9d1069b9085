//! One request from which something is learned: a copy of what is needed, made while it passes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use reeve_base::Timestamp;

use super::{Desk, Errand, lock};
use crate::request::{Allowed, Client};

/// A request that is under way and might be learned from.
pub(crate) struct Lesson {
    desk: Desk,
    method: Method,
    target: Option<PathAndQuery>,
    kind: Option<HeaderValue>,
    carried: Passing,
    client: IpAddr,
    time: Timestamp,
}

/// What the body of the request is to this.
enum Passing {
    Nothing,
    /// There is one, and nothing is to be found in it.
    Unread,
    /// It is packed, which validation does not take.
    Packed,
    Copied(Transcript),
}

/// What passes of a body, copied. Shared by the body and the lesson, which are never at it at the same time.
#[derive(Clone)]
pub(crate) struct Transcript(Arc<Mutex<Copied>>);

struct Copied {
    held: Held,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Passing,
    Complete,
    /// There is more than is looked at.
    TooLong,
    /// There was no room for it.
    Crowded,
}

/// Bytes that count against what may be held together.
pub(super) struct Held {
    bytes: Vec<u8>,
    room: Arc<AtomicUsize>,
}

/// A request as it is taken down.
pub(super) struct Taken {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) body: TakenBody,
    pub(super) status: u16,
    pub(super) client: IpAddr,
    pub(super) time: Timestamp,
}

pub(super) enum TakenBody {
    Nothing,
    Unread,
    Whole(Held),
}

impl Lesson {
    /// Begins with a request that is about to go to the application. Probes of our own teach nothing.
    pub(crate) fn begin(desk: &Desk, allowed: &mut Allowed, client: &Client, time: Timestamp) -> Option<Box<Self>> {
        let (parts, has_body) = allowed.seen();
        if parts.headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(PROBE)) {
            return None;
        }
        let mut stated = parts.headers.get_all(CONTENT_TYPE).iter();
        let kind = match (stated.next(), stated.next()) {
            (Some(kind), None) => Some(kind.clone()),
            _ => None,
        };
        let carried = if has_body { passing(desk, parts, kind.as_ref()) } else { Passing::Nothing };
        let target = parts.uri.path_and_query().cloned();
        let method = parts.method.clone();
        Some(Box::new(Self { desk: desk.clone(), method, target, kind, carried, client: client.address, time }))
    }

    /// The application has answered, and nothing of the gateway's stood in the way.
    pub(crate) fn end(self, status: StatusCode) {
        let Self { desk, method, target, kind, carried, client, time } = self;
        if !(status.is_success() || status.is_redirection() || status == StatusCode::SWITCHING_PROTOCOLS) {
            desk.notebook.left.unsuccessful();
            return;
        }
        let body = match carried {
            Passing::Nothing => TakenBody::Nothing,
            Passing::Unread => TakenBody::Unread,
            Passing::Packed => return desk.notebook.left.unfit(),
            Passing::Copied(transcript) => match transcript.taken() {
                (_, State::TooLong) => TakenBody::Unread,
                (held, State::Complete) => TakenBody::Whole(held),
                // Answered before it was all here.
                (_, State::Passing) => return desk.notebook.left.unfinished(),
                (_, State::Crowded) => return desk.notebook.left.busy(),
            },
        };
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let taken = Taken {
            method,
            path: target.path().to_owned(),
            query: target.query().map(str::to_owned),
            kind: kind.and_then(|kind| kind.to_str().ok().map(str::to_owned)),
            body,
            status: status.as_u16(),
            client,
            time,
        };
        let errand = Errand::Take(Arc::clone(&desk.notebook), Box::new(taken));
        if desk.post.try_send(errand).is_err() {
            desk.notebook.left.busy();
        }
    }
}

fn passing(desk: &Desk, parts: &mut Parts, kind: Option<&HeaderValue>) -> Passing {
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Passing::Packed;
    }
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !reeve_contract::learn::is_learned(kind) {
        return Passing::Unread;
    }
    let held = Held { bytes: Vec::new(), room: Arc::clone(&desk.held) };
    let transcript = Transcript(Arc::new(Mutex::new(Copied { held, state: State::Passing })));
    parts.extensions.insert(transcript.clone());
    Passing::Copied(transcript)
}

impl Transcript {
    /// Takes the next piece.
    pub(crate) fn take(&self, piece: &[u8]) {
        let mut copied = lock(&self.0);
        if copied.state != State::Passing {
            return;
        }
        if copied.held.bytes.len() + piece.len() > BODY_BYTES_MAX {
            copied.give_up(State::TooLong);
        } else if !copied.held.take(piece) {
            copied.give_up(State::Crowded);
        }
    }

    /// That was all.
    pub(crate) fn end(&self) {
        let mut copied = lock(&self.0);
        if copied.state == State::Passing {
            copied.state = State::Complete;
        }
    }

    fn taken(self) -> (Held, State) {
        let mut copied = lock(&self.0);
        let empty = Held { bytes: Vec::new(), room: Arc::clone(&copied.held.room) };
        let state = copied.state;
        // What comes after is copied for nobody.
        copied.state = State::Crowded;
        (std::mem::replace(&mut copied.held, empty), state)
    }
}

impl Copied {
    fn give_up(&mut self, state: State) {
        self.held.let_go();
        self.state = state;
    }
}

impl Held {
    fn take(&mut self, piece: &[u8]) -> bool {
        if self.room.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > HELD_BYTES_MAX {
            self.room.fetch_sub(piece.len(), Ordering::Relaxed);
            return false;
        }
        self.bytes.extend_from_slice(piece);
        true
    }

    fn let_go(&mut self) {
        self.room.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.bytes = Vec::new();
    }

    pub(super) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// What probes call themselves. Who calls himself so is not learned from, which harms nobody.
const PROBE: &[u8] = b"reeve-prove/";

/// Longer bodies are known to be there, and not looked into.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Copies of bodies, of all workers together, on their way and waiting.
const HELD_BYTES_MAX: usize = 16 << 20;
