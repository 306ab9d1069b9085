//! Asking a person for a secret: on the terminal itself, with what is typed kept off the screen.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use reeve_base::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Nobody could be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminalError {
    /// The process has no terminal: it runs as a service, or in a pipeline.
    #[error("there is no terminal to ask for the passphrase on")]
    None(#[source] io::Error),
    /// The terminal failed.
    #[error("the terminal cannot be read")]
    Failed(#[source] io::Error),
    /// The input ended before a line did.
    #[error("no passphrase was typed")]
    Nothing,
    /// The line does not fit, or is no text.
    #[error("that is no passphrase: it is no text, or longer than {LINE_BYTES_MAX} bytes")]
    Unusable,
    /// Typed twice, and not the same.
    #[error("the two passphrases differ")]
    Differ,
}

impl TerminalError {
    /// The way out; `instead` is what can be done where there is no terminal.
    pub(crate) fn remedy(&self, instead: &str) -> String {
        match self {
            Self::None(_) | Self::Failed(_) => format!("without a terminal, {instead}"),
            Self::Nothing | Self::Unusable | Self::Differ => String::from("type it again"),
        }
    }
}

/// Asks for a passphrase. Standard input and output stay free for data: it is the terminal behind them that is used.
///
/// # Errors
/// When there is no terminal, or nothing usable is typed.
pub(crate) fn ask_passphrase(prompt: &str) -> Result<Secret<String>, TerminalError> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(TerminalError::None)?;
    let mut silent = Silent::new(tty).map_err(TerminalError::Failed)?;
    silent.ask(prompt)
}

/// Asks for a new passphrase twice, because nobody sees what they type.
///
/// # Errors
/// As [`ask_passphrase`], and when the two differ.
pub(crate) fn ask_new_passphrase() -> Result<Secret<String>, TerminalError> {
    let first = ask_passphrase("new passphrase: ")?;
    let again = ask_passphrase("the same again: ")?;
    if first.expose() == again.expose() { Ok(first) } else { Err(TerminalError::Differ) }
}

/// A terminal that shows nothing of what is typed, until it is dropped.
struct Silent {
    tty: File,
    before: Termios,
}

impl Silent {
    fn new(tty: File) -> io::Result<Self> {
        let before = tcgetattr(&tty)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // A line at a time, whatever the terminal did before; and Ctrl-C still ends the program.
        silent.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&tty, OptionalActions::Flush, &silent)?;
        Ok(Self { tty, before })
    }

    fn ask(&mut self, prompt: &str) -> Result<Secret<String>, TerminalError> {
        self.tty.write_all(prompt.as_bytes()).map_err(TerminalError::Failed)?;
        // A terminal gives one whole line to one read.
        let mut line = vec![0; LINE_BYTES_MAX + 1];
        let outcome = self.tty.read(&mut line);
        let _ = self.tty.write_all(b"\n");
        line.truncate(*outcome.as_ref().unwrap_or(&0));
        // From here on it is wiped on every way out.
        let line = Secret::new(line);
        outcome.map_err(TerminalError::Failed)?;
        if line.expose().is_empty() {
            return Err(TerminalError::Nothing);
        }
        let text = line.expose().strip_suffix(b"\n").ok_or(TerminalError::Unusable)?;
        let text = std::str::from_utf8(text).map_err(|_| TerminalError::Unusable)?;
        Ok(Secret::new(text.to_owned()))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // If even this fails, there is no terminal left to complain on.
        let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
    }
}

/// As many bytes as a passphrase may have.
const LINE_BYTES_MAX: usize = 1024;
