//! ban.ssh: lines for the log of an SSH server where it is a file, and real failures at the server where it is a journal.
//!
//! A journal says of each entry who wrote it, and what is not of the server's service counts for nothing: so lines cannot
//! be put there for it. What is done instead is what an attacker does, by OpenSSH's client, from an address of its own.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use reeve_base::Cause;
use reeve_policy::catalogue::BanSsh;
use tokio::time::sleep;

use super::super::{Kept, Notes, Probe, Running, Sends};
use super::{AGAIN, Canary, Look, Offence, Promise};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::Watched;

impl Probe for BanSsh {
    fn plan(&self, _: &Target) -> Sends {
        let what = "canary lines into each watched log of an SSH server, or failed sign-ins at it where its log is in a \
                    journal, and questions about bans";
        Sends::requests(u32::from(self.failures) + 30, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let logs: Vec<_> = status.watches.iter().filter(|watch| watch.kind == "sshd").collect();
            if logs.is_empty() {
                let _twin = site.serves(notes).await?;
                notes.fault("no log of an SSH server is watched");
            }
            let mut kept = Err(Cause::EmptyPopulation(String::from("no log of an SSH server is watched")));
            for log in logs {
                if let Some(trouble) = &log.failing {
                    let _twin = site.serves(notes).await?;
                    notes.fault(format!("{} is not watched: {trouble}", log.name()));
                    continue;
                }
                kept = Ok(judge(self, log, site, notes).await?);
            }
            kept
        })
    }
}

async fn judge(control: &BanSsh, log: &Watched, site: &Site, notes: &mut Notes) -> Result<Kept, Cause> {
    let canary = Canary::expose(site).await?;
    let (steps, ban) = (control.failures.into(), control.ban);
    let promise = Promise { control: "ban.ssh", steps, ban, within: IN_THE_LOG };
    notes.saw(format!("watched: {}", log.name()));
    let user = site.invented_path()?.trim_start_matches('/').to_owned();
    if let Some(file) = &log.file {
        let log = SshLog { file, user };
        log.user_who_signs_in(site, notes, control.failures).await?;
        return promise.judge(site, notes, &canary, Offence::Ssh(&log)).await;
    }
    let server = SshServer { address: log.server.unwrap_or(USUAL_SERVER), user };
    notes.saw(format!("tried: the SSH server at {}", server.address));
    promise.judge(site, notes, &canary, Offence::SignIn(&server)).await
}

impl Watched {
    fn name(&self) -> String {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        file.unwrap_or_else(|| format!("the journal of {}", self.journal.join(", ")))
    }
}

/// A watched log, and the user that the canary lines name.
pub(super) struct SshLog<'p> {
    pub(super) file: &'p Path,
    pub(super) user: String,
}

impl SshLog<'_> {
    /// Appends lines of one connection of this address, as Debian's rsyslog and OpenSSH write them.
    pub(super) fn write(&self, address: Ipv4Addr, now: Timestamp, messages: &[String]) -> Result<(), Cause> {
        let denied = |error: std::io::Error| {
            Cause::Denied(format!("canary lines cannot be appended to `{}`: {error}", self.file.display()))
        };
        let [.., third, fourth] = address.octets();
        let (pid, port) = (u32::from(third) * 256 + u32::from(fourth) + 1_000, 40_000 + u32::from(fourth));
        let lines: String = messages
            .iter()
            .map(|message| format!("{now} reeve-canary sshd[{pid}]: {message} {address} port {port} ssh2\n"))
            .collect();
        // One write at the end of the file, as syslog daemons do: lines of others are not torn.
        let mut file = OpenOptions::new().append(true).open(self.file).map_err(denied)?;
        file.write_all(lines.as_bytes()).map_err(denied)
    }

    /// Whoever offers keys that are not known and then one that is, is no offender.
    async fn user_who_signs_in(&self, site: &Site, notes: &mut Notes, failures: u16) -> Result<(), Cause> {
        let user = Canary::expose(site).await?;
        let tries = (0..failures).map(|_| format!("Failed publickey for {} from", self.user));
        let lines: Vec<_> = tries.chain([format!("Accepted publickey for {} from", self.user)]).collect();
        self.write(user.address, site.now(), &lines)?;
        sleep(IN_THE_LOG).await;
        notes.either(match user.look().await? {
            Look::Served(code) => Ok(format!("an address that signed in at last is answered with {code}")),
            Look::ShutOut => Err(String::from("an address that signed in at last is shut out")),
        });
        Ok(())
    }
}

/// An SSH server whose log is watched, and a user that it does not know.
pub(super) struct SshServer {
    address: SocketAddr,
    user: String,
}

impl SshServer {
    /// Asks to be let in as somebody whom the server does not know, without any credential.
    pub(super) async fn fail_to_sign_in(&self, canary: &Canary) -> Result<(), Cause> {
        canary.site.spend()?;
        let mut client = self.client(canary.address)?;
        let status = self.wait(&mut client, canary).await?;
        let mut said = String::new();
        if let Some(stderr) = client.stderr.take() {
            // What is no text is not what is looked for.
            let _ = stderr.take(SAID_BYTES_MAX).read_to_string(&mut said);
        }
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if status.success() {
            return Err(Cause::Unexpected(format!("the SSH server lets in `{}`, who is invented", self.user)));
        }
        // Only that comes from a server that was asked; one that closes before counts no failure.
        if said.contains("Permission denied") {
            return Ok(());
        }
        Err(Cause::Unreachable(format!(
            "the SSH server at {} cannot be asked ({said}); name where it listens as `server` of its `[[watch]]`",
            self.address
        )))
    }

    fn client(&self, from: Ipv4Addr) -> Result<Child, Cause> {
        let mut command = Command::new("ssh");
        // No settings and no keys of whoever judges, nothing asked, nothing remembered.
        command.args(["-F", "none", "-T", "-b", &from.to_string(), "-p", &self.address.port().to_string()]);
        for option in CLIENT_OPTIONS {
            command.args(["-o", option]);
        }
        command.args(["-l", &self.user, &self.address.ip().to_string(), "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| {
            Cause::Denied(format!("failed sign-ins take OpenSSH's client, and `ssh` cannot be run: {error}"))
        })
    }

    async fn wait(&self, client: &mut Child, canary: &Canary) -> Result<ExitStatus, Cause> {
        let since = canary.site.ticks();
        loop {
            let failed = |error: std::io::Error| Cause::Unexpected(format!("`ssh`: {error}"));
            if let Some(status) = client.try_wait().map_err(failed)? {
                return Ok(status);
            }
            if canary.site.ticks().since(since) >= SIGN_IN_MAX {
                let _ = client.kill();
                let _ = client.wait();
                return Err(Cause::Unreachable(format!("the SSH server at {} does not answer", self.address)));
            }
            sleep(AGAIN).await;
        }
    }
}

/// A server that is set to say much writes of one sign-in in lines that count as two failures. The gateway cannot know.
pub(super) fn counted_twice(steps: u32) -> Cause {
    let text = "the probe is shut out before the";
    Cause::Unexpected(format!(
        "{text} {steps}th sign-in; does the server log each twice? `LogLevel INFO` has one failure each"
    ))
}

const CLIENT_OPTIONS: [&str; 8] = [
    "BatchMode=yes",
    "PreferredAuthentications=none",
    "IdentitiesOnly=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=/dev/null",
    "ConnectTimeout=5",
    "LogLevel=ERROR",
];

/// Where an SSH server listens unless somebody says otherwise.
const USUAL_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 22);

const SIGN_IN_MAX: Duration = Duration::from_secs(15);
const SAID_BYTES_MAX: u64 = 2_000;

/// A log is looked at several times a second, and a journal hands on what it is given within a second.
const IN_THE_LOG: Duration = Duration::from_secs(2);
