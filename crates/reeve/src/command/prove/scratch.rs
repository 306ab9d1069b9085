//! Scratch instances: an application and a gateway before it, on an address of their own, gone when dropped.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reeve_base::{Clock, Entropy, SystemClock, SystemEntropy};
use reeve_edge::{
    AccessLog, Bans, BotSettings, Certificate, ContractSettings, Gateway, LocalAuthority, ProxySettings, Routing,
    ServerAddress, Session, Settings, Sites, Tools, UpstreamScheme, UpstreamSettings,
};
use reeve_policy::catalogue::Controls;
use reeve_prove::Target;

use crate::application::{self, Application, Manners};

use super::house::{House, HousePlan, Travel};
use super::rules::ScratchRules;
use super::secure_back::{Pins, SecureBack};
use super::weak_front::{WeakFront, Weakness};
use super::{authorities, firewall};

/// How a scratch instance differs from what a deployment would be.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that is taken away, and at most one of them is")]
pub(crate) struct Twist {
    /// The application has taken down its published pages.
    pub(crate) unpublished: bool,
    /// The certificate is about to expire.
    pub(crate) expiring: bool,
    /// Another program listens on the same address.
    pub(crate) stray_port: bool,
    /// Something in front of the gateway accepts old TLS.
    pub(crate) front: Option<Weakness>,
    /// Something is not recorded.
    pub(crate) unrecorded: Option<Unrecorded>,
    /// An entry of the ledger was altered.
    pub(crate) tampered: bool,
    /// Nobody purges what has expired.
    pub(crate) unpurged: bool,
    /// There is an access log in a plain file.
    pub(crate) plain_log: bool,
    /// The application writes what it is sent into the data folder.
    pub(crate) hoarding: bool,
    /// The store is given a sealer that seals nothing.
    pub(crate) bare_store: bool,
    /// The application's key is looked at by nobody.
    pub(crate) unpinned: bool,
    /// The host's firewall admits everybody.
    pub(crate) unfiltered: bool,
    /// A cache beside the application keeps in clear what it is sent.
    pub(crate) caching: bool,
    /// Nobody follows the feed of rules.
    pub(crate) stale_rules: bool,
}

/// What is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrecorded {
    /// Administrative acts.
    Acts,
    /// Requests, let through or refused.
    Requests,
    /// Changes of the system.
    System,
}

/// What an instance keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Nothing: it is judged from outside.
    Nothing,
    /// A ledger, a store and their keys.
    Kept,
    /// The same, with request logs of a day that has long expired.
    WithOldLogs,
    /// The same as kept, beside an SSH server whose log is watched.
    WithSshLog,
    /// The same as kept, and requests are held to the application's OpenAPI document.
    WithDocument,
    /// The same as kept, running for so long that three quarters of its certificate's life have passed.
    WithOldCertificate,
}

/// A running instance.
pub(crate) struct Scratch {
    pub(crate) target: Target,
    /// A port beside the gateway's: open if there is a stray listener, else closed.
    pub(crate) neighbour: u16,
    // Dropped in this order: first who talks to the next.
    _front: Option<WeakFront>,
    _stray: Option<TcpListener>,
    gateway: Option<Gateway>,
    _house: Option<House>,
    _secure: Option<SecureBack>,
    _application: Application,
    _folder: tempfile::TempDir,
}

impl Scratch {
    /// Starts an instance that enforces `controls`.
    pub(crate) async fn start(controls: &Controls, twist: Twist, inside: Inside) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::create_dir(cache_of(&data))?;
        let ip = own_address()?;
        let application = Application::start(manners(twist, &data)).context("cannot start the sample application")?;
        let travel =
            (inside == Inside::WithOldCertificate).then(|| Arc::new(Travel::before_the_present(CERTIFICATE_AGE)));
        let clock: Arc<dyn Clock> = match &travel {
            Some(travel) => Arc::clone(travel) as Arc<dyn Clock>,
            None => Arc::new(SystemClock::new()),
        };
        let house = match inside {
            Inside::Nothing => None,
            Inside::Kept
            | Inside::WithOldLogs
            | Inside::WithSshLog
            | Inside::WithDocument
            | Inside::WithOldCertificate => {
                let (old_logs, log) = (inside == Inside::WithOldLogs, folder.path().join("auth.log"));
                let ssh_log = (inside == Inside::WithSshLog).then_some(log.as_path());
                let plan = HousePlan { twist, old_logs, ssh_log, policy: SCRATCH_POLICY };
                Some(House::start(controls, plan, &data, &clock).await?)
            }
        };
        let secure = controls.tls_pin.is_some().then(|| SecureBack::start(application.address)).transpose()?;
        let mut upstream = match &secure {
            Some(secure) => secure.upstream(if twist.unpinned { Pins::None } else { Pins::OwnAndSpare }),
            None => sample_upstream(application.address),
        };
        upstream.contract = (inside == Inside::WithDocument).then(|| document(folder.path())).transpose()?;
        let mut controls = controls.clone();
        if twist.unpinned {
            controls.tls_pin = None;
        }
        let rules = ScratchRules::new(&controls, folder.path(), &data, &*clock)?;
        let authority = LocalAuthority {
            folder: folder.path().to_owned(),
            names: vec![ip.to_string(), String::from("localhost")],
            valid_days: if twist.expiring { EXPIRING_DAYS } else { VALID_DAYS },
        };
        let ca = authority.certificate_path();
        let any = SocketAddr::new(ip, 0);
        let settings = Settings {
            https: vec![any],
            http: vec![any],
            public_port: None,
            certificate: Certificate::Local(authority),
            sites: Sites::default(),
            upstream,
            session: sample_session(),
            routing: Routing::default(),
            proxies: ProxySettings::default(),
            bots: BotSettings::default(),
            waf: rules.edge.clone(),
            pages: None,
            tracing: None,
            workers: 1,
            connections_max: 4_096,
            drain: Duration::ZERO,
        };
        let log = if twist.plain_log {
            AccessLog::to(Box::new(std::fs::File::create(data.join("access.log"))?))?.0
        } else {
            AccessLog::off()
        };
        let log = house.as_ref().map_or_else(|| log.clone(), |house| log.clone().recorded_by(house.recorder()));
        let sealer = house.as_ref().map(House::sealer);
        let bans = house.as_ref().map_or_else(|| Arc::new(Bans::new(Arc::clone(&clock))), House::bans);
        let tools = Tools { clock, entropy: Arc::new(SystemEntropy), log, bans, sealer };
        let gateway = Gateway::start(settings, &controls, tools)?;
        if let Some(house) = &house {
            house.attend(&gateway);
            rules.follow(house, &gateway, twist.stale_rules).await?;
        }
        if let Some(travel) = travel {
            travel.arrive();
            house_renews(&gateway, controls.tls_acme.is_some()).await;
        }
        let (https, http) = (gateway.https().first().copied().unwrap_or(any), gateway.http().first().copied());
        let stray = TcpListener::bind(any).context("cannot listen")?;
        let neighbour = stray.local_addr()?.port();
        let front = twist.front.map(|weakness| WeakFront::start(any, https, weakness)).transpose()?;
        let https = front.as_ref().map_or(https, |front| front.address);
        let mut target = Target {
            url: format!("https://{https}/").parse().context("the scratch instance has no address")?,
            https,
            http,
            trust: authorities(&ca)?,
            error_path: Some(String::from("/boom")),
            trace_path: Some(String::from("/oops")),
            house: house.as_ref().map(|house| reeve_prove::House { caches: vec![cache_of(&data)], ..house.seen() }),
        };
        if let Some(house) = &house {
            house.measure(&target, &controls).await?;
        }
        let rules = controls.host_firewall.as_ref();
        let rules = rules.map(|control| firewall::scratch_rules(&control.ports, twist.unfiltered, folder.path()));
        if let (Some(house), Some(rules)) = (&mut target.house, rules.transpose()?) {
            house.ruleset = rules;
        }
        Ok(Self {
            target,
            neighbour,
            _front: front,
            _stray: twist.stray_port.then_some(stray),
            gateway: Some(gateway),
            _house: house,
            _secure: secure,
            _application: application,
            _folder: folder,
        })
    }
}

/// The application's own document, in a file.
fn document(folder: &Path) -> anyhow::Result<ContractSettings> {
    let document = folder.join("openapi.yaml");
    std::fs::write(&document, application::DOCUMENT)?;
    Ok(ContractSettings { document, base: None })
}

/// Gives whoever cares for certificates the time to notice that one is due; where nobody does, the same time passes.
async fn house_renews(gateway: &Gateway, awaited: bool) {
    let certificates = gateway.certificates();
    let before = certificates.shown();
    let patience = if awaited { RENEWAL_MAX } else { UNRENEWED };
    let renewed = async {
        while certificates.shown() == before {
            tokio::time::sleep(RENEWAL_LOOK).await;
        }
    };
    // That it was not renewed is for the probe to find out.
    let _ = tokio::time::timeout(patience, renewed).await;
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            // Nothing is recorded of a scratch instance, not even how it ended.
            let _ = gateway.stop();
        }
    }
}

/// Where a cache beside the application keeps things.
fn cache_of(data: &Path) -> std::path::PathBuf {
    data.with_extension("cache")
}

fn manners(twist: Twist, data: &Path) -> Manners {
    match twist {
        Twist { unpublished: true, .. } => Manners::Unpublished,
        Twist { caching: true, .. } => Manners::Hoarding(cache_of(data).join("kept")),
        Twist { hoarding: true, .. } => Manners::Hoarding(data.join("uploads")),
        _ => Manners::Careless,
    }
}

/// The application as an upstream, with limits for a machine that talks to itself.
pub(crate) fn sample_upstream(address: SocketAddr) -> UpstreamSettings {
    UpstreamSettings {
        name: String::from("default"),
        scheme: UpstreamScheme::Http,
        servers: vec![ServerAddress { host: address.ip().to_string(), port: address.port() }],
        authorities: None,
        pins: Vec::new(),
        client: None,
        connect: Duration::from_secs(2),
        answer: Duration::from_secs(10),
        idle: Duration::from_secs(30),
        idle_connections_max: 64,
        contract: None,
        learn: false,
        retries: 0,
        health: None,
        circuit: None,
    }
}

/// What the application would know a user by, if it had any.
pub(crate) fn sample_session() -> Session {
    Session { cookie: Some(String::from("session")), bearer: false }
}

/// An address of this machine that nobody else is likely to listen on, so that a port scan sees only the instance.
fn own_address() -> anyhow::Result<IpAddr> {
    let mut chance = [0; 2];
    SystemEntropy.fill(&mut chance)?;
    let [third, fourth] = chance;
    Ok(IpAddr::V4(Ipv4Addr::new(127, 77, third, fourth.clamp(1, 254))))
}

/// What stands for the policy file of an instance that has none.
const SCRATCH_POLICY: &[u8] = b"scratch";
const VALID_DAYS: i64 = 90;

/// Three quarters of the life that its certificate has.
const CERTIFICATE_AGE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 68);
const RENEWAL_MAX: Duration = Duration::from_secs(10);
const UNRENEWED: Duration = Duration::from_millis(1_500);
const RENEWAL_LOOK: Duration = Duration::from_millis(50);

const EXPIRING_DAYS: i64 = 5;
