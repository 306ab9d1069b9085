//! The hook that changes the DNS, run by a helper: a process of the same program that was started before this one was
//! shut in, because inside nothing can be run.
//!
//! The helper runs the command of the settings and no other. What it is asked over its standard input is a line of JSON,
//! a name and a value that are both checked again there, because whoever has taken over the gateway may write anything.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reeve_edge::{DnsChange, DnsHook};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// The helper, as the gateway has it. It ends when this is dropped.
pub(crate) struct Helper {
    /// One question at a time.
    line: Mutex<Line>,
}

struct Line {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What the helper is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    what: DnsChange,
    name: String,
    value: String,
}

/// What it answers: nothing, or why not.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    failed: Option<String>,
}

impl Helper {
    /// Starts it.
    ///
    /// # Errors
    /// When this program cannot be started a second time.
    pub(crate) fn start(command: &[String]) -> anyhow::Result<Self> {
        // What runs, even if its file was replaced since.
        let mut child = Command::new("/proc/self/exe")
            .arg("dns-hook")
            .arg("--")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the helper for `dns_hook`")?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().context("the helper for `dns_hook` has no output")?;
        Ok(Self { line: Mutex::new(Line { child, questions, answers: BufReader::new(answers) }) })
    }
}

impl DnsHook for Helper {
    fn change(&self, what: DnsChange, name: &str, value: &str) -> Result<(), String> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |error: std::io::Error| format!("its helper is gone ({error}); restart the gateway");
        let question = Question { what, name: name.to_owned(), value: value.to_owned() };
        let mut text = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        text.push(b'\n');
        let questions = line.questions.as_mut().ok_or_else(|| String::from("its helper has ended"))?;
        questions.write_all(&text).and_then(|()| questions.flush()).map_err(gone)?;
        let mut answer = String::new();
        (&mut line.answers).take(LINE_BYTES_MAX).read_line(&mut answer).map_err(gone)?;
        let answer: Answer = serde_json::from_str(&answer).map_err(|error| format!("its helper is gone: {error}"))?;
        answer.failed.map_or(Ok(()), Err)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It ends with its input. Whatever it says of its end, nothing is done about it.
        line.questions = None;
        let _ = line.child.wait();
    }
}

/// The helper's own life: answers until its input ends.
///
/// # Errors
/// When it can be neither asked nor heard any more.
pub(crate) fn serve(command: &[String]) -> anyhow::Result<()> {
    let mut questions = std::io::stdin().lock();
    let mut answers = std::io::stdout().lock();
    loop {
        let mut line = String::new();
        if (&mut questions).take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let outcome = serde_json::from_str(&line)
            .map_err(|error| format!("not a question: {error}"))
            .and_then(|question: Question| answer(command, &question));
        let mut text = serde_json::to_vec(&Answer { failed: outcome.err() })?;
        text.push(b'\n');
        answers.write_all(&text)?;
        answers.flush()?;
    }
}

fn answer(command: &[String], question: &Question) -> Result<(), String> {
    let Question { what, name, value } = question;
    if !is_challenge_name(name) || !is_digest(value) {
        return Err(String::from("that is no record of a challenge"));
    }
    let (program, arguments) = command.split_first().ok_or_else(|| String::from("no command is named"))?;
    let what = match what {
        DnsChange::Present => "present",
        DnsChange::Cleanup => "cleanup",
    };
    let child = Command::new(program)
        .args(arguments)
        .args([what, name, value])
        .env("REEVE_DNS_ACTION", what)
        .env("REEVE_DNS_NAME", name)
        .env("REEVE_DNS_VALUE", value)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot run `{program}`: {error}"))?;
    finish(child, program)
}

/// Waits for the command within its time; past that, it and whatever it started are killed.
fn finish(mut child: Child, program: &str) -> Result<(), String> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let stderr = child.stderr.take();
    let (done, ended) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            // What was read until then is enough to know what went wrong.
            let _ = stderr.take(SAID_BYTES_MAX).read_to_end(&mut said);
        }
        // Nobody listens any more once it took too long.
        let _ = done.send((child.wait(), said));
    });
    match ended.recv_timeout(HOOK_MAX) {
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), said)) => Err(format!("`{program}` ended with {status}: {}", one_line(&said))),
        Ok((Err(error), _)) => Err(format!("`{program}`: {error}")),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            if let Some(group) = group {
                // It may have ended in this very moment, which is as good.
                let _ = kill_process_group(group, Signal::KILL);
            }
            Err(format!("`{program}` took longer than {HOOK_MAX:?}"))
        }
    }
}

fn one_line(said: &[u8]) -> String {
    String::from_utf8_lossy(said).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `_acme-challenge.` before a name, without anything that a shell could take for something else.
fn is_challenge_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let host = name.strip_prefix("_acme-challenge.");
    host.is_some_and(|host| !host.is_empty() && host.len() <= 253 && host.bytes().all(plain))
}

/// SHA-256 in the alphabet of base64 for URLs, without padding (RFC 8555 section 8.4). It may begin with `-`, and is the
/// last argument.
fn is_digest(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

const LINE_BYTES_MAX: u64 = 16 * 1024;
const SAID_BYTES_MAX: u64 = 2_000;

/// An order has four minutes, and may need several records.
const HOOK_MAX: Duration = Duration::from_secs(45);

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "_acme-challenge.example.com";
    const VALUE: &str = "-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_AbCde";

    fn ask(script: &str, name: &str, value: &str) -> Result<(), String> {
        let command = ["sh", "-c", script, "hook"].map(str::to_owned);
        answer(&command, &Question { what: DnsChange::Present, name: name.to_owned(), value: value.to_owned() })
    }

    #[test]
    fn the_command_gets_names_and_values_as_arguments_and_in_its_environment() {
        let script =
            "test \"$1 $2 $3\" = \"$REEVE_DNS_ACTION $REEVE_DNS_NAME $REEVE_DNS_VALUE\" && test \"$1\" = present";
        ask(script, NAME, VALUE).unwrap();
    }

    #[test]
    fn what_the_command_says_when_it_fails_is_passed_on() {
        let error = ask("echo 'no such zone' >&2; exit 3", NAME, VALUE).unwrap_err();
        assert!(error.contains("exit status: 3") && error.ends_with("no such zone"), "{error}");
        let missing = answer(
            &[String::from("/no/such/command")],
            &Question { what: DnsChange::Cleanup, name: NAME.to_owned(), value: VALUE.to_owned() },
        );
        assert!(missing.unwrap_err().contains("cannot run `/no/such/command`"));
    }

    #[test]
    fn nothing_but_records_of_challenges_is_passed_to_the_command() {
        for (name, value) in [
            ("example.com", VALUE),
            ("_acme-challenge.", VALUE),
            ("_acme-challenge.a;rm", VALUE),
            ("_acme-challenge.$(id)", VALUE),
            (NAME, "short"),
            (NAME, "`AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_AbCde"),
        ] {
            let error = ask("exit 0", name, value).unwrap_err();
            assert!(error.contains("no record of a challenge"), "{error}");
        }
    }
}
