//! The new process's side: it is started by the helper of the one that runs, with the conversation as its standard input.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use reeve_base::Recorder;
use reeve_edge::Inherited;

use super::line::Line;
use super::{Answered, Told};

/// The process that is taken over from, as the new one has it.
pub(crate) struct Predecessor {
    line: Line,
    within: Duration,
}

impl Predecessor {
    /// Takes the sockets from whoever is at the other end of standard input.
    ///
    /// # Errors
    /// When nobody is.
    pub(crate) fn meet() -> anyhow::Result<(Self, Vec<Inherited>)> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let mut line = Line::new(UnixStream::from(input));
        let meet = "`--take-over` is not for people: `reeve upgrade` starts the new process so";
        line.patience(Some(MEETING_MAX)).context(meet)?;
        let told = line.receive_with::<Told>().context(meet)?;
        let Some((Told::Begin { listeners, within_ms }, files)) = told else { anyhow::bail!(meet) };
        anyhow::ensure!(listeners.len() == files.len(), "the sockets did not all come along");
        let inherited = listeners.iter().zip(files).map(|(listening, file)| Inherited {
            address: listening.address,
            tls: Some(listening.tls),
            socket: TcpListener::from(file),
        });
        let within = Duration::from_millis(within_ms);
        Ok((Self { line, within }, inherited.collect()))
    }

    /// Says that this process can start, and waits until it may.
    ///
    /// # Errors
    /// When the old one has thought better of it.
    pub(crate) fn prepared(&mut self) -> anyhow::Result<()> {
        self.line.patience(Some(self.within))?;
        self.line.send(&Answered::Prepared { version: env!("CARGO_PKG_VERSION").to_owned() })?;
        match self.line.receive::<Told>().context("the process that runs has not let go")? {
            Some(Told::Go) => Ok(()),
            _ => anyhow::bail!("the process that runs goes on by itself"),
        }
    }

    /// Says that this process does not start.
    pub(crate) fn fail(&mut self, text: String) {
        // It may be gone; then there is nobody to tell.
        let _ = self.line.send(&Answered::Failed { text });
    }

    /// Says that this process serves, and hands the events of the old one to `recorder` until it ends.
    ///
    /// # Errors
    /// When the old one is gone, or the system gives no thread.
    pub(crate) fn ready(mut self, recorder: Arc<dyn Recorder>) -> io::Result<JoinHandle<()>> {
        self.line.send(&Answered::Ready { pid: std::process::id() })?;
        // From now on silence means that there are no requests.
        self.line.patience(None)?;
        std::thread::Builder::new().name(String::from("predecessor")).spawn(move || {
            if let Err(error) = self.follow(&*recorder) {
                tracing::error!(%error, "events of the process before this one may be missing");
            }
        })
    }

    fn follow(&mut self, recorder: &dyn Recorder) -> io::Result<()> {
        loop {
            match self.line.receive()? {
                Some(Told::Events { trail, bytes }) if bytes <= BATCH_BYTES_MAX => {
                    let mut lines = self.line.receive_bytes(bytes)?;
                    let mut patience = TRIES;
                    while let Err(refused) = recorder.take(trail.into(), lines) {
                        if patience == 0 {
                            return Err(io::Error::other("the ledger takes nothing"));
                        }
                        patience -= 1;
                        lines = refused;
                        nap();
                    }
                }
                Some(Told::Done) => return Ok(()),
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// Waits a moment on a thread of its own.
fn nap() {
    let (_open, silence) = std::sync::mpsc::channel::<()>();
    // Nothing ever comes; this is for the time alone.
    let _ = silence.recv_timeout(NAP);
}

/// The old one has everything at hand.
const MEETING_MAX: Duration = Duration::from_secs(10);
const BATCH_BYTES_MAX: usize = 2 * reeve_base::RECORD_BYTES_MAX;

/// A ledger that has taken nothing for half a minute is broken, and that is said elsewhere.
const TRIES: u32 = 300;
const NAP: Duration = Duration::from_millis(100);
