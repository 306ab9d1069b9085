//! `reeve prove`: tries every promise from outside and says which hold.

mod firewall;
mod history;
mod house;
pub(crate) mod mutate;
mod progress;
mod rules;
mod scratch;
mod secure_back;

pub(crate) mod table;
mod weak_front;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use reeve_base::{Clock, SystemClock, SystemEntropy, Verdict};
use reeve_policy::Policy;
use reeve_prove::{Options, Report, Target, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Deployment, Request};
use crate::diagnostics::Refused;
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::input;
use crate::keeping;
use crate::screen::Screen;
use crate::settings::{Access, Located, PublicUrl, Tls};

pub(crate) use house::{House, HousePlan};
pub(crate) use progress::Watcher;
pub(crate) use scratch::{sample_session, sample_upstream};

/// Try every promise from outside and say which hold
///
/// Without --target, the deployment of this folder is judged by its own policy. With it, any site is judged by any
/// policy; no Reeve needs to be there. Requests are bounded in number and name themselves in User-Agent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// A site to judge, such as `https://example.com`: only with the consent of whoever runs it
    #[arg(long, value_name = "URL", requires = "policy")]
    target: Option<String>,

    /// The policy to judge by, instead of the one that the settings name
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// The target's plaintext port [default: 80 if its TLS port is 443]
    #[arg(long, value_name = "PORT", requires = "target")]
    http_port: Option<u16>,

    /// Certificate authorities in PEM that vouch for the target, instead of those of this machine
    #[arg(long, value_name = "FILE", requires = "target")]
    ca: Option<PathBuf>,

    /// A path of the target that answers with a server error, for `error.page`
    #[arg(long, value_name = "PATH", requires = "target")]
    error_path: Option<String>,

    /// A path of the target that shows a stack trace under a status below 500, for `error.no_debug`
    #[arg(long, value_name = "PATH", requires = "target")]
    trace_path: Option<String>,

    /// The most requests and handshakes of the whole run
    #[arg(long, value_name = "N")]
    requests_max: Option<u32>,

    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// List also the clauses that nothing judges yet
    #[arg(long)]
    all: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Write the report as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Show how this clause was judged in the past, from the evidence in the ledger
    #[arg(long, value_name = "CLAUSE", conflicts_with_all = ["target", "dry_run", "html", "all", "mutate"])]
    history: Option<String>,

    /// Switch each control off in a scratch instance and require its probe to notice
    #[arg(long, conflicts_with_all = ["target", "dry_run", "html", "all"])]
    mutate: bool,

    /// With --mutate: only these controls
    #[arg(value_name = "CONTROL", requires = "mutate")]
    controls: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  reeve prove                                              the deployment of this folder
  reeve prove --html report.html                           the same, as a page to print
  reeve prove --target https://example.com --policy p.toml any site, from outside
  reeve prove --target https://example.com --policy p.toml --dry-run
  reeve prove --history tls-floor                          how a clause was judged before
  reeve prove --mutate                                     can every probe fail?
  reeve prove --mutate hdr.csp rate.ip

Exit codes:
  0  every clause that can be judged is kept
  1  a clause is broken (with --mutate: a probe did not notice)
  2  none is broken, and something could not be judged";

pub(crate) fn run(args: &ProveArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    if let Some(clause) = &args.history {
        return history::run(clause, &args.config.config, args.json, screen);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start")?;
    if args.mutate {
        return runtime.block_on(mutate::run(&args.controls, args.policy.as_deref(), args.json, screen));
    }
    let clock = Arc::new(SystemClock::new());
    let (policy, target) = runtime.block_on(subject(args, &clock))?;
    let control = target.house.as_ref().map(|house| house.control.clone());
    let mut options = Options::new(&target, clock, Arc::new(SystemEntropy));
    if let Some(most) = args.requests_max {
        options.requests_max = most;
    }
    if args.dry_run {
        return dry_run(&policy, &target, &options, args.json, screen);
    }
    let report = runtime.block_on(judge(&policy, &target, &options, screen));
    if let Some(control) = control {
        record(&report, &control, screen);
    }
    if let Some(path) = &args.html {
        std::fs::write(path, report.to_html()).with_context(|| format!("cannot write `{}`", path.display()))?;
        screen.talk(format_args!("report written to {}", path.display()));
    }
    if args.json {
        screen.data(format_args!("{:#}", report.to_json()))?;
    } else {
        table::show(&report, if args.all { table::Rows::All } else { table::Rows::Judged }, screen)?;
    }
    Ok(report.conclusion().into())
}

/// Judges, with progress on the screen.
pub(crate) async fn judge(policy: &Policy, target: &Target, options: &Options, screen: &Screen) -> Report {
    screen.talk(format_args!("judging {} by {} {}", target.url, policy.title, policy.version));
    let watcher = Watcher::new(screen);
    let report = reeve_prove::judge(policy, target, options, &|progress| watcher.take(progress)).await;
    watcher.finish();
    report
}

/// Hands the evidence to the gateway's ledger. A judgement stands whether it can be recorded or not.
fn record(report: &Report, control: &Path, screen: &Screen) {
    let rows = report.rows.iter().filter(|row| row.judged()).map(|row| {
        let mut value = serde_json::to_value(&row.evidence).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.insert(String::from("verdict"), row.evidence.verdict.word().into());
            if let Verdict::Unknown { cause } = &row.evidence.verdict {
                members.insert(String::from("unknown"), cause.to_string().into());
            }
        }
        value
    });
    let rows: Vec<_> = rows.collect();
    let Some(folder) = control.parent() else { return };
    match deployment::ask(folder, &Request::Evidence { rows }) {
        Ok(reply) if reply.done => screen.talk(format_args!("evidence in the ledger: {}", reply.text)),
        Ok(reply) => screen.complain(format_args!("the evidence is not recorded: {}", reply.text)),
        Err(error) => screen.complain(format_args!("the evidence is not recorded: {error}")),
    }
}

/// What is judged, and by what.
async fn subject(args: &ProveArgs, clock: &SystemClock) -> anyhow::Result<(Policy, Target)> {
    let Some(url) = &args.target else {
        let config = &args.config.config;
        let read = Deployment::read(config, clock);
        let deployment = if config.exists() {
            read?
        } else {
            read.context("no deployment to judge")
                .hint("`reeve prove --target URL --policy FILE` judges a site without one")?
        };
        let target = own_target(&deployment)?;
        let policy = match &args.policy {
            Some(path) => read_policy(path, clock)?,
            None => deployment.policy,
        };
        return Ok((policy, target));
    };
    let path = args.policy.as_deref().context("no policy to judge by")?;
    let policy = read_policy(path, clock)?;
    let mut target = Target::resolve(url, args.http_port).await?;
    if let Some(path) = &args.ca {
        target.trust = authorities(path)?;
    }
    target.error_path.clone_from(&args.error_path);
    target.trace_path.clone_from(&args.trace_path);
    Ok((policy, target))
}

/// Reads a policy, or shows all its faults.
pub(crate) fn read_policy(path: &Path, clock: &dyn Clock) -> anyhow::Result<Policy> {
    let text = input::read(path)?;
    let today = clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let checked = reeve_policy::check(&text.name, &text.bytes, today);
    checked.policy.ok_or_else(|| Refused { source: checked.source, faults: checked.faults }.into())
}

pub(crate) fn authorities(path: &Path) -> anyhow::Result<Trust> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let authorities = read().with_context(|| format!("cannot read certificates from `{}`", path.display()))?;
    anyhow::ensure!(!authorities.is_empty(), "`{}` holds no certificate in PEM", path.display());
    Ok(Trust::Authorities(authorities))
}

/// The deployment's own listeners, called by the name that clients use.
pub(crate) fn own_target(deployment: &Deployment) -> anyhow::Result<Target> {
    let settings = &deployment.loaded.settings;
    let reachable = |listener: Option<&Located<SocketAddr>>| listener.map(|listener| reachable(listener.value));
    // Where a preamble is asked for, only proxies come in; a listener beside it is for those on this machine.
    let preamble = |listener: &Located<SocketAddr>| {
        settings.listen.proxies.preamble.iter().any(|named| named.value == listener.value)
    };
    let https = settings.listen.https.iter().find(|listener| !preamble(listener));
    let https = reachable(https)
        .context("the settings name no TLS listener that can be reached without a proxy")
        .hint("add one on loopback to `https`, and leave it out of `proxy_protocol`")?;
    let host = match (&settings.listen.public, &settings.tls) {
        (Some(Located { value: PublicUrl { host, .. }, .. }), _) => host.clone(),
        (None, Tls::Local(names) | Tls::Acme(names)) => {
            names.first().map_or_else(|| https.ip().to_string(), |name| name.value.as_str().to_owned())
        }
        (None, Tls::Files { .. }) => https.ip().to_string(),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = settings.listen.public.as_ref().map_or(https.port(), |public| public.value.port);
    let trust = match deployment.authority() {
        Some(path) => authorities(&path).hint("the local authority is made by `reeve up`; is it running?")?,
        None => Trust::System,
    };
    Ok(Target {
        url: format!("https://{host}:{port}/").parse().with_context(|| format!("`{host}` is no host"))?,
        https,
        http: reachable(settings.listen.http.iter().find(|listener| !preamble(listener))),
        trust,
        error_path: settings.prove.error_path.clone(),
        trace_path: settings.prove.trace_path.clone(),
        house: Some(inside(deployment)?),
    })
}

/// The inside of the deployment, for its own judge.
fn inside(deployment: &Deployment) -> anyhow::Result<reeve_prove::House> {
    let settings = &deployment.loaded.settings;
    let mut places = vec![settings.data.value.clone()];
    if let Access::File(path) = &settings.access {
        places.push(path.value.clone());
    }
    let policy = std::fs::read(&settings.policy.value).context("cannot read the policy")?;
    Ok(reeve_prove::House {
        control: deployment::control_path(&settings.data.value),
        places,
        caches: settings.prove.caches.clone(),
        policy_digest: keeping::digest(&policy),
        ruleset: live_ruleset(),
    })
}

/// What prints the rules of this host's firewall.
pub(crate) fn live_ruleset() -> Vec<String> {
    // Where users have no /usr/sbin in their path, it is there all the same.
    let places = ["/usr/sbin/nft", "/sbin/nft"];
    let nft = places.into_iter().find(|place| Path::new(place).exists()).unwrap_or("nft");
    [nft, "-j", "list", "ruleset"].map(str::to_owned).to_vec()
}

/// A listener on all addresses is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn dry_run(
    policy: &Policy,
    target: &Target,
    options: &Options,
    json: bool,
    screen: &Screen,
) -> anyhow::Result<ExitCode> {
    let steps = reeve_prove::plan(policy, target, options);
    if json {
        screen.data(serde_json::to_string_pretty(&steps)?)?;
        return Ok(ExitCode::Holds);
    }
    let rows = steps.iter().map(|step| {
        [step.control.to_string(), step.requests.to_string(), step.connections.to_string(), step.sends.clone()]
    });
    let header = ["control", "requests", "connections", "what is sent"].map(str::to_owned);
    screen.data(screen.table(Some(header), rows))?;
    let requests: u32 = steps.iter().map(|step| step.requests).sum();
    screen.talk(format_args!(
        "about {requests} requests and handshakes to {} ({}), at most {}; nothing was sent",
        target.url, target.https, options.requests_max
    ));
    Ok(ExitCode::Holds)
}
