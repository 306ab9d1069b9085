//! `reeve up`: the gateway, in front of the application, until it is told to stop.

mod running;

use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Context;
use clap::Args;
use reeve_base::{Recorder, SystemClock, SystemEntropy};
use reeve_edge::{Gateway, Inherited};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Deployment, Socket};
use crate::environment;
use crate::exit::ExitCode;
use crate::failure;
use crate::keeping::Act;
use crate::sandbox;
use crate::screen::{GOOD, STRONG, Screen, paint};
use crate::upgrade::activation;
use crate::upgrade::notify::Supervisor;
use crate::upgrade::relay::Relay;
use crate::upgrade::taking::Predecessor;
use running::{Foundation, Running, measure, tend};

/// Run the gateway in front of the application
///
/// Enforces the policy that the settings name, until Ctrl-C or SIGTERM; then nothing new is accepted and open requests
/// may end. SIGHUP, or `reeve reload`, reads settings and policy again: both take effect together, or neither does.
/// SIGUSR2, or `reeve upgrade`, lets the program's newer file take over without a request that fails.
/// Events go to the access log that the settings name, one JSON object a line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Take over from the process at the other end of standard input
    #[arg(long, hide = true)]
    take_over: bool,
}

const EXAMPLES: &str = "\
Examples:
  reeve init --upstream http://127.0.0.1:3000 && reeve up
  reeve up --config /etc/reeve/reeve.toml";

pub(crate) fn run(args: &UpArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let level =
        std::env::var(environment::LOG.name).ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::WARN);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
    let (mut predecessor, sockets) = if args.take_over {
        let (predecessor, sockets) = Predecessor::meet()?;
        (Some(predecessor), sockets)
    } else {
        (None, activation::sockets())
    };
    let outcome = serve(args, screen, &mut predecessor, sockets);
    if let (Err(error), Some(predecessor)) = (&outcome, &mut predecessor) {
        predecessor.fail(failure::explain(error, screen.width()));
    }
    outcome
}

fn serve(
    args: &UpArgs,
    screen: &Screen,
    predecessor: &mut Option<Predecessor>,
    sockets: Vec<Inherited>,
) -> anyhow::Result<ExitCode> {
    let clock = Arc::new(SystemClock::new());
    let mut deployment = Deployment::read(&args.config.config, &*clock)?;
    deployment::show_warnings(&deployment.warnings, screen);
    // Before the sandbox, inside which nothing can be run, and before the keys, which it has no business with.
    let hook = deployment.start_hook()?;
    let journals = deployment.start_journals()?;
    let plan = sandbox::Plan::of(&args.config.config, &deployment);
    let successors = Arc::new(Mutex::new(deployment.upgrade_helper(&args.config.config, &plan)?));
    // Its socket is out of reach inside.
    let supervisor = Supervisor::connect();
    // The keys before the sandbox, because the seal is out of reach inside; everything that has threads after it,
    // because Landlock and capabilities belong to a thread and go over to those that it starts.
    let vault = deployment.kept().unlock(&*clock, Arc::new(SystemEntropy))?;
    // Asking for them takes a socket that the sandbox refuses.
    let own = deployment::own_networks().context("cannot find out this machine's own addresses")?;
    // Read from a file that may be out of reach later.
    let zone = jiff::tz::TimeZone::system();
    // It keeps rights that this process gives up, so it is started before.
    let firewall = deployment.firewall_helper()?;
    let shut_in = sandbox::enter(&plan, deployment.loaded.settings.server.sandbox.into())?;
    for line in shut_in.warnings().iter().chain(&shut_in.notes) {
        screen.complain(format_args!("sandbox: {line}"));
    }
    // Apart: what it takes to make them, several times what is left in the end, is given back when the thread ends.
    let prepared = thread::scope(|scope| scope.spawn(|| deployment.prepare_rules(&*clock)).join());
    prepared.map_err(|_| anyhow::anyhow!("reading the firewall's rules broke off"))??;
    if let Some(predecessor) = predecessor {
        // As much as can be known without what the other process holds.
        deployment.rehearse(&*clock)?;
        predecessor.prepared()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let socket = Socket::open(&deployment.loaded.settings.data.value)?;
        let foundation = Foundation { vault, clock: Arc::clone(&clock), shut_in, own, zone, hook, journals };
        let keeping = Arc::new(foundation.keep(&deployment).await?);
        if let Some(helper) = firewall {
            keeping.guard_host(helper).context("cannot copy bans into the kernel")?;
        }
        deployment.exempt(&keeping);
        keeping.restore_bans().await?;
        keeping.restore_maintenance().await?;
        keeping.restore_uptime().await?;
        let me = format!("uid:{}", rustix::process::getuid().as_raw());
        deployment.record_system(&keeping).await?;
        keeping.act(&act("gateway.start", &me, "start", &deployment)).await?;
        deployment.record_rules(&keeping, &me).await?;
        let settings = deployment.edge(&keeping).await;
        let relay = Arc::new(Relay::new(keeping.recorder()));
        let (gateway, writer) = deployment.start(&clock, &keeping, &relay, settings, sockets)?;
        // Before the other process is told, so that it goes on if the port is taken.
        let metrics = deployment.metrics()?;
        if let Some(predecessor) = predecessor.take() {
            predecessor
                .ready(Arc::clone(&relay) as Arc<dyn Recorder>)
                .context("the process before this one is gone")?;
        }
        supervisor.ready();
        keeping.tell_scripts().await;
        deployment.watch(&keeping).await?;
        measure(&deployment, &keeping);
        let tending = tend(&keeping, metrics);
        greet(&deployment, &gateway, screen);
        let mut running = Running {
            config: &args.config.config,
            started: &deployment,
            now: None,
            gateway,
            keeping: Some(keeping),
            tending,
            socket: Some(socket),
            rest: None,
            foundation: &foundation,
            relay: &relay,
            successors: &successors,
            me: &me,
            screen,
        };
        let outcome = running.until_stopped().await?;
        Box::pin(running::close(running, outcome, writer, &supervisor)).await?;
        Ok(ExitCode::Holds)
    })
}

/// Something that happens to the gateway as a whole.
fn act<'a>(activity: &'static str, actor: &'a str, action: &'static str, deployment: &'a Deployment) -> Act<'a> {
    Act { activity, actor, action, object: &deployment.policy.version }
}

fn greet(deployment: &Deployment, gateway: &Gateway, screen: &Screen) {
    let policy = &deployment.policy;
    let enforced = policy.controls().count();
    screen.talk(format_args!(
        "{} {} {}, {enforced} of {} clauses enforced or proved",
        paint(STRONG, &policy.company),
        policy.title,
        policy.version,
        policy.clauses.len(),
    ));
    for address in gateway.https() {
        screen.talk(format_args!("{} https://{address}", paint(GOOD, "serving")));
    }
    for address in gateway.http() {
        screen.talk(format_args!("{} http://{address}, plaintext", paint(GOOD, "serving")));
    }
    for upstream in deployment.loaded.settings.upstreams() {
        for url in upstream.urls().map(|url| &url.value) {
            screen.talk(format_args!("in front of {}://{}:{}", url.protocol.scheme(), url.host, url.port));
        }
    }
    if let Some(authority) = deployment.authority() {
        screen.talk(format_args!("clients trust {}", authority.display()));
    }
}
