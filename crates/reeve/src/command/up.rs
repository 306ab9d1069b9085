//! `reeve up`: the gateway, in front of the application, until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use reeve_base::{SystemClock, SystemEntropy};
use reeve_edge::Gateway;
use reeve_policy::catalogue::Controls;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Deployment, Reply, Request, Socket};
use crate::environment;
use crate::exit::ExitCode;
use crate::failure;
use crate::keeping::{Act, Keeping, UptimePlan};
use crate::sandbox;
use crate::screen::{GOOD, STRONG, Screen, paint};

/// Run the gateway in front of the application
///
/// Enforces the policy that the settings name, until Ctrl-C or SIGTERM; then nothing new is accepted and open requests
/// may end. SIGHUP, or `reeve reload`, reads settings and policy again: both take effect together, or neither does.
/// Events go to the access log that the settings name, one JSON object a line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve init --upstream http://127.0.0.1:3000 && reeve up
  reeve up --config /etc/reeve/reeve.toml";

pub(crate) fn run(args: &UpArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let level =
        std::env::var(environment::LOG.name).ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::WARN);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
    let clock = Arc::new(SystemClock::new());
    let deployment = Deployment::read(&args.config.config, &*clock)?;
    deployment::show_warnings(&deployment.warnings, screen);
    // Before the sandbox, inside which nothing can be run, and before the keys, which it has no business with.
    let hook = deployment.start_hook()?;
    // The keys before the sandbox, because the seal is out of reach inside; everything that has threads after it,
    // because Landlock and capabilities belong to a thread and go over to those that it starts.
    let vault = deployment.kept().unlock(&*clock, Arc::new(SystemEntropy))?;
    let plan = sandbox::Plan::of(&args.config.config, &deployment);
    // Asking for them takes a socket that the sandbox refuses.
    let own = deployment::own_networks().context("cannot find out this machine's own addresses")?;
    // Read from a file that may be out of reach later.
    let zone = jiff::tz::TimeZone::system();
    // It keeps rights that this process gives up, so it is started before.
    let helper = deployment.firewall_helper()?;
    let shut_in = sandbox::enter(&plan, deployment.loaded.settings.server.sandbox.into())?;
    for line in shut_in.warnings().iter().chain(&shut_in.notes) {
        screen.complain(format_args!("sandbox: {line}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let socket = Socket::open(&deployment.loaded.settings.data.value)?;
        let keeping = deployment.keep(vault, &clock).await?.shut_in(&shut_in)?.standing_on(own, zone).with_dns(hook);
        let keeping = Arc::new(keeping);
        if let Some(helper) = helper {
            keeping.guard_host(helper).context("cannot copy bans into the kernel")?;
        }
        deployment.exempt(&keeping);
        keeping.restore_bans().await?;
        keeping.restore_maintenance().await?;
        keeping.restore_uptime().await?;
        let me = format!("uid:{}", rustix::process::getuid().as_raw());
        deployment.record_system(&keeping).await?;
        keeping.act(&act("gateway.start", &me, "start", &deployment)).await?;
        let settings = deployment.edge(&keeping).await;
        let (gateway, writer) = deployment.start(&clock, &keeping, settings)?;
        keeping.tell_scripts().await;
        deployment.watch(&keeping).await?;
        measure(&deployment, &keeping);
        let tending = tokio::spawn({
            let keeping = Arc::clone(&keeping);
            async move { tokio::join!(keeping.tend(), keeping.care(), keeping.measure()) }
        });
        greet(&deployment, &gateway, screen);
        let running =
            Running { args, started: &deployment, gateway: &gateway, keeping: &keeping, clock: &clock, screen };
        running.until_stopped(&socket, &me).await?;
        screen.talk("stopping: open requests may end");
        drop(socket);
        tending.abort();
        // However it ended, it has let go of everything by then.
        let _ = tending.await;
        gateway.stop().context("the gateway did not end well")?;
        if let Some(writer) = writer {
            // Its only fault would be a panic, and then there is nothing left to write.
            let _ = writer.join();
        }
        keeping.act(&act("gateway.stop", &me, "stop", &deployment)).await?;
        keeping.close().await?;
        Ok(ExitCode::Holds)
    })
}

/// Something that happens to the gateway as a whole.
fn act<'a>(activity: &'static str, actor: &'a str, action: &'static str, deployment: &'a Deployment) -> Act<'a> {
    Act { activity, actor, action, object: &deployment.policy.version }
}

/// Measures what the policy promises of availability, if it does, where visitors come in.
fn measure(deployment: &Deployment, keeping: &Keeping) {
    let controls = Controls::of(&deployment.policy);
    let by_name = deployment.loaded.settings.listen.public.is_some();
    let plan = controls.uptime_slo.as_ref().and_then(|_| match super::prove::own_target(deployment) {
        Ok(target) => Some(UptimePlan { target, by_name }),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "whether the site answers cannot be measured");
            None
        }
    });
    keeping.promise_uptime(&controls, plan);
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

/// A gateway that runs, and what its operators may tell it.
struct Running<'r> {
    args: &'r UpArgs,
    started: &'r Deployment,
    gateway: &'r Gateway,
    keeping: &'r Arc<Keeping>,
    clock: &'r SystemClock,
    screen: &'r Screen,
}

impl Running<'_> {
    async fn until_stopped(&self, socket: &Socket, me: &str) -> anyhow::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hang_up.recv() => {
                    self.reload(me).await;
                }
                (request, conversation) = socket.next() => {
                    let asker = conversation.asker();
                    if request == Request::Reload {
                        conversation.reply(&self.reload(&asker).await).await;
                        continue;
                    }
                    // A search through the ledger takes its time, and a stop must not wait for it.
                    let keeping = Arc::clone(self.keeping);
                    tokio::spawn(async move { conversation.reply(&keeping.answer(request, &asker).await).await });
                }
            }
        }
    }

    /// Reads everything again. Whatever is wrong with it is shown here and told to whoever asked.
    async fn reload(&self, asker: &str) -> Reply {
        match self.try_reload(asker).await {
            Ok(text) => {
                self.screen.talk(&text);
                Reply::done(text, serde_json::Value::Null)
            }
            Err(error) => {
                let text = failure::explain(&error, self.screen.width());
                self.screen.complain(&text);
                self.screen.complain("not reloaded: the gateway goes on with what it had");
                Reply::refused(text)
            }
        }
    }

    /// What is new is recorded before it takes effect: while nothing can be recorded, nothing can be changed.
    async fn try_reload(&self, asker: &str) -> anyhow::Result<String> {
        let deployment = Deployment::read(&self.args.config.config, self.clock)?;
        deployment.rehearse(self.clock)?;
        self.keeping.act(&act("gateway.reload", asker, "reload", &deployment)).await?;
        deployment.record_system(self.keeping).await?;
        let settings = deployment.edge(self.keeping).await;
        let reloaded = deployment.reload(self.gateway, self.keeping, &settings);
        if reloaded.is_err() {
            self.keeping.act(&act("gateway.reload_failed", asker, "reload", &deployment)).await?;
            self.started.record_system(self.keeping).await?;
        }
        let mut later = reloaded?.after_restart;
        deployment.watch(self.keeping).await?;
        measure(&deployment, self.keeping);
        later.extend(deployment.fixed_since(self.started));
        deployment::show_warnings(&deployment.warnings, self.screen);
        let mut text = format!("reloaded: {} {}", deployment.policy.title, deployment.policy.version);
        if !later.is_empty() {
            text += &format!("; changed and in effect only from the next start: {}", later.join(", "));
        }
        Ok(text)
    }
}
