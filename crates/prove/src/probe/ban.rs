//! ban.http, ban.auto and ban.ssh: misbehaves from an address of its own until it is shut out, and looks how long.
//!
//! A deployment never bans loopback addresses, from which its own judge comes. So the probe says beforehand, over the
//! control socket, which address it will misbehave from; that is recorded, holds for minutes, and concerns no other.

mod ssh;

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use reeve_base::{Cause, Period};
use reeve_policy::catalogue::{BanAuto, BanHttp, UrlPath};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::trail::{recorded, text};
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::desk::Status;
use crate::wire::exchange::Until;
use crate::wire::hypertext::Ask;
use crate::wire::{Site, WireError};
use ssh::{SshLog, SshServer};

impl Probe for BanHttp {
    fn plan(&self, _: &Target) -> Sends {
        let what =
            format!("{} GETs of scanners' paths from an address of its own, and questions about bans", self.hits);
        Sends::requests(u32::from(self.hits) + 20, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let canary = Canary::expose(site).await?;
            let promise = Promise { control: "ban.http", steps: self.hits.into(), ban: self.ban, within: AT_ONCE };
            promise.judge(site, notes, &canary, Offence::Scan(&self.paths)).await
        })
    }
}

impl Probe for BanAuto {
    fn plan(&self, _: &Target) -> Sends {
        let what =
            "requests without Host from an address of its own until the score is reached, and questions about bans";
        Sends::requests(self.steps().unwrap_or_default() + 20, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let steps = self.steps().ok_or_else(|| {
                Cause::Unexpected(String::from("refusals count for nothing here, and a probe can provoke nothing else"))
            })?;
            let canary = Canary::expose(site).await?;
            let promise = Promise { control: "ban.auto", steps, ban: self.ban, within: AT_ONCE };
            promise.judge(site, notes, &canary, Offence::Malformed).await
        })
    }
}

trait Steps {
    fn steps(&self) -> Option<u32>;
}

impl Steps for BanAuto {
    /// How many refusals make the score.
    fn steps(&self) -> Option<u32> {
        (self.refusal > 0).then(|| u32::from(self.score).div_ceil(u32::from(self.refusal)))
    }
}

/// An address that may be banned, and the way to the target from it.
struct Canary {
    site: Site,
    address: Ipv4Addr,
}

impl Canary {
    async fn expose(site: &Site) -> Result<Self, Cause> {
        site.house()?;
        let own = site.elsewhere()?;
        let Some(address) = own.source() else {
            let text = "a ban would shut out this whole machine, because the probe has no address of its own here";
            return Err(Cause::Denied(String::from(text)));
        };
        site.tell(&json!({ "bans": { "canary": { "address": address } } })).await?;
        Ok(Self { site: own, address })
    }

    /// Whether it is served, shut out, or something else.
    async fn look(&self) -> Result<Look, Cause> {
        match self.site.ask_once(&Ask::get("/")).await {
            Ok(answer) => Ok(Look::Served(answer.status)),
            Err(WireError::Closed | WireError::Handshake(_) | WireError::Connection(_)) => Ok(Look::ShutOut),
            Err(other) => Err(other.into()),
        }
    }

    /// Waits for it to be shut out, as long as that may take.
    async fn is_shut_out_within(&self, patience: Duration) -> Result<bool, Cause> {
        let since = self.site.ticks();
        loop {
            match self.look().await? {
                Look::ShutOut => return Ok(true),
                Look::Served(_) if self.site.ticks().since(since) >= patience => return Ok(false),
                Look::Served(_) => sleep(AGAIN).await,
            }
        }
    }

    /// The ban that is listed for it.
    async fn listed(&self, site: &Site) -> Result<Option<Listed>, Cause> {
        #[derive(Deserialize)]
        struct List {
            bans: Vec<Listed>,
        }
        let data = site.tell(&json!({ "bans": { "list": { "address": self.address, "limit": 5 } } })).await?;
        let list: List = serde_json::from_value(data)
            .map_err(|error| Cause::Unexpected(format!("the list of bans cannot be read: {error}")))?;
        Ok(list.bans.into_iter().next())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// With this status.
    Served(u16),
    /// The connection is closed before there is an answer.
    ShutOut,
}

/// A ban, as it is listed.
#[derive(Debug, Deserialize)]
struct Listed {
    network: String,
    by: String,
    since: Timestamp,
    until: Option<Timestamp>,
}

/// What is done until there is a ban.
#[derive(Clone, Copy)]
enum Offence<'p> {
    /// Asking for what only scanners ask for.
    Scan(&'p [UrlPath]),
    /// A request without Host (RFC 9112 section 3.2).
    Malformed,
    /// A failed sign-in, as an SSH server logs it.
    Ssh(&'p SshLog<'p>),
    /// A failed sign-in at an SSH server.
    SignIn(&'p SshServer),
}

impl Offence<'_> {
    async fn commit(self, canary: &Canary, number: u32) -> Result<(), Cause> {
        match self {
            Self::Scan(paths) => scan(&canary.site, paths, number).await,
            Self::Malformed => {
                let sent = canary.site.send_raw(b"GET / HTTP/1.1\r\n\r\n", Until::Answers(1)).await?;
                match sent.status() {
                    Some(400..=499) => Ok(()),
                    _ => Err(Cause::Unexpected(format!("a request without Host is answered: {}", sent.summary()))),
                }
            }
            Self::Ssh(log) => {
                let failed = format!("Failed password for invalid user {} from", log.user);
                log.write(canary.address, canary.site.now(), &[failed])
            }
            Self::SignIn(server) => server.fail_to_sign_in(canary).await,
        }
    }
}

/// Asks for one of the paths that is not served. Those that the application serves are no offence and are passed over.
async fn scan(site: &Site, paths: &[UrlPath], number: u32) -> Result<(), Cause> {
    let start = usize::try_from(number).unwrap_or_default();
    for path in paths.iter().cycle().skip(start % paths.len().max(1)).take(paths.len()) {
        let below = format!("{}{}", path.as_str(), site.invented_path()?);
        if (400..=499).contains(&site.ask_once(&Ask::get(below)).await?.status) {
            return Ok(());
        }
    }
    Err(Cause::EmptyPopulation(String::from("the site serves each of the paths, so none of them is an offence")))
}

/// What is promised, in the probe's own terms.
struct Promise {
    control: &'static str,
    /// How many offences are enough.
    steps: u32,
    ban: Period,
    /// How soon after the last one the ban must hold.
    within: Duration,
}

impl Promise {
    async fn judge(
        &self,
        site: &Site,
        notes: &mut Notes,
        canary: &Canary,
        offence: Offence<'_>,
    ) -> Result<Kept, Cause> {
        let needed = self.steps + SPARE;
        if needed > site.remaining() {
            return Err(Cause::OverBudget(format!("would take about {needed} requests")));
        }
        let status = site.status().await?;
        let twin = match canary.look().await? {
            Look::Served(code) => Twin::seen(notes, format!("{} is answered with {code}", canary.address)),
            Look::ShutOut => return Err(Cause::Unexpected(format!("{} is shut out already", canary.address))),
        };
        for number in 1..self.steps {
            offence.commit(canary, number).await?;
        }
        if let Offence::Ssh(_) | Offence::SignIn(_) = offence {
            sleep(self.within).await;
        }
        if self.steps > 1 {
            notes.either(match canary.look().await? {
                Look::Served(code) => Ok(format!("after {} offences it is answered with {code}", self.steps - 1)),
                Look::ShutOut if matches!(offence, Offence::SignIn(_)) => return Err(ssh::counted_twice(self.steps)),
                Look::ShutOut => Err(format!("it is shut out before the {}th offence", self.steps)),
            });
        }
        offence.commit(canary, self.steps).await?;
        if !canary.is_shut_out_within(self.within).await? {
            notes.fault(format!("after {} offences it is served on", self.steps));
            return Ok(Kept::with(twin, ""));
        }
        notes.saw(format!("after {} offences its connections are closed without an answer", self.steps));
        let ban = self.judge_ban(site, notes, canary, &status).await?;
        notes.either(match site.elsewhere()?.ask_once(&Ask::get("/")).await {
            Ok(answer) if answer.status != 403 => Ok(format!("another address is answered with {}", answer.status)),
            Ok(_) => Err(String::from("another address is refused meanwhile")),
            Err(error) => Err(format!("another address is not served meanwhile: {error}")),
        });
        let end = match ban {
            Some(ban) if self.ban.duration() <= END_WAIT_MAX => self.judge_end(site, notes, canary, &ban).await?,
            Some(ban) => lift(site, notes, canary, &ban).await?,
            None => String::from("its end is not known"),
        };
        Ok(Kept::with(twin, format!("shut out after {} offences for {}; {end}", self.steps, self.ban)))
    }

    /// The ban is listed as it was promised, and recorded.
    async fn judge_ban(
        &self,
        site: &Site,
        notes: &mut Notes,
        canary: &Canary,
        status: &Status,
    ) -> Result<Option<Listed>, Cause> {
        let Some(ban) = canary.listed(site).await? else {
            notes.fault("it is shut out and no ban is listed");
            return Ok(None);
        };
        let length = ban.until.map(|until| until.duration_since(ban.since));
        let length = length.map(|length| Duration::try_from(length).unwrap_or_default());
        notes.either(match length {
            Some(length) if length.abs_diff(self.ban.duration()) <= ROUNDING && ban.by == self.control => {
                Ok(format!("listed: {} by {} for {length:?}", ban.network, ban.by))
            }
            other => Err(format!("listed by `{}` for {other:?}, promised is {}", ban.by, self.ban)),
        });
        let found = site.find("object", &ban.network).await?;
        let what = format!("the ban of {}", ban.network);
        notes.either(recorded(&what, &found, status, |event| {
            text(event, "activity") == "ban.made" && text(event, "control") == self.control
        }));
        Ok(Some(ban))
    }

    /// Waits for the end.
    async fn judge_end(&self, site: &Site, notes: &mut Notes, canary: &Canary, ban: &Listed) -> Result<String, Cause> {
        loop {
            let passed = Duration::try_from(site.now().duration_since(ban.since)).unwrap_or_default();
            match canary.look().await? {
                Look::Served(_) if passed + EARLY < self.ban.duration() => {
                    notes.fault(format!("it is served again after {passed:.1?}, promised is {}", self.ban));
                }
                Look::Served(code) => {
                    notes.saw(format!("after {passed:.1?} it is answered with {code} again"));
                }
                Look::ShutOut if passed > self.ban.duration() + LATE => {
                    notes.fault(format!("after {passed:.1?} it is still shut out, promised is {}", self.ban));
                }
                Look::ShutOut => {
                    sleep(AGAIN).await;
                    continue;
                }
            }
            return Ok(format!("served again after {passed:.1?}"));
        }
    }
}

/// Ends a ban whose end is too far off to be waited for, and sees that it was the ban that shut it out.
async fn lift(site: &Site, notes: &mut Notes, canary: &Canary, ban: &Listed) -> Result<String, Cause> {
    site.tell(&json!({ "bans": { "lift": { "network": ban.network } } })).await?;
    notes.either(match canary.look().await? {
        Look::Served(code) => Ok(format!("lifted over the control socket, it is answered with {code}")),
        Look::ShutOut => Err(String::from("lifted, it is still shut out")),
    });
    let end = ban.until.map_or_else(|| String::from("never"), |until| until.to_string());
    notes.saw(format!("its end by itself ({end}) was not waited for"));
    Ok(format!("listed to end {end}, and lifted"))
}

/// A ban by what the gateway itself sees holds from the next connection on.
const AT_ONCE: Duration = Duration::from_millis(500);

const AGAIN: Duration = Duration::from_millis(100);

/// The longest ban whose end is waited for.
const END_WAIT_MAX: Duration = Duration::from_secs(20);

/// What clocks of milliseconds and of nanoseconds may differ by.
const ROUNDING: Duration = Duration::from_millis(10);
const EARLY: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(2);

/// Questions beside the offences.
const SPARE: u32 = 20;
