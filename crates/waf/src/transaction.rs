//! One request and its answer, as rules see them.

use std::net::IpAddr;

use crate::engine::Engine;
use crate::evidence::Hit;
use crate::fill;
use crate::rule::{Allow, Collection, EngineMode, Phase, Place, Severity};
use crate::run::{Course, Run, State};
use crate::variable::Variable;
use crate::work::Work;

/// What is known of a transaction beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks.
    pub remote_address: IpAddr,
    /// From which port.
    pub remote_port: u16,
    /// Where the gateway was reached.
    pub server_address: IpAddr,
    /// And on which port.
    pub server_port: u16,
    /// A name that no other transaction has.
    pub unique_id: &'a str,
    /// Seconds since 1970 at the start, in UTC.
    pub seconds: i64,
}

/// The head of a request, byte for byte as it came (over HTTP/2: as HTTP/1.1 would write it).
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The whole first line, without its end.
    pub line: &'a [u8],
    /// Its first word.
    pub method: &'a [u8],
    /// Its second word.
    pub target: &'a [u8],
    /// Its third word, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Fields in their order, values without the space around them.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// Such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// 100 to 599.
    pub status: u16,
    /// Fields in their order.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// What a rule wants done with the request or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that decided; 0 where the budget was used up, and none did.
    pub rule: u32,
    /// What it wants.
    pub action: Action,
}

/// How something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answered with this status, 403 if the rule names none.
    Deny(u16),
    /// The connection is closed.
    Drop,
    /// Sent elsewhere, with this status.
    Redirect(u16, String),
}

/// A rule that matched and is to be written down.
#[derive(Debug, Clone)]
pub struct Match {
    /// The rule's id.
    pub rule: u32,
    /// Where the rule stands.
    pub place: Place,
    /// When it ran.
    pub phase: Phase,
    /// What it says of itself.
    pub message: String,
    /// `logdata`, filled in: holds what the request held, and is not for the event.
    pub data: String,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The variable that matched last, such as `ARGS:q`.
    pub variable: String,
    /// What it added to what the rules call an anomaly score, of the request or of the answer.
    pub score: i64,
    /// Where it matched, for [`Transaction::evidence`].
    pub(crate) hits: Vec<Hit>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rules that matched, in the order in which they did.
    pub matches: Vec<Match>,
    /// What would have been, or was, refused.
    pub refusal: Option<Refusal>,
    /// The budget, in bytes looked at, where it was used up before all rules had run.
    pub exhausted: Option<u64>,
}

/// Buffers that one transaction leaves to the next.
#[derive(Debug, Default)]
pub struct Scratch(Box<State>);

/// One request and its answer. The four parts are given in order; a part may be left out with all that follow.
#[derive(Debug)]
pub struct Transaction<'e> {
    pub(crate) engine: &'e Engine,
    report: Report,
    pub(crate) state: Box<State>,
    course: Course,
    now: i64,
}

/// A transaction between two of its parts, held without its engine, so that it can be waited with or given to another
/// thread.
#[derive(Debug)]
pub struct Paused {
    report: Report,
    state: Box<State>,
    course: Course,
    now: i64,
}

impl Paused {
    /// What has been found so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The buffers, where nothing more is wanted of it.
    #[must_use]
    pub fn into_scratch(self) -> Scratch {
        Scratch(self.state)
    }
}

impl<'e> Transaction<'e> {
    pub(crate) fn resumed(engine: &'e Engine, paused: Paused) -> Self {
        let Paused { report, state, course, now } = paused;
        Self { engine, report, state, course, now }
    }

    /// Puts it aside until [`Engine::resume`].
    #[must_use]
    pub fn pause(self) -> Paused {
        Paused { report: self.report, state: self.state, course: self.course, now: self.now }
    }

    /// How much has been looked at so far, in bytes, as [`Options::budget_bytes`](crate::Options) counts them.
    #[must_use]
    pub const fn work_bytes(&self) -> u64 {
        self.state.values.work.spent()
    }

    /// The number that a member of TX holds; none if it is not set. `name` in lower case.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let held = self.state.store.find(&self.engine.program.names, Collection::Tx, name.as_bytes())?;
        Some(held.number(&self.state.values))
    }

    /// What has been found so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    pub(crate) fn parts(&self) -> (&Engine, &State) {
        (self.engine, &self.state)
    }

    pub(crate) fn new(engine: &'e Engine, facts: &Facts<'_>, scratch: Scratch) -> Self {
        let Scratch(mut state) = scratch;
        state.clear(&engine.program, engine.id);
        state.values.work = Work::new(engine.options.budget_bytes);
        fill::facts(facts, &mut state);
        let settings = &engine.program.settings;
        let course = Course {
            mode: engine.options.mode.unwrap_or(settings.mode),
            request_body_access: settings.request_body_access,
            response_body_access: settings.response_body_access,
            processor: None,
            force_request_body: false,
            allowed: None,
        };
        Self { engine, report: Report::default(), state, course, now: facts.seconds }
    }

    /// Lets rules find and refuse nothing, whatever the engine was loaded for; before the first part.
    pub const fn only_find(&mut self) {
        self.course.mode = EngineMode::DetectionOnly;
    }

    /// Phase 1. The refusal, if the engine is on and a rule refuses.
    pub fn request_head(&mut self, head: &RequestHead<'_>) -> Option<Refusal> {
        self.course.processor = fill::request_head(head, &self.engine.program.settings, &mut self.state);
        self.phase(Phase::RequestHead)
    }

    /// Phase 2, with the whole body, which may be empty.
    pub fn request_body(&mut self, body: &[u8]) -> Option<Refusal> {
        if self.course.request_body_access {
            fill::request_body(body, &self.engine.program.settings, &self.course, &mut self.state);
        }
        self.phase(Phase::RequestBody)
    }

    /// Phase 3.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Option<Refusal> {
        fill::response_head(head, &mut self.state);
        self.phase(Phase::ResponseHead)
    }

    /// Whether rules want to see the body of this answer, whose head is known by now, and up to how many bytes.
    #[must_use]
    pub fn wants_response_body(&self) -> Option<u64> {
        let settings = &self.engine.program.settings;
        let kind = self.state.collections.single(Variable::ResponseContentType)?;
        let kind = self.state.values.text(kind).split(|byte| *byte == b';').next()?.trim_ascii();
        let wanted = settings.response_body_types.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(kind));
        (self.course.response_body_access && wanted)
            .then(|| settings.response_body_limit.unwrap_or(RESPONSE_BODY_BYTES_DEFAULT))
    }

    /// Phase 4, with the whole body or as much of it as is looked into.
    pub fn response_body(&mut self, body: &[u8]) -> Option<Refusal> {
        fill::response_body(body, &mut self.state);
        self.phase(Phase::ResponseBody)
    }

    /// Phase 5.
    #[must_use]
    pub fn end(mut self) -> (Report, Scratch) {
        self.phase(Phase::Logging);
        self.state.remember(&self.engine.program, &self.engine.memory, self.now);
        (self.report, Scratch(self.state))
    }

    fn phase(&mut self, phase: Phase) -> Option<Refusal> {
        let left_out = match self.course.allowed {
            Some(Allow::Transaction) => phase != Phase::Logging,
            Some(Allow::Request) => phase == Phase::RequestBody,
            Some(Allow::Phase) | None => false,
        };
        // What was given up stays given up.
        if self.report.exhausted.is_some() {
            return self.report.refusal.clone();
        }
        if left_out {
            return None;
        }
        let mut run = Run {
            program: &self.engine.program,
            state: &mut self.state,
            course: &mut self.course,
            report: &mut self.report,
            prefilter: self.engine.options.prefilter,
            memory: &self.engine.memory,
            now: self.now,
        };
        run.phase(phase)
    }
}

/// As ModSecurity has it where SecResponseBodyLimit says nothing.
const RESPONSE_BODY_BYTES_DEFAULT: u64 = 512 * 1024;
