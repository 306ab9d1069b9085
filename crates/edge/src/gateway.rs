//! The gateway as a whole: its listeners, its workers, and the rules they follow, which can be exchanged at once.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use reeve_base::{Clock, Entropy, EventIds, Sealer, SharedRates, Timestamp};
use reeve_policy::catalogue::Controls;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::answers::scripts::{PaymentScripts, ScriptInventory};
use crate::ban::Bans;
use crate::callers::{CallerError, Callers};
use crate::certificate::{Certificate, CertificateError, Certificates, Challenges, Identity, Shelf};
use crate::connection_cap::ConnectionCap;
use crate::entrance::Entrance;
use crate::learn::{Desk, Learning, Lessons};
use crate::maintenance::{Maintenance, Shutter};
use crate::meter::Meters;
use crate::page::{Pages, PagesError};
use crate::rate::{RateRules, Rates};
use crate::rules::Rules;
use crate::scrutiny::{Scrutiny, ScrutinyError};
use crate::settings::{Settings, UpstreamScheme, UpstreamSettings};
use crate::tls;
use crate::traces::{Exporter, Tracer};
use crate::upstream::{DialerError, Outward, Upstreams};
use crate::waf::{Firewall, Waf, WafError};
use crate::worker::{self, Door, Phase, Speaks};

/// What the gateway is given beside its settings.
#[derive(Clone)]
pub struct Tools {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where its events go.
    pub log: AccessLog,
    /// Who is banned. Kept and shared by whoever made it; the gateway enforces it and tells it what it sees.
    pub bans: Arc<Bans>,
    /// Seals the private keys that it makes; without it they are kept in files of mode 0600.
    pub sealer: Option<Arc<dyn Sealer>>,
}

/// Why the gateway does not start, or does not take new settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The application's address cannot be used.
    #[error(transparent)]
    Upstream(#[from] DialerError),
    /// The policy leaves no way to speak TLS.
    #[error("TLS cannot be set up as the policy asks: {0}")]
    Tls(#[from] rustls::Error),
    /// The policy closes plain HTTP and the settings open it.
    #[error("the policy closes plain HTTP, and the settings listen for it on {0}")]
    PlainListener(SocketAddr),
    /// The application's document cannot be used.
    #[error(transparent)]
    Document(#[from] ScrutinyError),
    /// A control cannot be turned into a header.
    #[error("the policy cannot be enforced: {0}")]
    Rules(#[from] http::Error),
    /// The lists of callers cannot be used.
    #[error(transparent)]
    Callers(#[from] CallerError),
    /// The firewall's rules cannot be used.
    #[error(transparent)]
    Waf(#[from] WafError),
    /// Traces cannot go to their collector.
    #[error("traces cannot be told: {0}")]
    Collector(DialerError),
    /// The error pages cannot be used.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// The system gives no randomness.
    #[error("{0}")]
    Entropy(String),
    /// The system gives no thread.
    #[error("cannot start a worker: {0}")]
    Thread(io::Error),
}

/// What came of a reload.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reload {
    /// Settings that take effect only at the next start, by name.
    pub after_restart: Vec<&'static str>,
}

/// Everything that a reload exchanges, in one piece: no request ever sees half of it.
pub(crate) struct Live {
    pub(crate) rules: Rules,
    pub(crate) rates: RateRules,
    pub(crate) entrance: Entrance,
    pub(crate) callers: Callers,
    pub(crate) pages: Option<Pages>,
    /// What each upstream is looked at for, in their order.
    pub(crate) scrutiny: Vec<Arc<Scrutiny>>,
    /// The firewall, where the policy asks for one. Exchanged alone when a feed brings newer rules.
    pub(crate) waf: ArcSwapOption<Waf>,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) upstreams: Arc<Upstreams>,
    /// Where what is seen of each upstream is handed in, in their order, if anything is learned.
    pub(crate) desks: Vec<Option<Desk>>,
    /// Whether requests are traced, and where that is told.
    pub(crate) tracing: Option<Arc<Tracer>>,
    pub(crate) connections_max: usize,
    /// The port that a redirect names; 443 needs no naming.
    pub(crate) redirect_port: u16,
}

impl Live {
    fn build(
        settings: &Settings,
        controls: &Controls,
        tools: &Tools,
        challenges: &Arc<Challenges>,
        https_port: u16,
        previous: Option<&Upstreams>,
    ) -> Result<Self, StartError> {
        refuse_plain_listener(settings, controls)?;
        require_pins(settings, controls)?;
        let (now, sealer) = (tools.clock.now(), tools.sealer.as_deref());
        let shelf = Shelf::load(&settings.certificate, &settings.sites, Arc::clone(challenges), sealer, now)?;
        let shelf = Arc::new(shelf);
        for slot in shelf.slots() {
            warn_of_expiry(&slot.identity(), controls, now);
        }
        Ok(Self {
            rules: Rules::new(controls)?,
            rates: RateRules::new(controls, &settings.session)?,
            entrance: Entrance::new(&settings.proxies),
            callers: Callers::new(&settings.bots, controls)?,
            pages: settings.pages.as_deref().map(Pages::load).transpose()?,
            scrutiny: scrutiny(settings, controls)?,
            waf: ArcSwapOption::new(Waf::new(&settings.waf, controls, &*tools.clock)?),
            tls: Arc::new(tls::server_config(Arc::clone(&shelf), controls)?),
            shelf,
            upstreams: Arc::new(Upstreams::new(settings, tls::versions(controls), previous)?),
            desks: Vec::new(),
            tracing: tracer(settings)?,
            connections_max: settings.connections_max,
            redirect_port: settings.public_port.unwrap_or(https_port),
        })
    }
}

fn tracer(settings: &Settings) -> Result<Option<Arc<Tracer>>, StartError> {
    settings.tracing.as_ref().map(Tracer::new).transpose().map_err(StartError::Collector)
}

fn scrutiny(settings: &Settings, controls: &Controls) -> Result<Vec<Arc<Scrutiny>>, ScrutinyError> {
    let upstreams = std::iter::once(&settings.upstream).chain(&settings.routing.upstreams);
    upstreams.map(|upstream| Scrutiny::new(upstream.contract.as_ref(), controls)).collect()
}

fn refuse_plain_listener(settings: &Settings, controls: &Controls) -> Result<(), StartError> {
    match settings.http.first() {
        Some(address) if Rules::forbids_plain(controls) => Err(StartError::PlainListener(*address)),
        _ => Ok(()),
    }
}

/// An application that is spoken to in plaintext has no key, and then there is nothing to pin: the probe says so.
fn require_pins(settings: &Settings, controls: &Controls) -> Result<(), StartError> {
    let Some(promise) = &controls.tls_pin else { return Ok(()) };
    let needed = usize::from(promise.spare) + 1;
    let over_tls = |upstream: &&UpstreamSettings| upstream.scheme == UpstreamScheme::Https;
    for upstream in std::iter::once(&settings.upstream).chain(&settings.routing.upstreams).filter(over_tls) {
        let different: BTreeSet<_> = upstream.pins.iter().collect();
        let found = different.len();
        if found < needed {
            return Err(DialerError::TooFewPins { upstream: upstream.name.clone(), found, needed }.into());
        }
    }
    Ok(())
}

/// Tells the inventory which payment pages are to be seen.
fn follow_pages(inventory: &ScriptInventory, controls: &Controls) {
    let control = controls.pay_scripts.as_ref();
    let pages: Vec<_> =
        control.iter().flat_map(|control| &control.pages).map(|page| page.as_str().to_owned()).collect();
    inventory.follow(&pages, control.map(|control| control.every.duration()));
}

fn warn_of_expiry(identity: &Identity, controls: &Controls, now: Timestamp) {
    let Some(promise) = &controls.tls_cert_expiry else { return };
    let left = identity.time_left(now);
    if left < promise.left.duration() && !identity.is_temporary() {
        let days = left.as_secs() / 86_400;
        tracing::warn!(days, promised = %promise.left, "the certificate ends sooner than the policy promises");
    }
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) live: ArcSwap<Live>,
    pub(crate) rates: Rates,
    pub(crate) connections: Arc<ConnectionCap>,
    pub(crate) meters: Meters,
    /// What shows an authority that a name is ours. It outlives a reload: an order may be under way.
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) events: EventIds,
    /// Scripts on payment pages.
    pub(crate) scripts: Arc<ScriptInventory>,
    /// What requests look like, where that is learned.
    pub(crate) lessons: Arc<Lessons>,
    pub(crate) tools: Tools,
    /// A worker looks after the servers of upstreams.
    pub(crate) checks_taken: AtomicBool,
    /// When the site is closed. It outlives a reload.
    pub(crate) maintenance: Maintenance,
    /// Where the spans of all workers go.
    pub(crate) spans: Exporter,
}

/// A socket that somebody else has opened and that is listened on already.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever has such a socket")]
pub struct Inherited {
    /// The listener that it is for, as the settings name it.
    pub address: SocketAddr,
    /// Whether that one speaks TLS; if nothing is said, whichever has the address.
    pub tls: Option<bool>,
    /// The socket.
    pub socket: TcpListener,
}

/// A gateway that serves. It goes on until [`Gateway::stop`]; dropped without it, it is told to stop and not waited for.
pub struct Gateway {
    shared: Arc<Shared>,
    settings: Settings,
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    phase: watch::Sender<Phase>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    /// For whoever takes over from this process. Closed before the drain, or clients would wait in them.
    sockets: Vec<Inherited>,
}

impl Gateway {
    /// Binds every listener, then starts the workers. Nothing is served unless all of it succeeds.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(settings: Settings, controls: &Controls, tools: Tools) -> Result<Self, StartError> {
        Self::start_on(settings, controls, tools, Vec::new())
    }

    /// The same, listening on sockets that are open already where there is one for an address. Those that the settings
    /// have no use for are closed.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_on(
        settings: Settings,
        controls: &Controls,
        tools: Tools,
        mut inherited: Vec<Inherited>,
    ) -> Result<Self, StartError> {
        let mut open = |addresses: &[SocketAddr], tls| -> Result<Vec<_>, StartError> {
            addresses.iter().map(|address| listen_or_take(*address, tls, &mut inherited)).collect()
        };
        let (https, http) = (open(&settings.https, true)?, open(&settings.http, false)?);
        drop(inherited);
        let (https_addresses, http_addresses) = (addresses(&https)?, addresses(&http)?);
        let https_port = https_addresses.first().map_or(443, SocketAddr::port);
        let challenges = Arc::default();
        let mut live = Live::build(&settings, controls, &tools, &challenges, https_port, None)?;
        let lessons = Arc::new(Lessons::new(Arc::clone(&tools.clock), Arc::clone(&tools.entropy)));
        live.desks = lessons.follow(&settings)?;
        tools.bans.follow(controls);
        let events = EventIds::new(&*tools.entropy).map_err(|error| StartError::Entropy(error.to_string()))?;
        let connections = Arc::default();
        let meters = Meters::new(Arc::clone(&connections));
        let shared = Arc::new(Shared {
            live: ArcSwap::from_pointee(live),
            rates: Rates::default(),
            spans: Exporter::new(meters.spans()),
            meters,
            connections,
            challenges,
            events,
            scripts: Arc::new(ScriptInventory::new(Arc::clone(&tools.clock))),
            lessons,
            tools,
            checks_taken: AtomicBool::new(false),
            maintenance: Maintenance::default(),
        });
        follow_pages(&shared.scripts, controls);
        start_telling(&shared, shared.live.load().tracing.is_some())?;
        let (phase, _) = watch::channel(Phase::Serving);
        let (workers, sockets) = (Vec::new(), Vec::new());
        let mut gateway =
            Self { shared, settings, https: https_addresses, http: http_addresses, phase, workers, sockets };
        for number in 0..gateway.settings.workers.max(1) {
            let worker = gateway.start_worker(number, &https, &http)?;
            gateway.workers.push(worker);
        }
        let kept = |sockets: Vec<TcpListener>, addresses: &[SocketAddr], tls| {
            let named = sockets.into_iter().zip(addresses.to_vec());
            named.map(move |(socket, address)| Inherited { address, tls: Some(tls), socket })
        };
        let https = kept(https, &gateway.settings.https, true);
        gateway.sockets = https.chain(kept(http, &gateway.settings.http, false)).collect();
        Ok(gateway)
    }

    /// Finds out whether a gateway could start so, as far as that can be known without listening or writing.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn verify(settings: &Settings, controls: &Controls, clock: &dyn Clock) -> Result<(), StartError> {
        refuse_plain_listener(settings, controls)?;
        require_pins(settings, controls)?;
        Rules::new(controls)?;
        RateRules::new(controls, &settings.session)?;
        Upstreams::new(settings, tls::versions(controls), None)?;
        Callers::new(&settings.bots, controls)?;
        settings.pages.as_deref().map(Pages::load).transpose()?;
        scrutiny(settings, controls)?;
        Waf::verify(&settings.waf, controls, clock)?;
        tracer(settings)?;
        // What is not in files is made or fetched, and that is not to happen here.
        let files = |certificate: &&Certificate| matches!(certificate, Certificate::Files { .. });
        for certificate in std::iter::once(&settings.certificate).chain(&settings.sites.certificates).filter(files) {
            certificate.load(None, clock.now())?;
        }
        Ok(())
    }

    fn start_worker(
        &self,
        number: usize,
        https: &[TcpListener],
        http: &[TcpListener],
    ) -> Result<JoinHandle<io::Result<()>>, StartError> {
        // All workers accept from the same sockets: a port that another program holds is an error and not a share.
        let door = |(socket, at): (&TcpListener, &SocketAddr), speaks| {
            Ok(Door { socket: socket.try_clone()?, speaks, set_to: *at })
        };
        let (tls, plain) = (https.iter().zip(&self.settings.https), http.iter().zip(&self.settings.http));
        let doors = tls
            .map(|pair| door(pair, Speaks::Tls))
            .chain(plain.map(|pair| door(pair, Speaks::Plain)))
            .collect::<Result<_, _>>()
            .map_err(StartError::Thread)?;
        let (shared, phase, drain) = (Arc::clone(&self.shared), self.phase.subscribe(), self.settings.drain);
        std::thread::Builder::new()
            .name(format!("gateway-{number}"))
            .spawn(move || worker::run(shared, doors, phase, drain))
            .map_err(StartError::Thread)
    }

    /// Where it listens for TLS.
    #[must_use]
    pub fn https(&self) -> &[SocketAddr] {
        &self.https
    }

    /// Where it listens for plaintext.
    #[must_use]
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The certificates that it shows, and the way to exchange them.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates::new(&self.shared)
    }

    /// The rules of its firewall.
    #[must_use]
    pub fn firewall(&self) -> Firewall {
        Firewall::new(&self.shared)
    }

    /// The scripts on its payment pages.
    #[must_use]
    pub fn scripts(&self) -> PaymentScripts {
        PaymentScripts::new(&self.shared)
    }

    /// What it learns of the requests to its applications.
    #[must_use]
    pub fn learning(&self) -> Learning {
        Learning::new(&self.shared.lessons)
    }

    /// What it counts.
    #[must_use]
    pub fn meters(&self) -> Meters {
        self.shared.meters.clone()
    }

    /// The way to its application, to be looked at and tried.
    #[must_use]
    pub fn outward(&self) -> Outward {
        Outward::new(&self.shared)
    }

    /// Counts rates together with other nodes from now on. Once in its life.
    pub fn share_rates(&self, shared: Arc<dyn SharedRates>) {
        self.shared.rates.share(shared);
    }

    /// The way to close it to visitors, and to open it.
    #[must_use]
    pub fn shutter(&self) -> Shutter {
        Shutter::new(&self.shared)
    }

    /// Takes new settings and controls, all at once. On an error everything stays as it was.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn reload(&self, settings: &Settings, controls: &Controls) -> Result<Reload, StartError> {
        let https_port = self.https.first().map_or(443, SocketAddr::port);
        let previous = self.shared.live.load_full();
        let (tools, challenges) = (&self.shared.tools, &self.shared.challenges);
        let mut live = Live::build(settings, controls, tools, challenges, https_port, Some(&previous.upstreams))?;
        live.desks = self.shared.lessons.follow(settings)?;
        start_telling(&self.shared, live.tracing.is_some())?;
        self.shared.live.store(Arc::new(live));
        self.shared.tools.bans.follow(controls);
        follow_pages(&self.shared.scripts, controls);
        let mut after_restart = Vec::new();
        // Against what it was started with, because that is what it still does.
        if settings.https != self.settings.https || settings.http != self.settings.http {
            after_restart.push("listen");
        }
        if settings.workers != self.settings.workers || settings.drain != self.settings.drain {
            after_restart.push("server");
        }
        Ok(Reload { after_restart })
    }

    /// The sockets that it listens on, for whoever takes over.
    #[must_use]
    pub fn sockets(&self) -> &[Inherited] {
        &self.sockets
    }

    /// Leaves its place to another process that listens on the same sockets: accepts nothing more, and ends each
    /// connection with its next answer, so that no request is under way when one is closed. Those that are silent for
    /// half of the drain are closed then. Waits for all of it.
    ///
    /// # Errors
    /// The first error that a worker ended with.
    pub fn leave(mut self) -> io::Result<()> {
        self.sockets.clear();
        self.phase.send_replace(Phase::Leaving);
        self.join()
    }

    /// Stops: accepts nothing more, lets open requests end within the drain, and waits for all of it.
    ///
    /// # Errors
    /// The first error that a worker ended with.
    pub fn stop(mut self) -> io::Result<()> {
        self.sockets.clear();
        self.phase.send_replace(Phase::Draining);
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        let stopping = self.shared.tools.clock.ticks();
        let mut outcome = Ok(());
        for worker in std::mem::take(&mut self.workers) {
            let ended = worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            outcome = outcome.and(ended);
        }
        let left = self.settings.drain.saturating_sub(self.shared.tools.clock.ticks().since(stopping));
        self.shared.spans.close(left.max(TELLING_MIN));
        outcome
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Draining);
        self.shared.spans.abandon();
    }
}

/// Starts what tells traces, if there is anything to tell.
fn start_telling(shared: &Shared, traced: bool) -> Result<(), StartError> {
    if traced {
        shared.spans.start(&shared.tools.clock, &shared.tools.entropy).map_err(StartError::Thread)?;
    }
    Ok(())
}

fn listen_or_take(address: SocketAddr, tls: bool, inherited: &mut Vec<Inherited>) -> Result<TcpListener, StartError> {
    let fits = |one: &Inherited| one.address == address && one.tls.is_none_or(|speaks| speaks == tls);
    let Some(at) = inherited.iter().position(fits) else { return listen(address) };
    let socket = inherited.swap_remove(at).socket;
    socket.set_nonblocking(true).map_err(|source| StartError::Listen { address, source })?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            // Or `[::]:443` would take the port of `0.0.0.0:443` beside it, and each would have to know of the other.
            socket.set_only_v6(true)?;
        }
        // Handed down to each connection. Without it the system takes megabytes for a client that reads nothing, each
        // of them fetched and encrypted in vain.
        #[cfg(target_os = "linux")]
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(|source| StartError::Listen { address, source })
}

fn addresses(listeners: &[TcpListener]) -> Result<Vec<SocketAddr>, StartError> {
    listeners.iter().map(|listener| listener.local_addr().map_err(StartError::Thread)).collect()
}

/// What may wait in the system to be sent over a connection: enough that the line never runs dry between two writes.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 256 * 1024;

/// What the last spans have for their way, even where requests took all of the drain.
const TELLING_MIN: Duration = Duration::from_millis(500);

/// Connections that wait to be accepted; the system may allow fewer (net.core.somaxconn).
const BACKLOG: i32 = 4_096;
