//! The old process's side: what it tells the one that takes over, step by step. Every step waits at most as long as the
//! settings say.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_edge::Inherited;

use super::helper::Helper;
use super::line::Line;
use super::relay::Relay;
use super::{Answered, Listening, Told, UpgradeError};

/// Another process, on its way to take over. All of it blocks, so it is used on a thread for that.
pub(crate) struct Successor {
    line: Line,
    helper: Arc<Mutex<Helper>>,
    within: Duration,
}

/// What it serves on.
pub(crate) struct Sockets {
    listeners: Vec<Listening>,
    files: Vec<std::os::fd::OwnedFd>,
}

impl Sockets {
    /// Copies of the gateway's.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub(crate) fn of(sockets: &[Inherited]) -> io::Result<Self> {
        let listeners = sockets.iter().map(|one| Listening { address: one.address, tls: one.tls == Some(true) });
        let files = sockets.iter().map(|one| one.socket.as_fd().try_clone_to_owned()).collect::<io::Result<_>>()?;
        Ok(Self { listeners: listeners.collect(), files })
    }
}

impl Successor {
    /// Starts the program, or the one that runs, and waits until it is prepared. Gives its version, too.
    pub(crate) fn start(
        helper: &Arc<Mutex<Helper>>,
        program: Option<PathBuf>,
        sockets: &Sockets,
        within: Duration,
    ) -> Result<(Self, String), UpgradeError> {
        let stream = helper.lock().unwrap_or_else(PoisonError::into_inner).begin(program)?;
        let mut successor = Self { line: Line::new(stream), helper: Arc::clone(helper), within };
        match successor.prepare(sockets) {
            Ok(version) => Ok((successor, version)),
            Err(error) => {
                successor.end();
                Err(error)
            }
        }
    }

    fn prepare(&mut self, sockets: &Sockets) -> Result<String, UpgradeError> {
        self.line.patience(Some(self.within))?;
        let within_ms = u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX);
        let files: Vec<_> = sockets.files.iter().map(AsFd::as_fd).collect();
        let begin = Told::Begin { listeners: sockets.listeners.clone(), within_ms };
        self.line.send_with(&begin, &files).map_err(|error| self.broken(error))?;
        match self.answer()? {
            Answered::Prepared { version } => Ok(version),
            Answered::Failed { text } => Err(UpgradeError::Failed(text)),
            Answered::Ready { .. } => Err(UpgradeError::Strange),
        }
    }

    /// Tells it that ledger, store and control socket are free, and waits until it serves. Gives its process.
    ///
    /// # Errors
    /// When it does not; it has ended then, and everything is free again.
    pub(crate) fn go(&mut self) -> Result<u32, UpgradeError> {
        let outcome = self.try_go();
        if outcome.is_err() {
            self.end();
        }
        outcome
    }

    fn try_go(&mut self) -> Result<u32, UpgradeError> {
        self.line.send(&Told::Go).map_err(|error| self.broken(error))?;
        match self.answer()? {
            Answered::Ready { pid } => Ok(pid),
            Answered::Failed { text } => Err(UpgradeError::Failed(text)),
            Answered::Prepared { .. } => Err(UpgradeError::Strange),
        }
    }

    /// Sends it all events that are held, until there will be no more.
    ///
    /// # Errors
    /// When it takes no more.
    pub(crate) fn feed(mut self, relay: &Relay) -> io::Result<()> {
        self.line.patience(Some(FEED_MAX))?;
        while let Some((trail, lines)) = relay.next() {
            self.line.send(&Told::Events { trail: trail.into(), bytes: lines.len() })?;
            self.line.send_bytes(&lines)?;
        }
        self.line.send(&Told::Done)
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        let ended = self.helper.lock().unwrap_or_else(PoisonError::into_inner).end();
        if let Err(error) = ended {
            tracing::error!(%error, "the new process could not be ended");
        }
    }

    fn answer(&mut self) -> Result<Answered, UpgradeError> {
        match self.line.receive() {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(UpgradeError::Ended),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&self, error: io::Error) -> UpgradeError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => UpgradeError::Slow(self.within.as_secs()),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => UpgradeError::Strange,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => UpgradeError::Ended,
            _ => UpgradeError::Talk(error),
        }
    }
}

/// A new process that takes no events for this long is stuck; what is left of them is given up, and said.
const FEED_MAX: Duration = Duration::from_secs(30);
