//! What a deployment keeps: its keys, its ledger and its store, opened together and used by whatever runs.
//!
//! [`Kept`] says where; [`Keeping::open`] opens all three, or says which line of the settings stands in the way. What
//! the control socket asks of them is answered in [`desk`].

mod bans;
mod certificates;
mod desk;
mod handover;
mod lessons;
mod maintenance;
mod open;
mod payment;
mod perf;
mod prints;
mod purge;
mod rates;
mod recorder;
mod rules;
mod system;
mod top;
mod uptime;
mod verdict;
mod watch_news;
mod watches;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use reeve_base::{Clock, Entropy, Event, EventIds, Outcome, Recorder, Sealer};
use reeve_edge::{Bans, Learning, PaymentScripts};
use reeve_ledger::{Class, Entry, Ledger};
use reeve_policy::catalogue::{Controls, LogRetention, OnFailure};
use reeve_store::{CommonRates, Store};
use reeve_vault::Vault;
use serde_json::Value;

use crate::firewall::{Firewall, Helper};
use crate::journal::Helper as Journals;
use crate::sandbox;
use crate::settings::{Counters, Database, LedgerSettings, Located, Place, Seal, Settings, StoreSettings, Tls};

pub(crate) use handover::Rest;
pub(crate) use maintenance::Window;
pub(crate) use open::{advise, ledger_settings, open_vault, passphrase_from, store_settings};
pub(crate) use perf::Vitals;
pub(crate) use recorder::on_failure;
pub(crate) use rules::RulePlan;
pub(crate) use system::digest;
pub(crate) use uptime::UptimePlan;
pub(crate) use verdict::VerdictRecord;
pub(crate) use watches::{Followed, Watched, promised, watched};

use certificates::Care;
use recorder::Requests;

/// Where a deployment keeps things, and how long.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// What opens the root key.
    pub(crate) seal: Seal,
    /// The ledger.
    pub(crate) ledger: LedgerSettings,
    /// The store.
    pub(crate) store: StoreSettings,
    /// The ledger's name unless the settings say another.
    pub(crate) origin: String,
    /// For how many whole days after its own a day's request log is kept.
    pub(crate) request_days: u16,
}

impl Kept {
    /// What a scratch instance keeps under this folder.
    pub(crate) fn scratch(data: &Path, controls: &Controls) -> Self {
        let here = |place| Located { value: place, span: 0..0 };
        Self {
            data: data.to_owned(),
            seal: Seal::File(Located { value: data.with_extension("seal"), span: 0..0 }),
            ledger: LedgerSettings {
                origin: None,
                place: here(Place::Folder(data.join("ledger"))),
                witnesses: Vec::new(),
            },
            store: StoreSettings {
                database: Located { value: Database::Sqlite(data.join("store.db")), span: 0..0 },
                password_file: None,
                counters: Located { value: Counters::Memory, span: 0..0 },
                counters_password_file: None,
                objects: here(Place::Folder(data.join("objects"))),
            },
            origin: String::from("scratch/reeve"),
            request_days: request_days(controls),
        }
    }

    /// What these settings and this policy ask for.
    pub(crate) fn of(settings: &Settings, controls: &Controls) -> Self {
        Self {
            data: settings.data.value.clone(),
            seal: settings.seal.clone(),
            ledger: settings.ledger.clone(),
            store: settings.store.clone(),
            origin: format!("{}/reeve", first_name(settings)),
            request_days: request_days(controls),
        }
    }
}

impl Kept {
    /// Opens the keys, or makes them where there are none yet. It starts no thread, so that the process can be shut in
    /// after it: the seal is out of reach from then on.
    ///
    /// # Errors
    /// With the way in which the ring or the seal is lost, wrong or altered.
    pub(crate) fn unlock(&self, clock: &dyn Clock, entropy: Arc<dyn Entropy>) -> anyhow::Result<Arc<Vault>> {
        // Before there is a key in memory that a core could hold. Whether it was granted, the sandbox's status tells.
        let _ = reeve_vault::process::no_dumps();
        std::fs::create_dir_all(&self.data).with_context(|| format!("cannot make `{}`", self.data.display()))?;
        open::vault_or_new(self, clock, entropy).map(Arc::new)
    }
}

/// How the site is called first.
fn first_name(settings: &Settings) -> String {
    match (&settings.listen.public, &settings.tls) {
        (Some(public), _) => public.value.host.clone(),
        (None, Tls::Local(names) | Tls::Acme(names)) => {
            names.first().map_or_else(|| String::from("localhost"), |name| name.value.as_str().to_owned())
        }
        (None, Tls::Files { .. }) => String::from("localhost"),
    }
}

/// The promise is for each request and the key is of a whole day: so that the day's first request is not kept too long,
/// the day is destroyed when that one reaches the age.
pub(crate) fn request_days(controls: &Controls) -> u16 {
    let promise = controls.log_retention.clone().unwrap_or_default();
    let LogRetention { keep_at_most } = promise;
    let days = keep_at_most.duration().as_secs() / Duration::from_hours(24).as_secs();
    u16::try_from(days.saturating_sub(1)).unwrap_or(u16::MAX)
}

/// All three, open.
pub(crate) struct Keeping {
    kept: Kept,
    pub(crate) vault: Arc<Vault>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) store: Store,
    /// Who is banned; kept in the store, enforced by the gateway.
    pub(crate) bans: Arc<Bans>,
    own: Vec<IpNet>,
    /// What times without a zone are of, in the logs of this machine.
    zone: TimeZone,
    /// Held only for a moment.
    watches: Mutex<Option<watches::Watches>>,
    /// What reads journals, where the settings name one.
    journals: Option<Arc<Journals>>,
    /// How much of the watched logs' troubles was told.
    watch_post: tokio::sync::Mutex<watch_news::WatchPost>,
    /// The kernel's copy of the bans, where there is one.
    firewall: OnceLock<Arc<Firewall>>,
    ban_post: tokio::sync::Mutex<bans::BanPost>,
    /// Held only for a moment.
    maintenance: Mutex<maintenance::Maintenance>,
    /// Held only for a moment.
    uptime: Mutex<uptime::Uptime>,
    clock: Arc<dyn Clock>,
    ids: EventIds,
    requests: Arc<Requests>,
    weakening: Weakening,
    care: Care,
    /// Where rates are counted together with other nodes, if anywhere.
    rates: Option<CommonRates>,
    /// The scripts on the payment pages of the gateway that is attended.
    scripts: OnceLock<PaymentScripts>,
    script_post: tokio::sync::Mutex<payment::ScriptPost>,
    /// What the gateway that is attended learns.
    learning: OnceLock<Learning>,
    lesson_post: tokio::sync::Mutex<lessons::LessonPost>,
    perf: perf::Perf,
    rules: rules::Rules,
    /// How the process is shut in, as it says itself when it is asked.
    sandbox: Value,
}

/// What a scratch instance does without, to show that a probe notices. Of a deployment nothing is taken away.
#[derive(Default)]
pub(crate) struct Weakening {
    /// Administrative acts.
    pub(crate) acts: Recorded,
    /// Requests.
    pub(crate) requests: Recorded,
    /// Changes of the system.
    pub(crate) system: Recorded,
    /// What seals the store's records instead of the vault.
    pub(crate) store_sealer: Option<Arc<dyn Sealer>>,
}

/// Whether something is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Recorded {
    /// Each, before it takes effect.
    #[default]
    Each,
    /// None.
    Never,
}

/// Something that somebody with authority does.
#[derive(Debug, Clone)]
pub(crate) struct Act<'a> {
    /// `gateway.reload`, `ledger.hold`, `key.rotate`.
    pub(crate) activity: &'static str,
    /// Who.
    pub(crate) actor: &'a str,
    /// The verb.
    pub(crate) action: &'static str,
    /// On what.
    pub(crate) object: &'a str,
}

impl Keeping {
    /// Opens ledger and store under keys that are open, making what is not there yet.
    ///
    /// # Errors
    /// With what cannot be opened, and the remedy.
    pub(crate) async fn open(
        kept: Kept,
        vault: Arc<Vault>,
        on_failure: OnFailure,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        weakening: Weakening,
    ) -> anyhow::Result<Self> {
        let sealer = Arc::clone(&vault) as Arc<dyn Sealer>;
        let ledger = Arc::new(open::ledger(&kept, &sealer, &clock, &entropy).await?);
        let store_sealer = weakening.store_sealer.clone().unwrap_or(sealer);
        let store = open::store(&kept, &store_sealer, &clock, &entropy).await?;
        let ids = EventIds::new(&*entropy)?;
        let requests = Arc::new(Requests::new(Arc::clone(&ledger), weakening.requests, on_failure));
        let bans = Arc::new(Bans::new(Arc::clone(&clock)));
        let care = Care::new(entropy);
        let rates = store.counters().rates().context("cannot count rates together with other nodes")?;
        Ok(Self {
            kept,
            vault,
            ledger,
            store,
            bans,
            own: Vec::new(),
            zone: TimeZone::UTC,
            watches: Mutex::default(),
            journals: None,
            watch_post: tokio::sync::Mutex::default(),
            firewall: OnceLock::new(),
            ban_post: tokio::sync::Mutex::default(),
            maintenance: Mutex::default(),
            uptime: Mutex::default(),
            clock,
            ids,
            requests,
            weakening,
            care,
            rates,
            scripts: OnceLock::new(),
            script_post: tokio::sync::Mutex::default(),
            learning: OnceLock::new(),
            lesson_post: tokio::sync::Mutex::default(),
            perf: perf::Perf::default(),
            rules: rules::Rules::default(),
            sandbox: Value::Null,
        })
    }

    /// The same, telling how the process is shut in.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn shut_in(mut self, status: &sandbox::Status) -> anyhow::Result<Self> {
        self.sandbox = serde_json::to_value(status)?;
        Ok(self)
    }

    /// The same, on a machine with these addresses, in this zone.
    pub(crate) fn standing_on(mut self, own: Vec<IpNet>, zone: TimeZone) -> Self {
        self.own = own;
        self.zone = zone;
        self
    }

    /// The same, with what reads journals.
    pub(crate) fn with_journals(mut self, journals: Option<Arc<Journals>>) -> Self {
        self.journals = journals;
        self
    }

    /// Never to ban these.
    pub(crate) fn exempt(&self, networks: Vec<IpNet>) {
        if let Some(firewall) = self.firewall.get() {
            firewall.allow(networks.clone());
        }
        self.bans.exempt(networks);
    }

    /// Copies bans into the kernel from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn guard_host(&self, helper: Helper) -> std::io::Result<()> {
        let firewall = Firewall::start(helper, Arc::clone(&self.bans), Arc::clone(&self.clock))?;
        // There is one for each process, and this is called once.
        let _ = self.firewall.set(Arc::new(firewall));
        Ok(())
    }

    /// The addresses of this machine.
    pub(crate) fn own(&self) -> &[IpNet] {
        &self.own
    }

    /// What a gateway hands its requests to.
    pub(crate) fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::clone(&self.requests) as Arc<dyn Recorder>
    }

    /// Follows a reloaded policy.
    pub(crate) fn follow(&self, on_failure: OnFailure) {
        self.requests.set(on_failure);
    }

    /// Records an act and waits until it is on the disk. Whatever it announces may happen only after that.
    ///
    /// # Errors
    /// When the ledger cannot write: the act must not happen then.
    pub(crate) async fn act(&self, act: &Act<'_>) -> anyhow::Result<()> {
        if self.weakening.acts == Recorded::Never {
            return Ok(());
        }
        let time = self.clock.now();
        let event = Event {
            time,
            id: self.ids.next(time),
            activity: act.activity,
            actor: Cow::Borrowed(act.actor),
            action: Cow::Borrowed(act.action),
            object: Cow::Borrowed(act.object),
            outcome: Outcome::Allowed,
            status: None,
            duration_us: None,
            ja4: None,
            header_order: None,
            findings: None,
        };
        let entry = Entry {
            class: Class::Security,
            activity: act.activity.to_owned(),
            clause: None,
            actor: Some(act.actor.to_owned()),
            body: serde_json::to_vec(&event)?,
        };
        let receipt = self.ledger.append(entry);
        let recorded = match receipt {
            Ok(receipt) => receipt.durable().await,
            Err(error) => Err(error),
        };
        recorded.with_context(|| format!("`{}` is not done, because it cannot be recorded", act.activity))?;
        Ok(())
    }

    /// Records what the system is, where that is not what was recorded last.
    ///
    /// # Errors
    /// When it cannot be found out or recorded.
    pub(crate) async fn system(&self, policy: &[u8], settings: &[u8]) -> anyhow::Result<()> {
        if self.weakening.system == Recorded::Never {
            return Ok(());
        }
        let facts = system::facts(policy, settings).context("cannot tell what runs here")?;
        for fact in facts {
            let known = self.newest(fact.activity).await?;
            if known.as_deref() != Some(fact.object.as_str()) {
                self.act(&Act { activity: fact.activity, actor: "reeve", action: "change", object: &fact.object })
                    .await?;
            }
        }
        Ok(())
    }

    /// Purges what has expired, now and every hour, and takes notice of whether the ledger can write, for as long as this
    /// is polled.
    pub(crate) async fn tend(&self) {
        let mut purge = tokio::time::interval(PURGE_EVERY);
        let mut notice = tokio::time::interval(NOTICE_EVERY);
        let mut bans = tokio::time::interval(BANS_EVERY);
        let mut watches = tokio::time::interval(PLACES_EVERY);
        let mut lessons = tokio::time::interval(LESSONS_EVERY);
        loop {
            tokio::select! {
                _ = purge.tick() => {
                    if let Err(error) = self.purge_now().await {
                        tracing::error!(%error, "expired logs cannot be purged; tried again in an hour");
                    }
                }
                _ = bans.tick(), if self.shares_bans() => {
                    if let Err(error) = self.poll_bans().await {
                        tracing::error!(%error, "bans of other nodes cannot be read; tried again");
                    }
                    if let Err(error) = self.restore_maintenance().await {
                        tracing::error!(%error, "times of maintenance of other nodes cannot be read; tried again");
                    }
                }
                _ = watches.tick() => self.tend_watches().await,
                _ = lessons.tick() => self.keep_lessons().await,
                _ = notice.tick() => {
                    self.tell_bans().await;
                    self.tell_scripts().await;
                    self.tell_watches().await;
                    self.requests.notice();
                    // Another process may have rotated the store key; until this one knows, it seals under the old one.
                    if let Err(error) = self.vault.refresh() {
                        tracing::error!(%error, "the ring of keys cannot be read again");
                    }
                }
            }
        }
    }

    /// Seals everything and ends. What is still in use elsewhere ends with its user, and loses nothing by it.
    pub(crate) async fn close(self: Arc<Self>) -> anyhow::Result<()> {
        let Ok(keeping) = Arc::try_unwrap(self) else { return Ok(()) };
        keeping.stop_watching().await;
        keeping.tell_bans().await;
        keeping.tell_scripts().await;
        keeping.keep_lessons().await;
        let Self { ledger, store, requests, care, rates, .. } = keeping;
        drop((requests, care, rates));
        store.close().await;
        let Ok(ledger) = Arc::try_unwrap(ledger) else { return Ok(()) };
        tokio::task::spawn_blocking(move || ledger.close()).await?.context("the ledger did not end well")
    }

    /// Waits until all that was recorded so far is sealed.
    pub(crate) async fn sealed(&self) -> anyhow::Result<()> {
        let goal = self.ledger.health().durable;
        while self.ledger.health().sealed < goal {
            tokio::time::sleep(SEALED_LOOK).await;
        }
        Ok(())
    }
}

const PURGE_EVERY: Duration = Duration::from_hours(1);
const SEALED_LOOK: Duration = Duration::from_millis(20);

/// How soon another node's ban holds here.
const BANS_EVERY: Duration = Duration::from_secs(2);

/// What a process reads again at most that was killed.
const PLACES_EVERY: Duration = Duration::from_secs(5);

/// What is learned again at most after a process was killed.
const LESSONS_EVERY: Duration = Duration::from_secs(30);
const NOTICE_EVERY: Duration = Duration::from_millis(200);
