//! The settings of one deployment: `reeve.toml`, format `reeve.settings/1`.
//!
//! The policy says what is promised and is the same everywhere; the settings say where this deployment listens, what
//! it protects, and where its files are. There are no secrets in them: keys are named by their path.
//!
//! [`load`] reads a file; [`read::settings`] is the pure function from what was written to what it means, with all
//! faults at once. Values that can still turn out wrong (a certificate that is not there, a port that is taken) are
//! [`Located`], so that whoever finds out can point at the line: [`Loaded::refuse`].

mod address;
mod ban;
mod callers;
mod keeping;
mod read;
mod sense;
mod session;
mod tls;
mod tracing;
mod upstream;
mod waf;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reeve_base::document::{self, FromValue, Mismatch, Value};
use reeve_base::{Diagnostic, Period, Source, Span, limit};
use reeve_edge::Session;

use crate::diagnostics::{self, Refused};
use crate::input;

pub(crate) use address::{HostName, Protocol, PublicUrl, UpstreamUrl};
pub(crate) use ban::BanSettings;
pub(crate) use callers::{Bots, Proxies};
pub(crate) use keeping::{Counters, Database, LedgerSettings, Place, Seal, StoreSettings, Witness};
pub(crate) use tls::{Acme, Challenge, Sites, Tls, Unknown};
pub(crate) use tracing::Tracing;
pub(crate) use upstream::{Circuit, DEFAULT as DEFAULT_UPSTREAM, Health, Route, Upstream};
pub(crate) use waf::{Canary, Custom, DetectOnly, Exclude, Feed, FeedSource, Waf};
pub(crate) use watch::{WatchRule, WatchSettings, WatchedLog};

/// What a deployment is set to. Every path is absolute.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The policy file. What it does not know is not checked here.
    pub(crate) policy: Located<PathBuf>,
    /// The folder for everything that is kept, and for the control socket.
    pub(crate) data: Located<PathBuf>,
    /// Where clients come in.
    pub(crate) listen: Listen,
    /// Which certificate they see first.
    pub(crate) tls: Tls,
    /// Which they see beside it.
    pub(crate) sites: Sites,
    /// The application behind.
    pub(crate) upstream: Upstream,
    /// Other applications behind.
    pub(crate) named: Vec<Upstream>,
    /// What goes to which.
    pub(crate) routes: Vec<Route>,
    /// What opens the root key.
    pub(crate) seal: Seal,
    /// The ledger.
    pub(crate) ledger: LedgerSettings,
    /// The store.
    pub(crate) store: StoreSettings,
    /// Who is never banned, and where else bans hold.
    pub(crate) ban: BanSettings,
    /// What identifies a signed-in user.
    pub(crate) session: Session,
    /// Which programs are refused, and which are not.
    pub(crate) bots: Bots,
    /// The rules of the firewall.
    pub(crate) waf: Waf,
    /// Which logs of other programs are watched.
    pub(crate) watch: Vec<WatchSettings>,
    /// The folder of error pages of one's own.
    pub(crate) pages: Option<Located<PathBuf>>,
    /// Where the access log goes.
    pub(crate) access: Access,
    /// What is written of each event; everything if nothing is said.
    pub(crate) fields: Option<Vec<String>>,
    /// How the process is run.
    /// Where Prometheus may read how the gateway does; nowhere if nothing is said.
    pub(crate) metrics: Option<Located<SocketAddr>>,
    /// Where traces go; nowhere if nothing is said.
    pub(crate) tracing: Option<Tracing>,
    pub(crate) server: Server,
    /// What the probes cannot know.
    pub(crate) prove: Prove,
}

impl Settings {
    /// Every application behind, that of `[upstream]` first.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        std::iter::once(&self.upstream).chain(&self.named)
    }
}

/// Where clients come in.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    /// TLS ports: at least one, none twice.
    pub(crate) https: Vec<Located<SocketAddr>>,
    /// Plaintext ports, which only redirect. Whether the policy allows any is for the wiring to check.
    pub(crate) http: Vec<Located<SocketAddr>>,
    /// How clients outside call the site, where that differs from the listeners (port forwarding, a load balancer).
    pub(crate) public: Option<Located<PublicUrl>>,
    /// Who stands in front.
    pub(crate) proxies: Proxies,
}

/// An OpenAPI document of the application.
#[derive(Debug, Clone)]
pub(crate) struct DocumentFile {
    /// The file.
    pub(crate) file: Located<PathBuf>,
    /// The path under which its operations are, where that differs from its first server's.
    pub(crate) base: Option<String>,
}

/// The gateway's own certificate as a client, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct ClientFiles {
    /// The chain, its own first.
    pub(crate) certificate: Located<PathBuf>,
    /// Its private key.
    pub(crate) key: Located<PathBuf>,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// Standard output, one JSON object a line.
    Stdout,
    /// Nowhere.
    Off,
    /// The end of this file.
    File(Located<PathBuf>),
}

/// How the process is run.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Threads that serve: 1 to 256.
    pub(crate) workers: u16,
    /// How long requests may take to end after a stop is asked for.
    pub(crate) drain: Period,
    /// How long each of the two steps of an upgrade may take: until the new process is prepared, and until it serves.
    pub(crate) upgrade: Period,
    /// The most client connections at any time, over all listeners.
    pub(crate) connections: u32,
    /// How the process is shut in once everything is open.
    pub(crate) sandbox: Sandbox,
}

/// How the process is shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sandbox {
    /// As far as this kernel can; what it cannot is said at the start.
    BestEffort,
    /// Wholly, or it does not start.
    Enforce,
    /// Not at all.
    Off,
}

/// What the probes cannot know.
#[derive(Debug, Clone)]
pub(crate) struct Prove {
    /// A path on which the application answers with a server error, for `error.page`.
    pub(crate) error_path: Option<String>,
    /// A path on which it shows a stack trace under a status below 500, for `error.no_debug`.
    pub(crate) trace_path: Option<String>,
    /// Caches of other programs that hold what passes through, for `cache.cipher`.
    pub(crate) caches: Vec<PathBuf>,
}

/// A value and where it was written; an empty span is a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// What.
    pub(crate) value: T,
    /// Where.
    pub(crate) span: Span,
}

impl<T> Located<T> {
    /// The same place with another value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), span: self.span }
    }
}

impl<T: FromValue> FromValue for Located<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        Ok(Self { value: T::from_value(value)?, span: value.span.clone() })
    }
}

/// Settings without an error, and the text they came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The text.
    pub(crate) source: Source,
    /// What it means.
    pub(crate) settings: Settings,
    /// What is probably not meant so.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Loaded {
    /// Refuses the settings for a fault that showed only when they were used.
    pub(crate) fn refuse(&self, fault: Diagnostic) -> Refused {
        Refused { source: self.source.clone(), faults: vec![fault] }
    }
}

/// What the settings depend on beside their text.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The absolute folder that relative paths start from.
    pub(crate) folder: PathBuf,
    /// The number of processor cores: the default for `workers`.
    pub(crate) cores: u16,
}

impl Surroundings {
    /// Those of a settings file at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        // Where the working folder is gone, paths stay relative, and opening them fails with their name.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().map(Path::to_owned).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(1));
        Self { folder, cores }
    }
}

/// Reads the settings at `path`.
///
/// # Errors
/// When the file cannot be read, or with all faults of its text.
pub(crate) fn load(path: &Path) -> Result<Loaded, Refused> {
    let input = input::read(path).map_err(|error| {
        let fault = Diagnostic::error("settings::unreadable", error.to_string())
            .help("`reeve init` writes a reeve.toml; `--config` or REEVE_CONFIG names another one");
        Refused { source: Source::new(path.display().to_string(), ""), faults: vec![fault] }
    })?;
    check(&input.name, &input.bytes, &Surroundings::of(path))
}

/// Reads settings called `name` from their text.
///
/// # Errors
/// With all faults of the text, warnings among them.
pub(crate) fn check(name: &str, bytes: &[u8], around: &Surroundings) -> Result<Loaded, Refused> {
    let document = document::parse(name, bytes).map_err(|(source, faults)| Refused { source, faults })?;
    let (settings, mut faults) = read::settings(&document.root, around);
    let sound = !diagnostics::any_error(&faults);
    faults.truncate(limit::DIAGNOSTICS_MAX);
    match settings {
        Some(settings) if sound => Ok(Loaded { source: document.source, settings, warnings: faults }),
        _ => Err(Refused { source: document.source, faults }),
    }
}

/// Whether a document says of itself that it is settings.
pub(crate) fn recognises(root: &document::Table) -> bool {
    let schema = root.entry("schema").map(|entry| &entry.value.kind);
    matches!(schema, Some(document::Kind::Text(text)) if text.starts_with("reeve.settings/"))
}

#[cfg(test)]
mod tests;
