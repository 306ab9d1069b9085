//! What is noted on the way to the application, of a request that is traced: when, where, how often.
//!
//! It travels in the request's extensions. A request that is not traced has none, and looking for it costs a comparison.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, Version};
use reeve_base::Ticks;

use crate::settings::UpstreamScheme;
use crate::upstream::{Upstream, UpstreamError};

/// The notes of one exchange. They have a lock because extensions may go to other threads; these never do.
#[derive(Debug, Default)]
pub(crate) struct Exchange(Mutex<Notes>);

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) begun: Option<Ticks>,
    pub(super) ended: Option<Ticks>,
    /// The application's name.
    pub(super) upstream: String,
    /// The server that was asked last.
    pub(super) server: Option<(Arc<str>, u16)>,
    pub(super) tls: bool,
    /// How often it was sent.
    pub(super) sends: u32,
    /// What went into new connections, all together; nothing if there were some already.
    pub(super) connecting: Option<Duration>,
    /// The answer's status and version.
    pub(super) answer: Option<(u16, Version)>,
    /// Why there is none.
    pub(super) error: Option<&'static str>,
}

impl Exchange {
    /// That of a request, if it is traced.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<&Arc<Self>> {
        request.extensions().get::<Arc<Self>>()
    }

    /// The request is about to go to this application.
    pub(crate) fn begins(&self, now: Ticks, upstream: &Upstream) {
        self.note(|notes| {
            notes.begun = Some(now);
            notes.upstream.clone_from(&upstream.settings.name);
            notes.tls = upstream.settings.scheme == UpstreamScheme::Https;
        });
    }

    /// A connection was made for it.
    pub(crate) fn connected(&self, took: Duration) {
        self.note(|notes| *notes.connecting.get_or_insert_default() += took);
    }

    /// It is sent to this server.
    pub(crate) fn sent(&self, host: &Arc<str>, port: u16) {
        self.note(|notes| {
            notes.server = Some((Arc::clone(host), port));
            notes.sends += 1;
        });
    }

    /// The head of an answer is here.
    pub(crate) fn answered<B>(&self, response: &Response<B>) {
        self.note(|notes| notes.answer = Some((response.status().as_u16(), response.version())));
    }

    /// It is over, with an answer or without.
    pub(crate) fn ends<B>(&self, now: Ticks, outcome: &Result<Response<B>, UpstreamError>) {
        self.note(|notes| {
            notes.ended = Some(now);
            match outcome {
                // Already known, but for an answer to a change of protocol, which is HTTP/1.1.
                Ok(response) => {
                    notes.answer.get_or_insert((response.status().as_u16(), Version::HTTP_11));
                }
                Err(error) => notes.error = Some(error.kind()),
            }
        });
    }

    pub(super) fn take(&self) -> Notes {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
