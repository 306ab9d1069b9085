//! Another binary takes over from a gateway that runs, and no request fails for it.
//!
//! The running process is shut in and can run nothing. So a helper was started before it was ([`helper`]): it starts the
//! new process, which reads settings, policy and keys, shuts itself in and says that it is **prepared**. Until then
//! nothing has changed, and whatever is wrong is told to whoever asked. Then the old process lets go of its ledger, its
//! store and its control socket ([`giving`]) and goes on serving; its events wait in memory ([`relay`]). The new one
//! opens all three, listens on the same sockets and says that it is **ready** ([`taking`]); the events that waited, and
//! those of the requests that the old one still ends, are sent to it. Nobody ever writes to the ledger beside another.
//!
//! If the new one does not come so far within its time, it is ended, and the old one opens again what it let go of.

pub(crate) mod activation;
pub(crate) mod giving;
pub(crate) mod helper;
pub(crate) mod line;
pub(crate) mod notify;
pub(crate) mod relay;
pub(crate) mod taking;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use reeve_base::Trail;

/// What the old process tells the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// The sockets that come with this line, in their order.
    Begin {
        /// What the addresses were written as in the settings.
        listeners: Vec<Listening>,
        /// How long each of the two steps may take, in milliseconds.
        within_ms: u64,
    },
    /// Ledger, store and control socket are free.
    Go,
    /// Events, one JSON object to a line; so many bytes follow.
    Events {
        /// Which record they belong to.
        trail: Kept,
        /// How long they are.
        bytes: usize,
    },
    /// There is nothing more.
    Done,
}

/// What the new process tells the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answered {
    /// It can start.
    Prepared {
        /// Which version it is.
        version: String,
    },
    /// It serves.
    Ready {
        /// Its process.
        pid: u32,
    },
    /// It does not, and ends.
    Failed {
        /// Why.
        text: String,
    },
}

/// A socket that is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Listening {
    /// As the settings name it, which may be with port 0.
    address: SocketAddr,
    /// Whether TLS is spoken there.
    tls: bool,
}

/// [`Trail`], as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Requests,
    Security,
}

impl From<Trail> for Kept {
    fn from(trail: Trail) -> Self {
        match trail {
            Trail::Requests => Self::Requests,
            Trail::Security => Self::Security,
        }
    }
}

impl From<Kept> for Trail {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Requests => Self::Requests,
            Kept::Security => Self::Security,
        }
    }
}

/// Why another binary does not take over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The conversation broke.
    #[error("the new process ended before it was ready; what it said stands in the gateway's own output")]
    Ended,
    /// It said so.
    #[error("the new process does not start: {0}")]
    Failed(String),
    /// It said something else.
    #[error("the new process said something that this version does not understand")]
    Strange,
    /// It took too long.
    #[error("the new process was not ready within {0} seconds (`upgrade` in `[server]`)")]
    Slow(u64),
    /// The helper could not start it.
    #[error("{0}")]
    Helper(String),
    /// The system objects.
    #[error("cannot talk to the new process: {0}")]
    Talk(#[from] std::io::Error),
}
