//! A gateway with a keeper, a store and a pebble of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_base::{Clock, Sealer, SystemClock, SystemEntropy};
use reeve_edge::{
    AccessLog, AcmeCertificate, AcmeSettings, Announced, Bans, BotSettings, Certificate, Certificates, ChallengeKind,
    DnsChange, DnsHook, Gateway, Keeper, KeeperTools, News, Press, ProxySettings, Routing, Session, Settings, Sites,
    Tools,
};
use reeve_store::{CounterPlace, Database, ObjectPlace, Store};
use reeve_testkit::{Pebble, PebbleSettings, free_ports};
use reeve_vault::{NewSeal, Vault};

use super::meddler::Meddler;
use crate::application::Application;
use crate::house::{demo_controls, upstream};

pub(crate) const DAYS_90: u64 = 90 * 24 * 3_600;

/// What is different from the usual.
pub(crate) struct Plan {
    pub(crate) names: Vec<String>,
    pub(crate) challenge: ChallengeKind,
    pub(crate) valid_seconds: u64,
    pub(crate) nonces_refused: u8,
    pub(crate) meddler: Option<Meddler>,
    /// Whether the authority asks the gateway, or a port on which nobody listens.
    pub(crate) reachable: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            names: vec![String::from("www.site.test"), String::from("site.test")],
            challenge: ChallengeKind::Http,
            valid_seconds: DAYS_90,
            nonces_refused: 0,
            meddler: None,
            reachable: true,
        }
    }
}

pub(crate) struct Bench {
    pub(crate) pebble: Pebble,
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) keeper: Keeper,
    pub(crate) certificates: Certificates,
    pub(crate) press: Arc<Paper>,
    pub(crate) hook: Arc<Hook>,
    pub(crate) folder: tempfile::TempDir,
    gateway: Option<Gateway>,
    settings: Settings,
    tools: KeeperTools,
}

impl Bench {
    pub(crate) async fn start(plan: Plan) -> Self {
        let [http_port, tls_port, nobody] = free_ports().await.unwrap();
        let Plan { names, challenge, valid_seconds, nonces_refused, meddler, reachable } = plan;
        let asked = if reachable { http_port } else { nobody };
        let pebble = PebbleSettings { http_port: asked, tls_port, valid_seconds, nonces_refused };
        let pebble = Pebble::start(pebble).await.unwrap();
        let directory = match meddler {
            Some(meddler) => format!("https://localhost:{}/dir", meddler.stand_before(&pebble)),
            None => pebble.directory(),
        };
        let acme = AcmeSettings {
            directory,
            contacts: vec![String::from("mailto:admin@site.test")],
            authorities: Some(pebble.authority()),
            challenge,
            dns_wait: Duration::from_millis(100),
            retry: Duration::from_mins(5),
        };
        let folder = tempfile::tempdir().unwrap();
        let press = Arc::new(Paper::default());
        let hook = Arc::new(Hook { management: pebble.names_management(), acts: Mutex::default() });
        let tools = keeper_tools(folder.path(), &press, &hook).await;
        let application = Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let settings = Settings {
            https: vec![loopback(tls_port)],
            http: vec![loopback(http_port)],
            public_port: None,
            certificate: Certificate::Acme(AcmeCertificate { names, settings: Arc::new(acme), kept: None }),
            sites: Sites::default(),
            upstream: upstream(application.address),
            session: Session::default(),
            routing: Routing::default(),
            proxies: ProxySettings::default(),
            bots: BotSettings::default(),
            waf: reeve_edge::WafSettings::default(),
            pages: None,
            tracing: None,
            workers: 2,
            connections_max: 1_000,
            drain: Duration::ZERO,
        };
        let gateway = start_gateway(&settings);
        Self {
            pebble,
            https: loopback(tls_port),
            http: loopback(http_port),
            keeper: Keeper::new(tools.clone()),
            certificates: gateway.certificates(),
            press,
            hook,
            folder,
            gateway: Some(gateway),
            settings,
            tools,
        }
    }

    /// Stops the gateway and starts another one as a new process would.
    pub(crate) async fn restart(&mut self) {
        self.stop_gateway();
        self.keeper = Keeper::new(self.tools.clone());
        let mut settings = self.settings.clone();
        self.keeper.fill(&mut settings).await;
        let gateway = start_gateway(&settings);
        self.certificates = gateway.certificates();
        self.gateway = Some(gateway);
    }

    pub(crate) fn stop_gateway(&mut self) {
        self.gateway.take().unwrap().stop().unwrap();
    }

    /// A keeper as another node would have it.
    pub(crate) fn another_keeper(&self, node: &str) -> Keeper {
        Keeper::new(KeeperTools { node: node.to_owned(), ..self.tools.clone() })
    }

    /// Another gateway over the same store, on ports that pebble does not ask.
    pub(crate) fn another_gateway(&self) -> Gateway {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        start_gateway(&Settings { https: vec![any], http: vec![any], ..self.settings.clone() })
    }

    /// A keeper that knows that it is not alone.
    pub(crate) fn shared_keeper(&self, node: &str) -> Keeper {
        Keeper::new(KeeperTools { node: node.to_owned(), shared: true, ..self.tools.clone() })
    }

    /// One GET in plaintext.
    pub(crate) fn plain(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn start_gateway(settings: &Settings) -> Gateway {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let bans = Arc::new(Bans::new(Arc::clone(&clock)));
    let tools = Tools { clock, entropy: Arc::new(SystemEntropy), log: AccessLog::off(), bans, sealer: None };
    Gateway::start(settings.clone(), &demo_controls(), tools).unwrap()
}

async fn keeper_tools(folder: &std::path::Path, press: &Arc<Paper>, hook: &Arc<Hook>) -> KeeperTools {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let seals = vec![NewSeal::File(folder.join("seal"))];
    let vault = Vault::create(&folder.join("keys"), seals, Arc::new(SystemEntropy), clock.now()).unwrap();
    let sealer: Arc<dyn Sealer> = Arc::new(vault);
    let settings = reeve_store::Settings {
        database: Database::Sqlite(folder.join("store.db")),
        counters: CounterPlace::Memory,
        objects: ObjectPlace::Folder(folder.join("objects")),
        namespace: String::from("reeve"),
    };
    let tools =
        reeve_store::Tools { sealer: Arc::clone(&sealer), clock: Arc::clone(&clock), entropy: Arc::new(SystemEntropy) };
    let store = Store::open(settings, tools).await.unwrap();
    KeeperTools {
        store,
        sealer,
        clock,
        entropy: Arc::new(SystemEntropy),
        press: Arc::clone(press) as Arc<dyn Press>,
        dns: Some(Arc::clone(hook) as Arc<dyn DnsHook>),
        node: String::from("one"),
        shared: false,
    }
}

/// Keeps what it is told, and refuses to on demand.
#[derive(Default)]
pub(crate) struct Paper {
    told: Mutex<Vec<String>>,
    refuses: AtomicBool,
}

impl Paper {
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn refuse(&self, refuse: bool) {
        self.refuses.store(refuse, Ordering::SeqCst);
    }
}

impl Press for Paper {
    fn announce<'a>(&'a self, news: News<'a>) -> Announced<'a> {
        Box::pin(async move {
            if self.refuses.load(Ordering::SeqCst) {
                return Err(String::from("the disk is full"));
            }
            let line = match news {
                News::Issued { names, .. } => format!("issued {}", names.join(" ")),
                News::Failed { cause, .. } => format!("failed {cause}"),
                _ => String::from("something else"),
            };
            self.told.lock().unwrap().push(line);
            Ok(())
        })
    }
}

/// Tells the DNS that pebble asks.
pub(crate) struct Hook {
    management: SocketAddr,
    acts: Mutex<Vec<String>>,
}

impl Hook {
    pub(crate) fn acts(&self) -> Vec<String> {
        self.acts.lock().unwrap().clone()
    }
}

impl DnsHook for Hook {
    fn change(&self, what: DnsChange, name: &str, value: &str) -> Result<(), String> {
        let (path, act) = match what {
            DnsChange::Present => ("set-txt", "present"),
            DnsChange::Cleanup => ("clear-txt", "cleanup"),
        };
        self.acts.lock().unwrap().push(format!("{act} {name}"));
        let body = format!(r#"{{"host": "{name}.", "value": "{value}"}}"#);
        let mut stream = TcpStream::connect(self.management).map_err(|error| error.to_string())?;
        let length = body.len();
        let request =
            format!("POST /{path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        if answer.contains(" 200 ") { Ok(()) } else { Err(answer) }
    }
}
