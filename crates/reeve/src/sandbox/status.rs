//! What came of entering the sandbox: for the operator's screen, for the evidence, for the self-test.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::files::Confined;
use super::{Grant, Mode, Plan, calls, privileges};

/// One part of the sandbox, each of which a kernel may or may not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Piece {
    /// No core dump, no other process may read this one's memory.
    Dumps,
    /// No program that is run gains rights.
    NoNewPrivileges,
    /// No capability beyond what a listener needs.
    Capabilities,
    /// Only listed files and folders (Landlock, ABI 3).
    Files,
    /// Only listed TCP ports are bound (Landlock, ABI 4).
    Ports,
    /// No commands to devices (Landlock, ABI 5).
    Devices,
    /// No signals to others, no abstract Unix sockets of others (Landlock, ABI 6).
    Scopes,
    /// No Unix sockets of others but listed ones (Landlock, ABI 9).
    Sockets,
    /// Only listed system calls (seccomp).
    Calls,
}

impl Piece {
    pub(crate) const ALL: [Self; 9] = [
        Self::Dumps,
        Self::NoNewPrivileges,
        Self::Capabilities,
        Self::Files,
        Self::Ports,
        Self::Devices,
        Self::Scopes,
        Self::Sockets,
        Self::Calls,
    ];

    /// Whether a sandbox without it is incomplete. The other three came to Linux after the distributions that are in
    /// service today, and what they add is the second lock on doors that the filter of calls and the folders' own
    /// permissions hold already.
    pub(crate) const fn needed(self) -> bool {
        match self {
            Self::Dumps | Self::NoNewPrivileges | Self::Capabilities | Self::Files | Self::Ports | Self::Calls => true,
            Self::Devices | Self::Scopes | Self::Sockets => false,
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dumps => "memory dumps",
            Self::NoNewPrivileges => "new privileges",
            Self::Capabilities => "capabilities",
            Self::Files => "files",
            Self::Ports => "TCP ports",
            Self::Devices => "commands to devices",
            Self::Scopes => "signals and abstract sockets",
            Self::Sockets => "Unix sockets",
            Self::Calls => "system calls",
        })
    }
}

/// What became of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum State {
    /// In force on every thread.
    On,
    /// Wanted, and not to be had.
    Missing {
        /// The reason, and the way out.
        why: String,
    },
    /// Not asked for.
    Off,
}

/// The report. Figures are read back from the kernel after entering, where it tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// What was insisted on.
    pub(crate) mode: Mode,
    /// Each piece and what became of it.
    pub(crate) pieces: Vec<(Piece, State)>,
    /// The kernel's Landlock ABI; 0 without Landlock.
    pub(crate) landlock_abi: u8,
    /// The paths that are left, with what may be done there.
    pub(crate) open: Vec<(Grant, PathBuf)>,
    /// The TCP ports that may be bound; 0 stands for any that the system chooses.
    pub(crate) listen: Vec<u16>,
    /// How many system calls are left, and how many are refused by name. Everything else does not exist.
    pub(crate) calls: Calls,
    /// The capabilities that are left, by name.
    pub(crate) capabilities: Vec<String>,
    /// What an operator should know although nothing is missing.
    pub(crate) notes: Vec<String>,
}

/// Counts of system calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// Left open, some of them only with certain arguments.
    pub(crate) allowed: usize,
    /// Refused by name with "operation not permitted".
    pub(crate) refused: usize,
}

impl Status {
    /// That of a process that has not entered.
    pub(super) fn outside(mode: Mode) -> Self {
        Self {
            mode,
            pieces: Piece::ALL.map(|piece| (piece, State::Off)).to_vec(),
            landlock_abi: 0,
            open: Vec::new(),
            listen: Vec::new(),
            calls: Calls::default(),
            capabilities: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What became of `piece`.
    pub(crate) fn state(&self, piece: Piece) -> &State {
        self.pieces.iter().find(|(each, _)| *each == piece).map_or(&State::Off, |(_, state)| state)
    }

    pub(super) fn set(&mut self, piece: Piece, outcome: Result<(), String>) {
        let state = outcome.map_or_else(|why| State::Missing { why }, |()| State::On);
        self.pieces.iter_mut().filter(|(each, _)| *each == piece).for_each(|(_, slot)| *slot = state.clone());
    }

    /// What belongs to a thread is not in force where others ran already.
    pub(super) fn alone(&mut self, threads: Option<usize>) {
        let why = match threads {
            Some(1) => return,
            Some(count) => format!("{} other threads ran already", count.saturating_sub(1)),
            None => String::from("/proc is not readable, so nobody knows whether other threads ran already"),
        };
        self.doubt(&OF_A_THREAD, &why);
    }

    /// Takes back that these pieces are in force.
    fn doubt(&mut self, pieces: &[Piece], why: &str) {
        for piece in pieces {
            if *self.state(*piece) == State::On {
                self.set(*piece, Err(why.to_owned()));
            }
        }
    }

    pub(super) fn confined(&mut self, confined: &Confined) {
        self.landlock_abi = confined.abi;
        self.open.clone_from(&confined.open);
        for (piece, since, linux) in LANDLOCK {
            self.set(piece, confined.offers(since).map_err(|why| format!("{why}; needs Linux {linux}")));
        }
    }

    /// Reads back what the kernel tells of this process now.
    pub(super) fn observe(&mut self, plan: &Plan) {
        self.notes.extend(plan.notes());
        self.notes.extend(plan.lost());
        self.listen = plan.listening();
        self.calls = calls::counts();
        self.capabilities = privileges::capabilities();
        for piece in privileges::denied() {
            self.doubt(&[piece], "the kernel says that it is not in force");
        }
    }

    /// A line for each needed piece that is missing.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let line = |(piece, state): &(Piece, State)| match state {
            State::Missing { why } if piece.needed() => Some(format!("{piece}: {why}")),
            State::Missing { .. } | State::On | State::Off => None,
        };
        self.pieces.iter().filter_map(line).collect()
    }
}

/// Since which ABI of Landlock, and since which Linux, a piece can be had.
const LANDLOCK: [(Piece, u8, &str); 5] = [
    (Piece::Files, 3, "6.2"),
    (Piece::Ports, 4, "6.7"),
    (Piece::Devices, 5, "6.10"),
    (Piece::Scopes, 6, "6.12"),
    (Piece::Sockets, 9, "7.1"),
];

/// What does not reach threads that ran before it.
const OF_A_THREAD: [Piece; 6] =
    [Piece::Capabilities, Piece::Files, Piece::Ports, Piece::Devices, Piece::Scopes, Piece::Sockets];

#[cfg(test)]
mod tests {
    use super::*;

    fn inside() -> Status {
        let mut status = Status::outside(Mode::BestEffort);
        Piece::ALL.into_iter().for_each(|piece| status.set(piece, Ok(())));
        status
    }

    #[test]
    fn only_needed_pieces_are_warned_of() {
        assert_eq!(inside().warnings(), Vec::<String>::new());
        for piece in Piece::ALL {
            let mut status = inside();
            status.set(piece, Err(String::from("not here")));
            assert_eq!(status.warnings().len(), usize::from(piece.needed()), "{piece}");
        }
    }

    #[test]
    fn what_belongs_to_a_thread_counts_only_where_there_was_one() {
        let mut status = inside();
        status.alone(Some(1));
        assert_eq!(status, inside());
        for threads in [Some(2), None] {
            let mut status = inside();
            status.alone(threads);
            let on: Vec<_> = Piece::ALL.into_iter().filter(|piece| *status.state(*piece) == State::On).collect();
            assert_eq!(on, [Piece::Dumps, Piece::NoNewPrivileges, Piece::Calls]);
        }
    }
}
