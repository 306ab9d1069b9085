//! `reeve prove --mutate`: can every probe fail?
//!
//! For each control there are two scratch instances. In the first the control is on, and its probe must say `kept`; in
//! the second the same instance has that one control off, and the probe must say `broken`. A probe that cannot tell
//! the two apart proves nothing.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use reeve_base::{Clock, Period, Rate, SystemClock, SystemEntropy, Verdict};
use reeve_policy::Policy;
use reeve_policy::catalogue::{
    BanAuto, BanHttp, BanSsh, Control, Controls, HdrFrame, LogPerf, NetOpenPorts, PortRange, RateHeader, RateIp,
    RateUser, RouteRate, TlsFloor, TlsVersion, UrlPath, WafAttackSet,
};
use reeve_prove::Options;
use serde::Serialize;

use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::reference::Reference;
use crate::screen::{BAD, GOOD, Screen, paint};

use super::read_policy;
use super::scratch::{Inside, Scratch, Twist, Unrecorded};
use super::table::style;
use super::weak_front::Weakness;

/// How a control is taken away.
enum Off {
    /// The gateway is told nothing of it.
    Released,
    /// The instance is made different.
    Twisted(Twist),
    /// The policy that is judged by gets another clause.
    OtherClause(&'static str),
}

/// What came of one control.
#[derive(Debug, Serialize)]
struct Outcome {
    control: String,
    on: Verdict,
    off: Verdict,
    seen: String,
}

impl Outcome {
    fn noticed(&self) -> bool {
        self.on == Verdict::Kept && self.off == Verdict::Broken
    }
}

pub(crate) async fn run(
    names: &[String],
    policy: Option<&Path>,
    json: bool,
    screen: &Screen,
) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::new());
    let controls = chosen(names, policy, &clock)?;
    let (count, clock) = (controls.len(), &clock);
    let tries = controls.iter().enumerate().map(|(number, control)| async move {
        screen.talk(format_args!("  {:>2}/{count} {}", number + 1, control.name()));
        Box::pin(try_both(control, clock)).await.with_context(|| format!("cannot try `{}`", control.name()))
    });
    // Each has an instance of its own, and most of their time they wait for something not to happen.
    let outcomes: Vec<_> = stream::iter(tries).buffered(AT_ONCE).try_collect().await?;
    show(&outcomes, json, screen)
}

/// The controls to try: of the policy, or else all that there are, with the demo policy's parameters where it has them.
fn chosen(names: &[String], policy: Option<&Path>, clock: &SystemClock) -> anyhow::Result<Vec<Control>> {
    let mut controls = match policy {
        Some(path) => distinct(read_policy(path, clock)?.controls()),
        None => {
            let demo = parse(Reference::Demo.text(), clock)?;
            let of_demo = distinct(demo.controls());
            let parameters = |control: Control| {
                of_demo.iter().find(|held| held.name() == control.name()).cloned().unwrap_or(control)
            };
            Control::every().into_iter().map(parameters).collect()
        }
    };
    for name in names {
        anyhow::ensure!(
            controls.iter().any(|control| control.facts().name == name),
            "there is no probe for a control `{name}` here"
        );
    }
    if !names.is_empty() {
        controls.retain(|control| names.iter().any(|name| control.facts().name == name));
    }
    anyhow::ensure!(!controls.is_empty(), "the policy has no clause that anything judges");
    Ok(controls)
}

/// More would get into each other's way: some flood their instance.
const AT_ONCE: usize = 2;

fn distinct<'c>(controls: impl Iterator<Item = &'c Control>) -> Vec<Control> {
    let mut distinct: Vec<Control> = Vec::new();
    for control in controls {
        if !distinct.contains(control) {
            distinct.push(control.clone());
        }
    }
    distinct
}

/// How each control is taken away. Complete on purpose: a control that cannot be taken away cannot be proved.
fn off(control: &Control) -> Off {
    let unrecorded = |what| Off::Twisted(Twist { unrecorded: Some(what), ..Twist::default() });
    let front = |weakness| Off::Twisted(Twist { front: Some(weakness), ..Twist::default() });
    match control {
        // The library can go down to 1.2 and no further.
        Control::TlsFloor(TlsFloor { min: TlsVersion::V1_3 }) => Off::Released,
        Control::TlsFloor(TlsFloor { min: TlsVersion::V1_2 }) => front(Weakness::OldVersion),
        Control::TlsCiphers(_) => front(Weakness::OldCipher),
        Control::TlsPfs(_) => front(Weakness::StaticKeyExchange),
        Control::TlsPin(_) => Off::Twisted(Twist { unpinned: true, ..Twist::default() }),
        Control::TlsCertExpiry(_) => Off::Twisted(Twist { expiring: true, ..Twist::default() }),
        Control::NetOpenPorts(_) => Off::Twisted(Twist { stray_port: true, ..Twist::default() }),
        Control::HostFirewall(_) => Off::Twisted(Twist { unfiltered: true, ..Twist::default() }),
        Control::TrustLinks(_) => Off::Twisted(Twist { unpublished: true, ..Twist::default() }),
        Control::CoverageClauses(_) => Off::OtherClause(PLANNED_CLAUSE),
        Control::LedgerAppendOnly(_) => unrecorded(Unrecorded::Acts),
        Control::LogAccess(_) | Control::LogSecurityEvent(_) => unrecorded(Unrecorded::Requests),
        Control::LogSystemChange(_) => unrecorded(Unrecorded::System),
        Control::LedgerTamper(_) => Off::Twisted(Twist { tampered: true, ..Twist::default() }),
        Control::LogRetention(_) | Control::LogPurge(_) => Off::Twisted(Twist { unpurged: true, ..Twist::default() }),
        Control::LogCipher(_) => Off::Twisted(Twist { plain_log: true, ..Twist::default() }),
        Control::BodyNoPersist(_) => Off::Twisted(Twist { hoarding: true, ..Twist::default() }),
        Control::CacheCipher(_) => Off::Twisted(Twist { caching: true, ..Twist::default() }),
        Control::WafRuleAge(_) => Off::Twisted(Twist { stale_rules: true, ..Twist::default() }),
        Control::StoreCipherHeader(_) => Off::Twisted(Twist { bare_store: true, ..Twist::default() }),
        Control::TlsCipherBits(_)
        | Control::TlsAcme(_)
        | Control::TlsOnly(_)
        | Control::TlsHttpsOnly(_)
        | Control::HdrHsts(_)
        | Control::HdrCsp(_)
        | Control::HdrFrame(_)
        | Control::HdrSet(_)
        | Control::HdrCookies(_)
        | Control::PayScripts(_)
        | Control::PayFormTarget(_)
        | Control::RateIp(_)
        | Control::RateUser(_)
        | Control::RateHeader(_)
        | Control::InputSize(_)
        | Control::InputMethods(_)
        | Control::InputSchema(_)
        | Control::InputType(_)
        | Control::InputFormat(_)
        | Control::InputCharset(_)
        | Control::WafAttackSet(_)
        | Control::WafCustom(_)
        | Control::ErrorPage(_)
        | Control::ErrorNoDebug(_)
        | Control::BanHttp(_)
        | Control::BanAuto(_)
        | Control::BanSsh(_)
        | Control::EdgeIpAllow(_)
        | Control::BotUa(_)
        | Control::BotSignature(_)
        | Control::LogPerf(_)
        | Control::EdgeSmuggling(_)
        | Control::EdgeSlowAndFlood(_)
        | Control::DiscloseSecurityTxt(_)
        | Control::DiscloseContact(_)
        | Control::UptimeSlo(_)
        | Control::UptimeExclusions(_)
        | Control::CoverageSection(_) => Off::Released,
    }
}

async fn try_both(control: &Control, clock: &Arc<SystemClock>) -> anyhow::Result<Outcome> {
    let control = &shortened(control);
    let mut enforced = Controls::default();
    enforced.demand(control);
    for supporting in supporting(control) {
        enforced.demand(&supporting);
    }
    // Boxed: a scratch instance with all that stands around it takes room.
    let (on, _) = Box::pin(judge(control, &enforced, Twist::default(), "", clock)).await?;
    let mut without = enforced.clone();
    let (off, seen) = match off(control) {
        Off::Twisted(twist) => Box::pin(judge(control, &enforced, twist, "", clock)).await?,
        Off::OtherClause(clause) => Box::pin(judge(control, &enforced, Twist::default(), clause, clock)).await?,
        Off::Released => {
            without.release(control);
            supporting(control).iter().for_each(|supporting| without.release(supporting));
            Box::pin(judge(control, &without, Twist::default(), "", clock)).await?
        }
    };
    Ok(Outcome { control: control.name().to_string(), on, off, seen })
}

/// The control with times that a scratch instance can live to see the end of, and with something to see in each part.
fn shortened(control: &Control) -> Control {
    let ban = SCRATCH_BAN;
    match control.clone() {
        Control::BanHttp(control) => Control::BanHttp(BanHttp { ban, ..control }),
        Control::BanAuto(control) => Control::BanAuto(BanAuto { ban, ..control }),
        Control::BanSsh(control) => Control::BanSsh(BanSsh { ban, ..control }),
        Control::RateIp(RateIp { rate, burst, routes }) => {
            Control::RateIp(RateIp { rate, burst, routes: with_a_route(routes) })
        }
        Control::RateUser(RateUser { rate, burst, routes }) => {
            Control::RateUser(RateUser { rate, burst, routes: with_a_route(routes) })
        }
        Control::RateHeader(control) => {
            let routes = with_a_route(control.routes);
            Control::RateHeader(RateHeader { routes, ..control })
        }
        Control::LogPerf(_) => Control::LogPerf(LogPerf { every: SCRATCH_PERIOD }),
        other => other,
    }
}

/// A limit on a part of the site is one to be seen as well.
fn with_a_route(routes: Vec<RouteRate>) -> Vec<RouteRate> {
    if routes.is_empty() {
        vec![RouteRate { path: UrlPath::from("/login"), rate: Rate::per_minute(30), burst: 5 }]
    } else {
        routes
    }
}

/// Controls that a control's own proof stands on.
fn supporting(control: &Control) -> Vec<Control> {
    match control {
        Control::CoverageSection(_) => vec![Control::HdrFrame(HdrFrame::default())],
        Control::WafRuleAge(_) => vec![Control::WafAttackSet(WafAttackSet::default())],
        _ => Vec::new(),
    }
}

async fn judge(
    control: &Control,
    enforced: &Controls,
    twist: Twist,
    more: &str,
    clock: &Arc<SystemClock>,
) -> anyhow::Result<(Verdict, String)> {
    let scratch = Scratch::start(enforced, twist, inside(control)).await?;
    let policy = policy_of(&fitted(control, &scratch), more, clock)?;
    let options = Options::new(&scratch.target, Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
    let report = reeve_prove::judge(&policy, &scratch.target, &options, &|_| {}).await;
    let row = report.rows.into_iter().find(|row| row.evidence.control == control.name());
    let evidence = row.context("the probe did not report")?.evidence;
    Ok((evidence.verdict, evidence.seen))
}

/// Whether judging it means to look inside, at what the instance keeps.
fn inside(control: &Control) -> Inside {
    match control {
        // Logs that have expired are needed to see them go, and a ledger without any to see what it holds.
        Control::LogRetention(_) | Control::LogPurge(_) => Inside::WithOldLogs,
        Control::TlsAcme(_) => Inside::WithOldCertificate,
        Control::TlsPin(_)
        | Control::LedgerAppendOnly(_)
        | Control::LedgerTamper(_)
        | Control::LogAccess(_)
        | Control::LogSystemChange(_)
        | Control::LogSecurityEvent(_)
        | Control::LogCipher(_)
        | Control::LogPerf(_)
        | Control::BodyNoPersist(_)
        | Control::PayScripts(_)
        | Control::CacheCipher(_)
        | Control::BanHttp(_)
        | Control::BanAuto(_)
        | Control::RateUser(_)
        | Control::UptimeSlo(_)
        | Control::UptimeExclusions(_)
        | Control::BotUa(_)
        | Control::BotSignature(_)
        | Control::WafAttackSet(_)
        | Control::WafCustom(_)
        | Control::WafRuleAge(_)
        | Control::HostFirewall(_)
        | Control::StoreCipherHeader(_) => Inside::Kept,
        Control::BanSsh(_) => Inside::WithSshLog,
        Control::InputSchema(_) | Control::InputType(_) | Control::InputFormat(_) => Inside::WithDocument,
        _ => Inside::Nothing,
    }
}

/// The control with parameters that can hold on a scratch instance.
fn fitted(control: &Control, scratch: &Scratch) -> Control {
    let Control::NetOpenPorts(_) = control else { return control.clone() };
    let own = scratch.target.https.port();
    let plain = scratch.target.http.map(|address| address.port());
    let all: Vec<u16> = [own, scratch.neighbour].into_iter().chain(plain).collect();
    let (first, last) = (all.iter().min().copied().unwrap_or(own), all.iter().max().copied().unwrap_or(own));
    let ports = std::iter::once(own).chain(plain).collect();
    Control::NetOpenPorts(NetOpenPorts { ports, scan: PortRange { first, last } })
}

/// A policy of this one clause.
fn policy_of(control: &Control, more: &str, clock: &SystemClock) -> anyhow::Result<Policy> {
    let parameters: Vec<_> = control
        .parameters()
        .into_iter()
        .map(|parameter| format!("{} = {}", parameter.name, parameter.written))
        .collect();
    let section = match control {
        Control::CoverageSection(roll_up) => roll_up.section.as_str().to_owned(),
        _ => String::from("scratch"),
    };
    let companion = match control {
        Control::CoverageSection(_) => format!(
            "[clause.companion]\nsection = {section:?}\ntext = \"Framing is refused.\"\ncontrol = \"hdr.frame\"\nseverity = \"low\"\n"
        ),
        _ => String::new(),
    };
    let text = format!(
        "schema = \"reeve.policy/1\"\n[policy]\ntitle = \"Scratch\"\ncompany = \"Scratch\"\nversion = \"1\"\n\
         owner = \"scratch@example.com\"\nreview = {{ every = \"12 months\", last = 2026-11-01, approvers = 1 }}\n\
         [section.{section:?}]\ntitle = \"Scratch\"\n\
         [clause.judged]\nsection = {section:?}\ntext = \"The control is on.\"\ncontrol = {:?}\nwith = {{ {} }}\n\
         severity = \"low\"\n{companion}{}",
        control.facts().name,
        parameters.join(", "),
        more.replace("SECTION", &section),
    );
    parse(&text, clock)
}

fn parse(text: &str, clock: &SystemClock) -> anyhow::Result<Policy> {
    let today = clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let checked = reeve_policy::check("scratch policy", text.as_bytes(), today);
    let refused = crate::diagnostics::Refused { source: checked.source, faults: checked.faults };
    checked.policy.ok_or(refused).hint("the scratch policy is made from the control's parameters")
}

fn show(outcomes: &[Outcome], json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let missed = outcomes.iter().filter(|outcome| !outcome.noticed()).count();
    if json {
        let value = serde_json::json!({ "schema": "reeve.mutation/1", "controls": outcomes, "missed": missed });
        screen.data(format_args!("{value:#}"))?;
    } else {
        let header = ["probe", "control", "on", "off", "what it saw then"].map(str::to_owned);
        screen.data(screen.table(Some(header), outcomes.iter().map(cells)))?;
        screen.data("")?;
        let noticed = outcomes.len() - missed;
        screen.data(format_args!("{noticed} of {} probes turned broken when their control was off", outcomes.len()))?;
    }
    Ok(if missed == 0 { ExitCode::Holds } else { ExitCode::FoundWanting })
}

fn cells(outcome: &Outcome) -> [String; 5] {
    let word = |verdict: &Verdict| paint(style(verdict), verdict);
    let noticed = if outcome.noticed() { paint(GOOD, "notices") } else { paint(BAD, "blind") };
    [noticed, outcome.control.clone(), word(&outcome.on), word(&outcome.off), outcome.seen.clone()]
}

/// Long enough to be seen, short enough to be waited for.
const SCRATCH_BAN: Period = Period::seconds(3);

const SCRATCH_PERIOD: Period = Period::seconds(2);

/// A promise that nothing runs for.
const PLANNED_CLAUSE: &str = "[clause.planned]\nsection = \"SECTION\"\ntext = \"Accounts lock.\"\ncontrol = \"identity.lockout\"\nseverity = \"low\"\n";
