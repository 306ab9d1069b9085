//! `reeve up`: the gateway, in front of the application, until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use reeve_base::SystemClock;
use reeve_edge::Gateway;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Deployment, Socket};
use crate::environment;
use crate::exit::ExitCode;
use crate::failure;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let socket = Socket::open(&deployment.loaded.settings.data.value)?;
        let (gateway, writer) = deployment.start(&clock)?;
        greet(&deployment, &gateway, screen);
        until_stopped(args, &deployment, &gateway, &socket, &clock, screen).await?;
        screen.talk("stopping: open requests may end");
        drop(socket);
        gateway.stop().context("the gateway did not end well")?;
        if let Some(writer) = writer {
            // Its only fault would be a panic, and then there is nothing left to write.
            let _ = writer.join();
        }
        Ok(ExitCode::Holds)
    })
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
    let upstream = &deployment.loaded.settings.upstream.url.value;
    screen.talk(format_args!("in front of {}://{}:{}", upstream.protocol.scheme(), upstream.host, upstream.port));
    if let Some(authority) = deployment.authority() {
        screen.talk(format_args!("clients trust {}", authority.display()));
    }
}

async fn until_stopped(
    args: &UpArgs,
    started: &Deployment,
    gateway: &Gateway,
    socket: &Socket,
    clock: &SystemClock,
    screen: &Screen,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => {
                reload(args, started, gateway, clock, screen);
            }
            (deployment::Request::Reload, conversation) = socket.next() => {
                let reply = reload(args, started, gateway, clock, screen);
                conversation.reply(&reply).await;
            }
        }
    }
}

/// Reads everything again. Whatever is wrong with it is shown here and told to whoever asked.
fn reload(
    args: &UpArgs,
    started: &Deployment,
    gateway: &Gateway,
    clock: &SystemClock,
    screen: &Screen,
) -> deployment::Reply {
    let outcome = Deployment::read(&args.config.config, clock).and_then(|deployment| {
        let mut later = deployment.reload(gateway)?.after_restart;
        later.extend(deployment.fixed_since(started));
        Ok((deployment, later))
    });
    match outcome {
        Ok((deployment, later)) => {
            deployment::show_warnings(&deployment.warnings, screen);
            let mut text = format!("reloaded: {} {}", deployment.policy.title, deployment.policy.version);
            if !later.is_empty() {
                text += &format!("; changed and in effect only from the next start: {}", later.join(", "));
            }
            screen.talk(&text);
            deployment::Reply { done: true, text }
        }
        Err(error) => {
            let text = failure::explain(&error, screen.width());
            screen.complain(&text);
            screen.complain("not reloaded: the gateway goes on with what it had");
            deployment::Reply { done: false, text }
        }
    }
}
