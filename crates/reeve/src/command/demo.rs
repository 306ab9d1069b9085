//! `reeve demo`: a policy, an application, the gateway between it and the world, and the proof, in one command.

mod traffic;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reeve_base::{Clock, SystemClock, SystemEntropy};
use reeve_edge::{
    AccessLog, BotSettings, Certificate, Gateway, LocalAuthority, ProxySettings, Routing, Settings, Sites, Tools,
    WafSettings,
};
use reeve_policy::Policy;
use reeve_policy::catalogue::Controls;
use reeve_prove::{Options, Target};

use crate::application::{Application, Manners};
use crate::exit::ExitCode;
use crate::reference::Reference;
use crate::screen::{ADVICE, STRONG, Screen, paint};

use super::prove::{self, House, HousePlan, table};

/// See a policy enforced and proved, with nothing set up
///
/// Starts a sample application, puts the gateway before it, sends ordinary and hostile requests, shows what became of
/// each, and proves every clause of a short policy. Then it stays up for you to try yourself, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// End after the proof, with its exit code
    #[arg(long)]
    once: bool,

    /// Write the proof as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  reeve demo
  reeve demo --once --html proof.html";

pub(crate) fn run(args: &DemoArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start")?;
    runtime.block_on(show(args, screen))
}

async fn show(args: &DemoArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::new());
    let demo = Demo::start(&clock).await?;
    screen.talk(format_args!(
        "{}",
        paint(STRONG, "An order desk, careless as applications are, and Reeve in front of it")
    ));
    screen.talk(format_args!(
        "{} clauses from policies/demo.toml are enforced at https://{}",
        demo.policy.clauses.len(),
        demo.https,
    ));
    screen.talk(format_args!("the application itself is at http://{}", demo.application.address));
    screen.talk("");
    traffic::send(&demo, screen).await;

    screen.talk(paint(STRONG, "The proof: every clause, tried from outside"));
    let mut options = Options::new(&demo.target, clock, Arc::new(SystemEntropy));
    options.deadline = Duration::from_secs(5);
    let report = prove::judge(&demo.policy, &demo.target, &options, screen).await;
    table::show(&report, table::Rows::All, screen)?;
    if let Some(path) = &args.html {
        std::fs::write(path, report.to_html()).with_context(|| format!("cannot write `{}`", path.display()))?;
        screen.talk(format_args!("report written to {}", path.display()));
    }
    if !args.once {
        invite(&demo, screen);
        tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    }
    Ok(report.conclusion().into())
}

fn invite(demo: &Demo, screen: &Screen) {
    let ca = demo.ca.display();
    screen.talk("");
    screen.talk(paint(STRONG, "Try it yourself"));
    screen.talk(format_args!(
        "  {}  in a browser (its certificate is of an authority made for this run)",
        paint(ADVICE, &demo.target.url)
    ));
    screen.talk(format_args!("  curl --cacert {ca} {}api/orders", demo.target.url));
    screen.talk(format_args!(
        "  curl --cacert {ca} -i {}boom         the application's stack trace, replaced",
        demo.target.url
    ));
    screen.talk(format_args!("  curl -i http://{}/boom   the same without Reeve", demo.application.address));
    screen.talk("Ctrl-C ends it.");
}

/// Everything that runs.
pub(crate) struct Demo {
    policy: Policy,
    target: Target,
    https: SocketAddr,
    ca: PathBuf,
    events: Events,
    application: Application,
    gateway: Option<Gateway>,
    _house: House,
    // Last: the gateway's certificate authority is in it.
    _folder: tempfile::TempDir,
}

impl Demo {
    async fn start(clock: &Arc<SystemClock>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for this run")?;
        let today = clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let checked = reeve_policy::check("policies/demo.toml", Reference::Demo.text().as_bytes(), today);
        let policy = checked.policy.context("the built-in policy has a fault")?;
        let application = Application::start(Manners::Careless).context("cannot start the sample application")?;
        let authority = LocalAuthority {
            folder: folder.path().to_owned(),
            names: vec![String::from("localhost"), String::from("127.0.0.1")],
            valid_days: 90,
        };
        let ca = authority.certificate_path();
        let settings = Settings {
            https: vec![free(8443)],
            http: vec![free(8080)],
            public_port: None,
            certificate: Certificate::Local(authority),
            sites: Sites::default(),
            routing: Routing::default(),
            upstream: prove::sample_upstream(application.address),
            session: prove::sample_session(),
            proxies: ProxySettings::default(),
            bots: BotSettings::default(),
            waf: WafSettings::default(),
            pages: None,
            tracing: None,
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            connections_max: 4_096,
            drain: Duration::from_secs(1),
        };
        let events = Events::default();
        let (log, _) = AccessLog::to(Box::new(events.clone())).context("cannot start the event log")?;
        let time = Arc::clone(clock) as Arc<dyn Clock>;
        let plan = HousePlan { policy: Reference::Demo.text().as_bytes(), ..HousePlan::default() };
        let house = House::start(&Controls::of(&policy), plan, &folder.path().join("data"), &time).await?;
        let log = log.recorded_by(house.recorder());
        let (entropy, bans) = (Arc::new(SystemEntropy), house.bans());
        let tools = Tools { clock: time, entropy, log, bans, sealer: Some(house.sealer()) };
        let gateway = Gateway::start(settings, &Controls::of(&policy), tools)?;
        house.attend(&gateway);
        let https = gateway.https().first().copied().context("the gateway has no address")?;
        let target = Target {
            url: format!("https://localhost:{}/", https.port()).parse().context("the gateway has no address")?,
            https,
            http: gateway.http().first().copied(),
            trust: prove::authorities(&ca)?,
            error_path: Some(String::from("/boom")),
            trace_path: Some(String::from("/oops")),
            house: Some(house.seen()),
        };
        Ok(Self {
            policy,
            target,
            https,
            ca,
            events,
            application,
            gateway: Some(gateway),
            _house: house,
            _folder: folder,
        })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            // The proof is printed already; how the gateway ended changes nothing of it.
            let _ = gateway.stop();
        }
    }
}

/// The usual port if it is free, else any. The gateway itself binds it again, and says so if it was taken meanwhile.
fn free(port: u16) -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], port));
    if TcpListener::bind(usual).is_ok() { usual } else { SocketAddr::from(([127, 0, 0, 1], 0)) }
}

/// The gateway's events, kept for a while so that the demo can say which control refused what.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<u8>>>);

impl Events {
    /// The event with this id, once the gateway has written it.
    async fn find(&self, id: &str) -> Option<serde_json::Value> {
        for _ in 0..EVENT_TRIES {
            let found = {
                let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let lines = bytes.split(|byte| *byte == b'\n').rev();
                lines
                    .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
                    .find(|event| event.get("id").and_then(serde_json::Value::as_str) == Some(id))
            };
            if found.is_some() {
                return found;
            }
            tokio::time::sleep(EVENT_PAUSE).await;
        }
        None
    }
}

impl Write for Events {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > EVENT_BYTES_MAX {
            kept.clear();
        }
        kept.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Workers hand events over twice a second.
const EVENT_TRIES: u32 = 40;
const EVENT_PAUSE: Duration = Duration::from_millis(50);
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
