//! The inside of an instance that lasts no longer than a command: keys, ledger and store of its own, a control socket,
//! and, for mutations, what is taken away from it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use jiff::SignedDuration;
use reeve_base::{
    Clock, Entropy, Purpose, Recorder, SealError, Sealer, Secret, SystemClock, SystemEntropy, Ticks, Timestamp,
};
use reeve_edge::{Bans, Gateway};
use reeve_ledger::proof::VerifierKey;
use reeve_ledger::witness::Witness;
use reeve_ledger::{Class, Entry};
use reeve_policy::catalogue::{Controls, OnFailure};
use reeve_prove::Target;
use reeve_watch::Kind;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::command::witness;
use crate::deployment::{self, Socket};
use crate::keeping::{self, Act, Followed, Keeping, Kept, Recorded, RulePlan, UptimePlan, Watched, Weakening};
use crate::settings::{self, Located};

use super::scratch::{Twist, Unrecorded};

/// The inside, for as long as this lives.
pub(crate) struct House {
    keeping: Arc<Keeping>,
    data: PathBuf,
    policy_digest: String,
    desk: JoinHandle<()>,
    witnesses: Vec<JoinHandle<()>>,
    care: OnceLock<JoinHandle<((), ())>>,
}

/// What is different from a deployment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HousePlan<'p> {
    /// What is taken away.
    pub(crate) twist: Twist,
    /// Whether there are request logs that have long expired.
    pub(crate) old_logs: bool,
    /// The log of an SSH server that is to be watched.
    pub(crate) ssh_log: Option<&'p Path>,
    /// The policy's text.
    pub(crate) policy: &'p [u8],
}

impl House {
    pub(crate) async fn start(
        controls: &Controls,
        plan: HousePlan<'_>,
        data: &Path,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let mut kept = Kept::scratch(data, controls);
        let HousePlan { twist, old_logs, policy, .. } = plan;
        let arrived = AtomicBool::new(!old_logs);
        let travel = Arc::new(Travel { clock: Arc::clone(clock), journey: LONG_AGO, arrived });
        let clock: Arc<dyn Clock> = Arc::clone(&travel) as Arc<dyn Clock>;
        let vault = kept.unlock(&*clock, Arc::clone(&entropy))?;
        let wanted = controls.ledger_tamper.as_ref().map_or(0, |control| control.witnesses);
        let witnesses = if wanted == 0 {
            Vec::new()
        } else {
            // A witness must know the log's key before it is asked, and the key is made with the log.
            let first = Keeping::open(
                kept.clone(),
                Arc::clone(&vault),
                OnFailure::Serve,
                Arc::clone(&clock),
                Arc::clone(&entropy),
                Weakening::default(),
            );
            let first = Arc::new(first.await?);
            let log = first.ledger.verifier_key().clone();
            first.close().await?;
            scratch_witnesses(wanted, &log, data, &mut kept).await?
        };
        let recorded = |what| if twist.unrecorded == Some(what) { Recorded::Never } else { Recorded::Each };
        let weakening = Weakening {
            acts: recorded(Unrecorded::Acts),
            requests: recorded(Unrecorded::Requests),
            system: recorded(Unrecorded::System),
            store_sealer: twist.bare_store.then(|| Arc::new(Bare) as Arc<dyn Sealer>),
        };
        let keeping = Keeping::open(kept, vault, keeping::on_failure(controls), clock, entropy, weakening).await?;
        let keeping = Arc::new(keeping);
        keeping.roll_up(controls);
        if old_logs {
            plant_old_logs(&keeping).await?;
            travel.arrive();
        }
        keeping.system(policy, policy).await?;
        let start = Act { activity: "gateway.start", actor: "reeve", action: "start", object: "scratch" };
        keeping.act(&start).await?;
        keeping.sealed().await?;
        if old_logs && !twist.unpurged {
            let report = keeping.purge_now().await?;
            anyhow::ensure!(!report.purged.is_empty(), "what has expired is not purged: {:?}", report.plan);
        }
        if twist.tampered {
            tamper(data)?;
        }
        if let Some(file) = plan.ssh_log {
            std::fs::write(file, b"")?;
            let log = Watched { kind: Kind::Sshd, log: Followed::File(file.to_owned()), rule: String::from("ban.ssh") };
            keeping.watch(vec![log], Vec::new()).await?;
        }
        let socket = Socket::open(data)?;
        let desk = tokio::spawn({
            let keeping = Arc::clone(&keeping);
            async move {
                let answering = async {
                    loop {
                        let (request, conversation) = socket.next().await;
                        let asker = conversation.asker();
                        conversation.reply(&keeping.answer(request, &asker).await).await;
                    }
                };
                let telling = async {
                    let mut tick = tokio::time::interval(BANS_EVERY);
                    loop {
                        tick.tick().await;
                        keeping.tell_bans().await;
                        keeping.tell_scripts().await;
                    }
                };
                tokio::join!(answering, telling);
            }
        });
        Ok(Self {
            keeping,
            data: data.to_owned(),
            policy_digest: keeping::digest(policy),
            desk,
            witnesses,
            care: OnceLock::new(),
        })
    }

    /// Takes a gateway's certificates into care.
    pub(crate) fn attend(&self, gateway: &Gateway) {
        self.keeping.attend(gateway);
        let keeping = Arc::clone(&self.keeping);
        // One gateway in the life of a house: a second one would not be cared for, and there is none.
        let _ = self.care.set(tokio::spawn(async move { tokio::join!(keeping.care(), keeping.measure()) }));
    }

    /// Measures whether this site answers, if the policy promises that.
    ///
    /// # Errors
    /// When the first measurement cannot be kept.
    pub(crate) async fn measure(&self, target: &Target, controls: &Controls) -> anyhow::Result<()> {
        self.keeping.promise_uptime(controls, Some(UptimePlan { target: target.clone(), by_name: false }));
        self.keeping.measure_now().await
    }

    /// Records which rules run.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub(crate) async fn record_rules(&self, gateway: &Gateway) -> anyhow::Result<()> {
        match gateway.firewall().facts() {
            Some(facts) => self.keeping.record_rules(&facts, "scratch").await,
            None => Ok(()),
        }
    }

    /// Follows a feed, and takes up what it has now.
    ///
    /// # Errors
    /// When that cannot be used.
    pub(crate) async fn follow_rules(&self, plan: RulePlan) -> anyhow::Result<()> {
        self.keeping.follow_rules(plan);
        self.keeping.update_rules("scratch").await.map(drop)
    }

    /// What the gateway hands its requests to.
    pub(crate) fn recorder(&self) -> Arc<dyn Recorder> {
        self.keeping.recorder()
    }

    /// Who is banned.
    pub(crate) fn bans(&self) -> Arc<Bans> {
        Arc::clone(&self.keeping.bans)
    }

    /// What seals the gateway's keys.
    pub(crate) fn sealer(&self) -> Arc<dyn Sealer> {
        Arc::clone(&self.keeping.vault) as Arc<dyn Sealer>
    }

    /// What a probe is shown of it.
    pub(crate) fn seen(&self) -> reeve_prove::House {
        reeve_prove::House {
            control: deployment::control_path(&self.data),
            places: vec![self.data.clone()],
            caches: Vec::new(),
            policy_digest: self.policy_digest.clone(),
            ruleset: Vec::new(),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.desk.abort();
        self.witnesses.iter().for_each(JoinHandle::abort);
        self.care.get().inspect(|care| care.abort());
    }
}

/// Starts witnesses of this log on this machine, and lets the instance know of them.
async fn scratch_witnesses(
    count: u16,
    log: &VerifierKey,
    data: &Path,
    kept: &mut Kept,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut tasks = Vec::new();
    for number in 1..=count {
        let name = format!("scratch/witness-{number}");
        let state = data.with_extension(format!("witness-{number}"));
        let witness = Arc::new(Witness::open(&state, &name, std::slice::from_ref(log), &SystemEntropy)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let key = witness.verifier_key().to_string();
        kept.ledger.witnesses.push(Located { value: settings::Witness { url, key, ca: None }, span: 0..0 });
        let server = witness::Server::new(witness, Arc::new(SystemClock::new()), None, witness::Diary::Silent);
        tasks.push(tokio::spawn(async move { server.until(listener, std::future::pending()).await }));
    }
    Ok(tasks)
}

/// Lets a request be recorded, long before the instance goes on to the present.
async fn plant_old_logs(keeping: &Keeping) -> anyhow::Result<()> {
    let body = br#"{"activity":"http.request","object":"/long-ago","outcome":"allowed"}"#.to_vec();
    let activity = String::from("http.requests");
    let entry = Entry { class: Class::Request, activity, clause: None, actor: None, body };
    keeping.ledger.append(entry)?.sealed().await?;
    Ok(())
}

/// Alters a byte of the first entry, in the middle of its text.
fn tamper(data: &Path) -> anyhow::Result<()> {
    let folder = data.join("ledger/tile/entries");
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    anyhow::ensure!(!files.is_empty(), "the ledger holds nothing to alter");
    for path in files {
        let mut bytes = std::fs::read(&path)?;
        let middle = bytes.get_mut(TAMPERED_BYTE).context("the first entry is too short")?;
        *middle ^= 1;
        std::fs::write(&path, bytes)?;
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The machine's clocks, both of which stand long before the present until the journey is over: so that it looks as if
/// the instance had run all the while.
pub(super) struct Travel {
    clock: Arc<dyn Clock>,
    journey: SignedDuration,
    arrived: AtomicBool,
}

impl Travel {
    /// The machine's own clocks, before a journey of this length.
    pub(super) fn before_the_present(journey: SignedDuration) -> Self {
        Self { clock: Arc::new(SystemClock::new()), journey, arrived: AtomicBool::new(false) }
    }

    /// From now on it is the present.
    pub(super) fn arrive(&self) {
        self.arrived.store(true, Ordering::SeqCst);
    }
}

impl Clock for Travel {
    fn now(&self) -> Timestamp {
        if self.arrived.load(Ordering::SeqCst) { self.clock.now() } else { self.clock.now() - self.journey }
    }

    fn ticks(&self) -> Ticks {
        let Ticks(ticks) = self.clock.ticks();
        let journey = u64::try_from(self.journey.as_nanos()).unwrap_or(u64::MAX);
        Ticks(if self.arrived.load(Ordering::SeqCst) { ticks.saturating_add(journey) } else { ticks })
    }
}

/// Seals nothing: what a store does that trusts its disk.
struct Bare;

impl Sealer for Bare {
    fn seal(&self, _: Purpose, _: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(plain.to_vec())
    }

    fn open(&self, _: Purpose, _: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        Ok(Secret::new(sealed.to_vec()))
    }

    fn is_current(&self, _: &[u8]) -> bool {
        true
    }

    fn lookup(&self, _: Purpose, _: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.iter_mut().zip(value).for_each(|(place, byte)| *place = *byte);
        hash
    }
}

const BANS_EVERY: std::time::Duration = std::time::Duration::from_millis(200);
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 40);
const TAMPERED_BYTE: usize = 60;
