//! A gateway for one test: its own ports, folder, certificate and log.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_base::{Clock, Recorder, SystemClock, SystemEntropy};
use reeve_edge::{
    AccessLog, Bans, BotSettings, Certificate, Gateway, LocalAuthority, ProxySettings, Routing, ServerAddress, Session,
    Settings, Sites, Tools, UpstreamScheme, UpstreamSettings, WafSettings,
};
use reeve_policy::catalogue::{Control, Controls};

use crate::client::Client;

pub(crate) struct House {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) settings: Settings,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) bans: Arc<Bans>,
    pub(crate) log: Lines,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// A log that a test can read.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The controls of the demo policy, without a rate that tests would run into, and without rules that would refuse what
/// tests send to see what others make of it.
pub(crate) fn demo_controls() -> Controls {
    let text = include_bytes!("../../../../policies/demo.toml");
    let policy = reeve_policy::check("demo.toml", text, jiff::civil::date(2026, 11, 21)).policy.unwrap();
    let mut controls = Controls::of(&policy);
    controls.rate_ip = None;
    controls.waf_attack_set = None;
    controls
}

pub(crate) fn upstream(address: SocketAddr) -> UpstreamSettings {
    UpstreamSettings {
        name: String::from("default"),
        scheme: UpstreamScheme::Http,
        servers: vec![server(address)],
        authorities: None,
        pins: Vec::new(),
        client: None,
        connect: Duration::from_secs(2),
        answer: Duration::from_secs(1),
        idle: Duration::from_secs(30),
        idle_connections_max: 8,
        contract: None,
        learn: false,
        retries: 2,
        health: None,
        circuit: None,
    }
}

pub(crate) fn server(address: SocketAddr) -> ServerAddress {
    ServerAddress { host: address.ip().to_string(), port: address.port() }
}

impl House {
    /// The demo policy in front of the application at `address`.
    pub(crate) fn before(address: SocketAddr) -> Self {
        Self::with(upstream(address), &demo_controls())
    }

    pub(crate) fn with(upstream: UpstreamSettings, controls: &Controls) -> Self {
        Self::recorded(upstream, controls, None)
    }

    /// The same with a recorder beside the log.
    pub(crate) fn recorded(
        upstream: UpstreamSettings,
        controls: &Controls,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Self {
        Self::logging(upstream, controls, |log| match recorder {
            Some(recorder) => log.recorded_by(recorder),
            None => log,
        })
    }

    /// The same with these members of events alone in the log.
    pub(crate) fn writing(upstream: UpstreamSettings, controls: &Controls, members: &[&str]) -> Self {
        let members: Vec<_> = members.iter().map(|member| (*member).to_owned()).collect();
        Self::logging(upstream, controls, |log| log.only(&members))
    }

    fn logging(upstream: UpstreamSettings, controls: &Controls, change: impl FnOnce(AccessLog) -> AccessLog) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = LocalAuthority {
            folder: folder.path().to_owned(),
            names: vec![String::from("localhost"), String::from("127.0.0.1")],
            valid_days: 90,
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            https: vec![any],
            http: vec![any],
            public_port: None,
            certificate: Certificate::Local(authority),
            sites: Sites::default(),
            upstream,
            session: Session { cookie: Some(String::from("session")), bearer: true },
            routing: Routing::default(),
            proxies: ProxySettings::default(),
            bots: BotSettings::default(),
            waf: WafSettings::default(),
            pages: None,
            tracing: None,
            workers: 2,
            connections_max: 1_000,
            drain: Duration::from_secs(5),
        };
        let log = Lines::default();
        let (sink, writer) = AccessLog::to(Box::new(log.clone())).unwrap();
        let sink = change(sink);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let bans = Arc::new(Bans::new(Arc::clone(&clock)));
        let tools = Tools { bans: Arc::clone(&bans), clock, entropy: Arc::new(SystemEntropy), log: sink, sealer: None };
        let gateway = Gateway::start(settings.clone(), controls, tools).unwrap();
        Self { gateway: Some(gateway), settings, folder, bans, log, writer: Some(writer) }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().https()[0]
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().http()[0]
    }

    /// A new connection over TLS with HTTP/1.1.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.https(), &self.folder.path().join("ca.pem"))
    }

    /// A new connection that has agreed on HTTP/2 and said nothing yet.
    pub(crate) fn h2_client(&self) -> Client {
        Client::speaking(b"h2", self.https(), &self.folder.path().join("ca.pem"))
    }

    /// Sends raw bytes over a new connection and reads whatever comes until the gateway closes it.
    pub(crate) fn exchange(&self, bytes: &str) -> String {
        self.exchange_bytes(bytes.as_bytes())
    }

    /// The same, where the bytes are no text.
    pub(crate) fn exchange_bytes(&self, bytes: &[u8]) -> String {
        let mut client = self.client();
        // The gateway may have answered and closed before all of it is sent; what it said is still there to be read.
        let _ = client.try_send(bytes);
        client.read_to_end()
    }

    /// One GET over a new connection; the whole answer as text.
    pub(crate) fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// Waits until the log holds `text`.
    pub(crate) fn logs(&self, text: &str) {
        let clock = SystemClock::new();
        let started = clock.ticks();
        while !String::from_utf8_lossy(&self.log.0.lock().unwrap()).contains(text) {
            assert!(clock.ticks().since(started) < Duration::from_secs(10), "nothing is logged of {text:?}");
            std::thread::yield_now();
        }
    }

    /// Stops the gateway and returns its events.
    pub(crate) fn close(mut self) -> Vec<serde_json::Value> {
        self.gateway.take().unwrap().stop().unwrap();
        self.writer.take().unwrap().join().unwrap();
        let bytes = self.log.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The demo policy with one control exchanged.
pub(crate) fn with_control(control: &Control) -> Controls {
    let mut controls = demo_controls();
    controls.release(control);
    controls.demand(control);
    controls
}
