//! A gateway that runs, what its operators may tell it, and how it comes to its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use reeve_base::SystemClock;
use reeve_edge::{DnsHook, Gateway};
use reeve_policy::catalogue::{Controls, OnFailure};
use reeve_vault::Vault;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use super::act;
use crate::command::prove;
use crate::deployment::{self, Conversation, Deployment, Reply, Request, Socket};
use crate::failure;
use crate::journal::Helper as Journals;
use crate::keeping::{self, Keeping, Rest, UptimePlan};
use crate::metrics;
use crate::sandbox;
use crate::screen::Screen;
use crate::upgrade::giving::{Sockets, Successor};
use crate::upgrade::helper::Helper;
use crate::upgrade::notify::Supervisor;
use crate::upgrade::relay::Relay;

/// What a keeping stands on and cannot be had a second time once the process is shut in.
pub(super) struct Foundation {
    pub(super) vault: Arc<Vault>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) shut_in: sandbox::Status,
    pub(super) own: Vec<IpNet>,
    pub(super) zone: TimeZone,
    pub(super) hook: Option<Arc<dyn DnsHook>>,
    pub(super) journals: Option<Arc<Journals>>,
}

impl Foundation {
    /// Opens ledger and store.
    pub(super) async fn keep(&self, deployment: &Deployment) -> anyhow::Result<Keeping> {
        let keeping = deployment.keep(Arc::clone(&self.vault), &self.clock).await?.shut_in(&self.shut_in)?;
        let keeping = keeping.standing_on(self.own.clone(), self.zone.clone()).with_dns(self.hook.clone());
        Ok(keeping.with_journals(self.journals.clone()))
    }
}

/// Purges, renews, takes notice, tells its figures, until it is told to stop.
pub(super) fn tend(keeping: &Arc<Keeping>, metrics: Option<metrics::Listener>) -> tokio::task::JoinHandle<()> {
    let keeping = Arc::clone(keeping);
    tokio::spawn(async move {
        let serving = async {
            if let Some(metrics) = metrics {
                metrics.serve(&keeping).await;
            }
        };
        tokio::join!(keeping.tend(), keeping.care(), keeping.measure(), serving);
    })
}

/// Measures what the policy promises of availability, if it does, where visitors come in.
pub(super) fn measure(deployment: &Deployment, keeping: &Keeping) {
    let controls = Controls::of(&deployment.policy);
    let by_name = deployment.loaded.settings.listen.public.is_some();
    let plan = controls.uptime_slo.as_ref().and_then(|_| match prove::own_target(deployment) {
        Ok(target) => Some(UptimePlan { target, by_name }),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "whether the site answers cannot be measured");
            None
        }
    });
    keeping.promise_uptime(&controls, plan);
}

/// A gateway that runs.
pub(super) struct Running<'r> {
    pub(super) config: &'r Path,
    pub(super) started: &'r Deployment,
    /// What it was last reloaded with.
    pub(super) now: Option<Deployment>,
    pub(super) gateway: Gateway,
    /// There but for the moment in which another process takes over, as is the socket.
    pub(super) keeping: Option<Arc<Keeping>>,
    pub(super) tending: tokio::task::JoinHandle<()>,
    pub(super) socket: Option<Socket>,
    pub(super) foundation: &'r Foundation,
    pub(super) relay: &'r Arc<Relay>,
    pub(super) successors: &'r Arc<Mutex<Helper>>,
    /// What is left once another process has the rest.
    pub(super) rest: Option<Rest>,
    pub(super) me: &'r str,
    pub(super) screen: &'r Screen,
}

/// What somebody wants of it.
enum Wish {
    Stop,
    Reload,
    Upgrade,
    Question(Request, Conversation),
}

/// How it came to its end.
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// Another process serves: this one.
    Succeeded(Box<Successor>, u32),
}

impl Running<'_> {
    pub(super) async fn until_stopped(&mut self) -> anyhow::Result<Ended> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut second = signal(SignalKind::user_defined2())?;
        loop {
            let socket = self.socket.as_ref().context("the control socket is gone")?;
            let wish = tokio::select! {
                _ = interrupt.recv() => Wish::Stop,
                _ = terminate.recv() => Wish::Stop,
                _ = hang_up.recv() => Wish::Reload,
                _ = second.recv() => Wish::Upgrade,
                (request, conversation) = socket.next() => Wish::Question(request, conversation),
            };
            match wish {
                Wish::Stop => return Ok(Ended::Stopped),
                Wish::Reload => {
                    let me = self.me.to_owned();
                    self.reload(&me).await;
                }
                Wish::Question(Request::Reload, conversation) => {
                    let reply = self.reload(&conversation.asker()).await;
                    conversation.reply(&reply).await;
                }
                Wish::Upgrade => {
                    let me = self.me.to_owned();
                    let (successor, _) = self.upgrade(None, &me).await?;
                    if let Some((by, pid)) = successor {
                        return Ok(Ended::Succeeded(Box::new(by), pid));
                    }
                }
                Wish::Question(Request::Upgrade { program }, conversation) => {
                    let (successor, reply) = self.upgrade(program, &conversation.asker()).await?;
                    conversation.reply(&reply).await;
                    if let Some((by, pid)) = successor {
                        return Ok(Ended::Succeeded(Box::new(by), pid));
                    }
                }
                Wish::Question(request, conversation) => {
                    let asker = conversation.asker();
                    // A search through the ledger takes its time, and a stop must not wait for it.
                    let keeping = Arc::clone(self.keeping()?);
                    tokio::spawn(async move { conversation.reply(&keeping.answer(request, &asker).await).await });
                }
            }
        }
    }

    fn now(&self) -> &Deployment {
        self.now.as_ref().unwrap_or(self.started)
    }

    /// Reads everything again. Whatever is wrong with it is shown here and told to whoever asked.
    async fn reload(&mut self, asker: &str) -> Reply {
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

    /// With the firewall's rules, which take their time.
    async fn prepared(&self, mut deployment: Deployment) -> anyhow::Result<Deployment> {
        let clock = Arc::clone(&self.foundation.clock);
        spawn_blocking(move || deployment.prepare_rules(&*clock).map(|()| deployment)).await?
    }

    /// What is new is recorded before it takes effect: while nothing can be recorded, nothing can be changed.
    async fn try_reload(&mut self, asker: &str) -> anyhow::Result<String> {
        let deployment = self.prepared(Deployment::read(self.config, &*self.foundation.clock)?).await?;
        deployment.rehearse(&*self.foundation.clock)?;
        self.keeping()?.act(&act("gateway.reload", asker, "reload", &deployment)).await?;
        deployment.record_system(self.keeping()?).await?;
        deployment.record_rules(self.keeping()?, asker).await?;
        let settings = deployment.edge(self.keeping()?).await;
        let reloaded = deployment.reload(&self.gateway, self.keeping()?, &settings);
        if reloaded.is_err() {
            self.keeping()?.act(&act("gateway.reload_failed", asker, "reload", &deployment)).await?;
            self.started.record_system(self.keeping()?).await?;
        }
        let mut later = reloaded?.after_restart;
        deployment.watch(self.keeping()?).await?;
        measure(&deployment, self.keeping()?);
        later.extend(deployment.fixed_since(self.started));
        deployment::show_warnings(&deployment.warnings, self.screen);
        let mut text = format!("reloaded: {} {}", deployment.policy.title, deployment.policy.version);
        if !later.is_empty() {
            text += &format!("; changed and in effect only from the next start: {}", later.join(", "));
        }
        self.now = Some(deployment);
        Ok(text)
    }

    /// Lets another binary take over. If it does not come so far, everything is as before.
    ///
    /// # Errors
    /// When what was let go of could not be taken up again: then this process cannot go on.
    async fn upgrade(
        &mut self,
        program: Option<PathBuf>,
        asker: &str,
    ) -> anyhow::Result<(Option<(Successor, u32)>, Reply)> {
        let error = match self.prepare(program, asker).await {
            Ok((successor, version)) => match self.hand_over(successor).await? {
                Ok((successor, pid)) => {
                    let text = format!("upgraded: reeve {version}, process {pid}, serves; this one ends its requests");
                    self.screen.talk(&text);
                    let data = json!({ "old": std::process::id(), "new": pid, "version": version });
                    return Ok((Some((successor, pid)), Reply::done(text, data)));
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        let text = failure::explain(&error, self.screen.width());
        self.screen.complain(&text);
        self.screen.complain("not upgraded: the gateway goes on as it was");
        // What could not be recorded does not stop what goes on.
        if let Err(error) = self.keeping()?.act(&act("gateway.upgrade_failed", asker, "upgrade", self.now())).await {
            tracing::error!(%error, "that the upgrade failed could not be recorded");
        }
        self.keeping()?.refill_firewall();
        Ok((None, Reply::refused(text)))
    }

    /// Everything that can go wrong while nothing has changed.
    async fn prepare(&self, program: Option<PathBuf>, asker: &str) -> anyhow::Result<(Successor, String)> {
        self.keeping()?.act(&act("gateway.upgrade", asker, "upgrade", self.now())).await?;
        let sockets = Sockets::of(self.gateway.sockets())?;
        let (helper, within) = (Arc::clone(self.successors), self.now().loaded.settings.server.upgrade.duration());
        Ok(spawn_blocking(move || Successor::start(&helper, program, &sockets, within)).await??)
    }

    /// Lets go of ledger, store and control socket for the one who takes over, and takes them up again if it does not.
    async fn hand_over(&mut self, mut successor: Successor) -> anyhow::Result<anyhow::Result<(Successor, u32)>> {
        let refuse = keeping::on_failure(&Controls::of(&self.now().policy)) == OnFailure::Refuse;
        self.tending.abort();
        let _ = (&mut self.tending).await;
        if !self.keeping_is_free().await {
            spawn_blocking(move || successor.end()).await?;
            self.tending = tend(self.keeping()?, self.started.metrics()?);
            return Ok(Err(anyhow::anyhow!("somebody is still being answered out of ledger or store; try again")));
        }
        self.relay.hold(refuse);
        self.keeping()?.stop_watching().await;
        self.socket = None;
        let keeping = self.keeping.take().context("it is let go of already")?;
        let rest = keeping.let_go().await?;
        let (successor, went) = spawn_blocking(move || {
            let went = successor.go();
            (successor, went)
        })
        .await?;
        match went {
            Ok(pid) => {
                rest.leave_firewall();
                self.rest = Some(rest);
                Ok(Ok((successor, pid)))
            }
            Err(error) => {
                self.take_up(rest).await.context("cannot take up again what was let go of")?;
                Ok(Err(error.into()))
            }
        }
    }

    /// Opens again what was let go of, and hands on what has waited.
    async fn take_up(&mut self, rest: Rest) -> anyhow::Result<()> {
        let keeping = Arc::new(self.foundation.keep(self.started).await?.with(rest));
        keeping.restore_maintenance().await?;
        keeping.restore_uptime().await?;
        keeping.attend(&self.gateway);
        let controls = Controls::of(&self.now().policy);
        keeping.follow(keeping::on_failure(&controls));
        keeping.roll_up(&controls);
        self.now().follow_rules(&keeping);
        self.now().exempt(&keeping);
        self.socket = Some(Socket::open(&self.started.loaded.settings.data.value)?);
        self.relay.resume(keeping.recorder());
        self.now().watch(&keeping).await?;
        measure(self.now(), &keeping);
        self.tending = tend(&keeping, self.started.metrics()?);
        self.keeping = Some(keeping);
        Ok(())
    }

    fn keeping(&self) -> anyhow::Result<&Arc<Keeping>> {
        self.keeping.as_ref().context("ledger and store were let go of")
    }

    /// Waits until nobody else uses ledger and store, for a while.
    async fn keeping_is_free(&self) -> bool {
        let free = async {
            while self.keeping.as_ref().is_some_and(|keeping| Arc::strong_count(keeping) > 1) {
                tokio::time::sleep(FREE_LOOK).await;
            }
        };
        tokio::time::timeout(FREE_MAX, free).await.is_ok()
    }
}

/// Ends with what was told: waits for the requests that are under way, for the log, and for what is kept.
pub(super) async fn close(
    running: Running<'_>,
    outcome: Ended,
    writer: Option<JoinHandle<()>>,
    supervisor: &Supervisor,
) -> anyhow::Result<()> {
    let Running { gateway, screen, socket, tending, keeping, relay, started, me, rest, .. } = running;
    match outcome {
        Ended::Stopped => {
            screen.talk("stopping: open requests may end");
            supervisor.stopping();
            drop(socket);
            tending.abort();
            // However it ended, it has let go of everything by then.
            let _ = tending.await;
            gateway.stop().context("the gateway did not end well")?;
        }
        Ended::Succeeded(successor, pid) => {
            supervisor.succeeded_by(pid);
            let relay = Arc::clone(relay);
            let feeder = std::thread::Builder::new().name(String::from("successor")).spawn({
                let relay = Arc::clone(&relay);
                move || successor.feed(&relay)
            })?;
            gateway.leave().context("the gateway did not end well")?;
            relay.end();
            if let Ok(Err(error)) = feeder.join() {
                tracing::error!(%error, "the last events did not all reach the process that has taken over");
            }
        }
    }
    if let Some(writer) = writer {
        // Its only fault would be a panic, and then there is nothing left to write.
        let _ = writer.join();
    }
    drop(rest);
    if let Some(keeping) = keeping {
        keeping.act(&act("gateway.stop", me, "stop", started)).await?;
        keeping.close().await?;
    }
    Ok(())
}

const FREE_LOOK: Duration = Duration::from_millis(5);

/// The longest that an answer over the control socket may hold up an upgrade.
const FREE_MAX: Duration = Duration::from_secs(10);
