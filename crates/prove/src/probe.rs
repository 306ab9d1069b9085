//! One module for each family of probes, and the table from controls to probes.
//!
//! A probe looks for the contrary of what is promised and must also show that the allowed thing passes: it returns
//! [`Kept`], which can only be made with a [`Twin`] in hand. Whatever contradicts the promise goes to
//! [`Notes::fault`]; what could not be seen is a [`Cause`]. The judgement follows from the three, in one place.

mod at_rest;
mod attacks;
mod ban;
mod caches;
mod callers;
mod certificate;
mod charset;
mod contract;
mod cookies;
mod coverage;
mod disclose;
mod error;
mod firewall;
mod headers;
mod input;
mod leaks;
mod links;
mod markup;
mod page;
mod payment;
mod perf;
mod pin;
mod plaintext;
mod ports;
mod rate;
mod renewal;
mod reports;
mod rule_set;
mod slow;
mod smuggling;
mod tamper;
mod tls;
mod trail;
mod uptime;

use std::future::Future;
use std::pin::Pin;

use reeve_base::{Cause, Verdict};
use reeve_policy::catalogue::{Control, CoverageClauses, CoverageSection};

use crate::Target;
use crate::wire::Site;
use crate::wire::hypertext::Ask;

pub use firewall::ruleset_digest;

pub(crate) use coverage::{clauses as judge_clauses, section as judge_section};

/// A way to find out from outside whether a control holds.
pub(crate) trait Probe: Send + Sync {
    /// What it would send to this target.
    fn plan(&self, target: &Target) -> Sends;

    /// When it runs.
    fn turn(&self) -> Turn {
        Turn::Together
    }

    /// Runs it.
    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p>;
}

/// A probe at work.
pub(crate) type Running<'p> = Pin<Box<dyn Future<Output = Result<Kept, Cause>> + Send + 'p>>;

/// When a probe runs, first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// Beside others.
    Together,
    /// With no other, because it holds many connections.
    Alone,
    /// After all others, because it leaves its address refused for a while.
    Last,
}

/// What a probe sends.
#[derive(Debug, Clone)]
pub(crate) struct Sends {
    /// In a sentence.
    pub(crate) what: String,
    /// About how many requests and handshakes.
    pub(crate) requests: u32,
    /// About how many plain connections beside them.
    pub(crate) connections: u32,
}

impl Sends {
    /// Requests and handshakes only.
    pub(crate) fn requests(requests: u32, what: impl Into<String>) -> Self {
        Self { what: what.into(), requests, connections: 0 }
    }
}

/// How a control is judged.
pub(crate) enum Way<'c> {
    /// Over the wire.
    Probe(&'c dyn Probe),
    /// By what became of the other clauses of a section.
    Section(&'c CoverageSection),
    /// By what the policy's clauses stand on.
    Clauses(&'c CoverageClauses),
}

/// The way to judge this control. Complete on purpose: a new control does not compile without its probe.
pub(crate) fn way(control: &Control) -> Way<'_> {
    match control {
        Control::TlsFloor(control) => Way::Probe(control),
        Control::TlsCiphers(control) => Way::Probe(control),
        Control::TlsCipherBits(control) => Way::Probe(control),
        Control::TlsPfs(control) => Way::Probe(control),
        Control::TlsOnly(control) => Way::Probe(control),
        Control::TlsHttpsOnly(control) => Way::Probe(control),
        Control::TlsCertExpiry(control) => Way::Probe(control),
        Control::TlsAcme(control) => Way::Probe(control),
        Control::TlsPin(control) => Way::Probe(control),
        Control::HdrHsts(control) => Way::Probe(control),
        Control::HdrCsp(control) => Way::Probe(control),
        Control::HdrFrame(control) => Way::Probe(control),
        Control::HdrSet(control) => Way::Probe(control),
        Control::HdrCookies(control) => Way::Probe(control),
        Control::RateIp(control) => Way::Probe(control),
        Control::RateUser(control) => Way::Probe(control),
        Control::RateHeader(control) => Way::Probe(control),
        Control::InputSize(control) => Way::Probe(control),
        Control::InputMethods(control) => Way::Probe(control),
        Control::InputSchema(control) => Way::Probe(control),
        Control::InputType(control) => Way::Probe(control),
        Control::InputFormat(control) => Way::Probe(control),
        Control::InputCharset(control) => Way::Probe(control),
        Control::WafAttackSet(control) => Way::Probe(control),
        Control::WafCustom(control) => Way::Probe(control),
        Control::WafRuleAge(control) => Way::Probe(control),
        Control::ErrorPage(control) => Way::Probe(control),
        Control::ErrorNoDebug(control) => Way::Probe(control),
        Control::PayScripts(control) => Way::Probe(control),
        Control::PayFormTarget(control) => Way::Probe(control),
        Control::CacheCipher(control) => Way::Probe(control),
        Control::BanHttp(control) => Way::Probe(control),
        Control::BanAuto(control) => Way::Probe(control),
        Control::BanSsh(control) => Way::Probe(control),
        Control::NetOpenPorts(control) => Way::Probe(control),
        Control::EdgeIpAllow(control) => Way::Probe(control),
        Control::BotUa(control) => Way::Probe(control),
        Control::BotSignature(control) => Way::Probe(control),
        Control::HostFirewall(control) => Way::Probe(control),
        Control::EdgeSmuggling(control) => Way::Probe(control),
        Control::EdgeSlowAndFlood(control) => Way::Probe(control),
        Control::DiscloseSecurityTxt(control) => Way::Probe(control),
        Control::DiscloseContact(control) => Way::Probe(control),
        Control::TrustLinks(control) => Way::Probe(control),
        Control::LedgerAppendOnly(control) => Way::Probe(control),
        Control::LedgerTamper(control) => Way::Probe(control),
        Control::LogAccess(control) => Way::Probe(control),
        Control::LogSystemChange(control) => Way::Probe(control),
        Control::LogSecurityEvent(control) => Way::Probe(control),
        Control::LogPerf(control) => Way::Probe(control),
        Control::LogRetention(control) => Way::Probe(control),
        Control::LogPurge(control) => Way::Probe(control),
        Control::LogCipher(control) => Way::Probe(control),
        Control::BodyNoPersist(control) => Way::Probe(control),
        Control::StoreCipherHeader(control) => Way::Probe(control),
        Control::UptimeSlo(control) => Way::Probe(control),
        Control::UptimeExclusions(control) => Way::Probe(control),
        Control::CoverageSection(control) => Way::Section(control),
        Control::CoverageClauses(control) => Way::Clauses(control),
    }
}

/// What a probe writes down while it looks.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    observations: Vec<String>,
    faults: Vec<String>,
}

impl Notes {
    /// Something was seen.
    pub(crate) fn saw(&mut self, observation: impl Into<String>) {
        if self.observations.len() < OBSERVATIONS_MAX {
            self.observations.push(observation.into());
        }
    }

    /// Something was seen that contradicts the promise.
    pub(crate) fn fault(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        self.saw(format!("contrary: {fault}"));
        self.faults.push(fault);
    }

    /// Writes down what `found` says, as a fault if it is one.
    pub(crate) fn either(&mut self, found: Result<String, String>) {
        match found {
            Ok(observation) => self.saw(observation),
            Err(fault) => self.fault(fault),
        }
    }

    /// How many faults there are.
    pub(crate) fn faults(&self) -> usize {
        self.faults.len()
    }
}

/// That the allowed thing passed. Made only where it was seen to.
#[derive(Debug)]
pub(crate) struct Twin(());

impl Twin {
    /// What was seen to pass.
    pub(crate) fn seen(notes: &mut Notes, what: impl Into<String>) -> Self {
        notes.saw(format!("twin: {}", what.into()));
        Self(())
    }
}

/// That a probe found nothing contrary, and that its twin passed.
#[derive(Debug)]
pub(crate) struct Kept(String);

impl Kept {
    /// What was seen, in a sentence. The twin is the proof that something was there to be seen.
    pub(crate) fn with(_twin: Twin, seen: impl Into<String>) -> Self {
        Self(seen.into())
    }
}

/// What a probe came to.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// The judgement, before exceptions.
    pub(crate) verdict: Verdict,
    /// What was seen, in a sentence.
    pub(crate) seen: String,
    /// Each observation.
    pub(crate) observations: Vec<String>,
}

impl Finding {
    /// The one place where a verdict is made of what a probe saw. A fault that was seen stays one, even if the probe
    /// could not go on after it; without a fault, only [`Kept`] is kept.
    pub(crate) fn of(notes: Notes, outcome: Result<Kept, Cause>) -> Self {
        let Notes { mut observations, faults } = notes;
        if let Err(cause) = &outcome {
            observations.push(format!("not seen: {cause}"));
        }
        let (verdict, seen) = match outcome {
            _ if !faults.is_empty() => (Verdict::Broken, summary(&faults)),
            Ok(Kept(seen)) => (Verdict::Kept, seen),
            Err(cause) => {
                let seen = cause.to_string();
                (Verdict::Unknown { cause }, seen)
            }
        };
        Self { verdict, seen, observations }
    }
}

/// The first faults, and how many more there are.
fn summary(faults: &[String]) -> String {
    let shown: Vec<&str> = faults.iter().take(FAULTS_SHOWN).map(String::as_str).collect();
    let more = faults.len().saturating_sub(FAULTS_SHOWN);
    if more == 0 { shown.join("; ") } else { format!("{}; and {more} more", shown.join("; ")) }
}

impl Site {
    /// The twin of most probes: an ordinary request for the home page is answered.
    pub(crate) async fn serves(&self, notes: &mut Notes) -> Result<Twin, Cause> {
        let answer = self.ask(&Ask::get("/")).await?;
        match answer.status {
            200..=399 | 401 | 403 | 404 => Ok(Twin::seen(notes, format!("GET / is answered with {}", answer.status))),
            status => Err(Cause::Unexpected(format!("an ordinary GET / is answered with {status}"))),
        }
    }
}

/// More would be read by nobody; the count of a scan stands in a sentence, not in a thousand lines.
const OBSERVATIONS_MAX: usize = 200;

/// How many faults a summary names.
const FAULTS_SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Result<Kept, Cause> {
        Ok(Kept::with(Twin::seen(&mut Notes::default(), "served"), "all is well"))
    }

    fn unreachable() -> Result<Kept, Cause> {
        Err(Cause::Unreachable(String::from("refused")))
    }

    #[test]
    fn only_a_twin_without_a_fault_is_kept() {
        assert_eq!(Finding::of(Notes::default(), kept()).verdict, Verdict::Kept);
        assert_eq!(Finding::of(Notes::default(), unreachable()).verdict.word(), "unknown");
    }

    #[test]
    fn a_fault_stays_one_whatever_came_after_it() {
        for outcome in [kept(), unreachable()] {
            let mut notes = Notes::default();
            notes.fault("TLS 1.0 is accepted");
            let finding = Finding::of(notes, outcome);
            assert_eq!((finding.verdict, finding.seen.as_str()), (Verdict::Broken, "TLS 1.0 is accepted"));
        }
    }

    #[test]
    fn a_summary_names_three_faults_and_counts_the_rest() {
        let faults: Vec<String> = (1..=5).map(|number| format!("fault {number}")).collect();
        assert_eq!(summary(&faults), "fault 1; fault 2; fault 3; and 2 more");
    }
}
