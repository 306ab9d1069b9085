//! OpenSSH by way of syslog: who failed to sign in.
//!
//! A line tells of one connection, known by what stands before its message (`web sshd[812]: `). Some failures show only
//! in a later line of the same connection, and some that look like failures were none: a user may offer several keys
//! before the right one. [`Connections`] holds what is pending.
//!
//! User names are the attacker's: `from 203.0.113.1 port 22 ssh2` is one. So an address counts only where sshd writes
//! it, which is found from the end of the message.

mod connections;
mod message;
mod prefix;

use super::{Failure, Host};
use crate::stamp::Stamp;
use connections::Connections;

/// The reader of one log.
#[derive(Debug, Default)]
pub(super) struct Sshd {
    connections: Connections,
}

/// What a line says of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said<'l> {
    /// From where it came, if the line says so.
    host: Option<Host>,
    /// As whom somebody wanted to sign in, if the line says so.
    user: Option<&'l [u8]>,
    /// Whether that is a failure.
    weight: Weight,
    /// Whether nothing more will be heard of the attempt.
    last: Last,
}

/// What a line weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Weight {
    /// It is a failure.
    #[default]
    Failure,
    /// It may become one by what follows.
    Perhaps,
    /// Somebody signed in.
    SignedIn,
}

/// Whether a connection can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    No,
    Yes,
}

impl Sshd {
    pub(super) fn read<'l>(&mut self, line: &'l [u8]) -> Option<Failure<'l>> {
        let (stamp, rest) = Stamp::syslog(line)?;
        let (connection, message) = prefix::split(rest)?;
        let said = message::read(message)?;
        let (host, attempts) = self.connections.merge(connection, said)?;
        Some(Failure { host, stamp, attempts })
    }
}

#[cfg(test)]
mod tests;
