//! How a run behaves on the wire: what it calls itself and how much it may do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Clock, Entropy};

use crate::Target;

/// The bounds and the sources of one run.
#[derive(Clone)]
pub struct Options {
    /// What the probes call themselves in `User-Agent`, so that an operator who finds them in a log knows whom to ask.
    pub user_agent: String,
    /// The most requests and handshakes of the whole run. Connections of a port scan are counted apart, by the range
    /// that the policy names.
    pub requests_max: u32,
    /// The longest wait for one step on the wire: a connection, a handshake, an answer.
    pub deadline: Duration,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from: invented paths, source addresses, randoms of handshakes.
    pub entropy: Arc<dyn Entropy>,
}

impl Options {
    /// What is right for `target`: fewer requests to a site elsewhere than to this machine's own.
    #[must_use]
    pub fn new(target: &Target, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let requests_max = if target.is_loopback() { LOOPBACK_REQUESTS_MAX } else { REMOTE_REQUESTS_MAX };
        Self { user_agent: String::from(USER_AGENT), requests_max, deadline: DEADLINE, clock, entropy }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("user_agent", &self.user_agent)
            .field("requests_max", &self.requests_max)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

const USER_AGENT: &str = concat!("reeve-prove/", env!("CARGO_PKG_VERSION"), " (security self-assessment)");

/// Room for every probe of the demo policy and a burst of several hundred on top.
const LOOPBACK_REQUESTS_MAX: u32 = 900;

/// About what a person clicking through the site for a quarter of an hour would cause.
const REMOTE_REQUESTS_MAX: u32 = 400;

const DEADLINE: Duration = Duration::from_secs(5);
