//! One deployment: its settings and its policy, read together and turned into a running gateway.

mod control;
mod rules;
mod tracing;
mod upstreams;

use std::fs::OpenOptions;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use ipnet::IpNet;
use reeve_base::{Clock, Diagnostic, Recorder, Sealer, Span, SystemClock, SystemEntropy};
use reeve_edge::{
    AccessLog, AcmeCertificate, AcmeSettings, BotSettings, Certificate, CertificateError, ChallengeKind, DnsHook,
    Gateway, Inherited, LocalAuthority, ProxySettings, RuleOrigin, RuleSet, Sites, StartError, Tools, UnknownName,
    WafError, WafSettings,
};
use reeve_policy::Policy;
use reeve_policy::catalogue::{Control, Controls};
use reeve_vault::Vault;

use crate::diagnostics::{self, Refused};
use crate::dns_hook::Helper as DnsHelper;
use crate::firewall::Helper;
use crate::input;
use crate::journal::{Helper as Journals, Source};
use crate::keeping::{self, Keeping, Kept, RulePlan, Weakening};
use crate::metrics;
use crate::sandbox;
use crate::screen::Screen;
use crate::settings::{self, Access, Acme, Challenge, HostName, Loaded, Located, Settings, Tls, Unknown};
use crate::upgrade::helper::Helper as UpgradeHelper;
use crate::upgrade::relay::Relay;

pub(crate) use rules::{custom_rules, with_feed as rules_of};

pub(crate) use control::{
    BanQuestion, ControlError, Conversation, Hold, LearnQuestion, MaintenanceQuestion, PayQuestion, PrintQuestion,
    Reply, Request, Socket, ask, path as control_path,
};

pub(crate) use rules::waf_rules;

/// Settings and policy, both without an error.
pub(crate) struct Deployment {
    pub(crate) loaded: Loaded,
    pub(crate) policy: Policy,
    /// What is probably not meant so, in either.
    pub(crate) warnings: Vec<Refused>,
    /// The firewall's rules, once they were read and tried; none before, or if the policy asks for none.
    pub(crate) rules: Option<Arc<RuleSet>>,
}

impl Deployment {
    /// Reads the settings at `path` and the policy that they name.
    ///
    /// # Errors
    /// With all faults of the one, or of the other.
    pub(crate) fn read(path: &Path, clock: &dyn Clock) -> anyhow::Result<Self> {
        let loaded = settings::load(path)?;
        let policy_path = &loaded.settings.policy;
        let text = input::read(&policy_path.value).map_err(|error| {
            let fault = Diagnostic::error("settings::policy", error.to_string())
                .at(policy_path.span.clone(), "named here")
                .help("name the policy's file, relative to these settings; `reeve init` writes one");
            loaded.refuse(fault)
        })?;
        let today = clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let checked = reeve_policy::check(&text.name, &text.bytes, today);
        let mut warnings = Vec::new();
        if !loaded.warnings.is_empty() {
            warnings.push(Refused { source: loaded.source.clone(), faults: loaded.warnings.clone() });
        }
        let found = Refused { source: checked.source, faults: checked.faults };
        match checked.policy {
            Some(policy) => {
                if !found.faults.is_empty() {
                    warnings.push(found);
                }
                let mut deployment = Self { loaded, policy, warnings, rules: None };
                let faults = [deployment.unwatched(), deployment.nobody(), deployment.unjudged(), deployment.swapped()];
                let detecting =
                    rules::detecting(&deployment.loaded.settings, &Controls::of(&deployment.policy), clock.now());
                let ended = rules::ended(&deployment.loaded.settings, clock.now());
                let unmatched = rules::unmatched(&deployment.loaded.settings, &Controls::of(&deployment.policy));
                for fault in faults.into_iter().flatten().chain(detecting).chain(ended).chain(unmatched) {
                    deployment.warnings.push(deployment.loaded.refuse(fault));
                }
                if let Some(fault) = deployment.undescribed() {
                    deployment.warnings.push(deployment.loaded.refuse(fault));
                }
                Ok(deployment)
            }
            None => Err(found.into()),
        }
    }

    /// Reads the firewall's rules and tries them, which may take a while: not on a thread that others wait for.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn prepare_rules(&mut self, clock: &dyn Clock) -> anyhow::Result<()> {
        let (settings, controls) = (rules::edge(&self.loaded.settings), Controls::of(&self.policy));
        let prepared = RuleSet::prepare(&settings, &controls, clock);
        self.rules = prepared.map_err(|error| self.explain(StartError::Waf(error)))?;
        Ok(())
    }

    /// Has the rules recorded, before they are loaded.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub(crate) async fn record_rules(&self, keeping: &Keeping, actor: &str) -> anyhow::Result<()> {
        match &self.rules {
            Some(rules) => keeping.record_rules(rules.facts(), actor).await,
            None => Ok(()),
        }
    }

    /// Says which rules would run, where they are not those of the binary.
    pub(crate) fn show_rules(&self, screen: &Screen) {
        let Some(facts) = self.rules.as_ref().map(|rules| rules.facts()) else { return };
        if facts.origin != RuleOrigin::BuiltIn {
            let version = facts.version.as_deref().unwrap_or("without a version");
            let files = diagnostics::plural(facts.files.len(), "file");
            screen.talk(format_args!("rules {version}, {files}, {}", facts.digest));
        }
    }

    /// What the settings say of the firewall.
    pub(crate) fn rule_settings(&self) -> WafSettings {
        rules::edge(&self.loaded.settings)
    }

    fn edge_settings(&self) -> reeve_edge::Settings {
        let mut settings = edge_settings(&self.loaded.settings);
        settings.waf.prepared.clone_from(&self.rules);
        settings
    }

    /// Has a keeping follow the rules of this deployment.
    pub(crate) fn follow_rules(&self, keeping: &Keeping) {
        keeping.follow_rules(self.rule_plan());
    }

    fn rule_plan(&self) -> RulePlan {
        let settings = &self.loaded.settings;
        let (data, waf) = (settings.data.value.clone(), settings.waf.clone());
        RulePlan { data, waf, controls: Controls::of(&self.policy) }
    }

    /// What the gateway is told, with the certificates that are kept.
    pub(crate) async fn edge(&self, keeping: &Keeping) -> reeve_edge::Settings {
        let mut settings = self.edge_settings();
        keeping.fill(&mut settings).await;
        settings
    }

    /// Starts the helper that runs the hook for the DNS, where the settings name one. Before the process is shut in.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_hook(&self) -> anyhow::Result<Option<Arc<dyn DnsHook>>> {
        let hook = self.loaded.settings.sites.acme.as_ref().and_then(|acme| acme.dns_hook.as_ref());
        let helper = hook.map(|hook| DnsHelper::start(&hook.value)).transpose()?;
        Ok(helper.map(|helper| Arc::new(helper) as Arc<dyn DnsHook>))
    }

    /// Starts the helper that reads journals, where the settings name one. Before the process is shut in.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_journals(&self) -> anyhow::Result<Option<Arc<Journals>>> {
        let sources = Source::all(&self.loaded.settings);
        (!sources.is_empty()).then(|| Journals::start(sources).map(Arc::new)).transpose()
    }

    /// Starts the helper that can start another binary. Before the process is shut in.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn upgrade_helper(&self, config: &Path, plan: &sandbox::Plan) -> anyhow::Result<UpgradeHelper> {
        UpgradeHelper::start(config, &plan.changeable())
    }

    /// Starts the gateway. The handle ends when the log is written to its end, after the gateway has stopped.
    ///
    /// # Errors
    /// With the place in the settings that stands in the way, where one does.
    pub(crate) fn start(
        &self,
        clock: &Arc<SystemClock>,
        keeping: &Keeping,
        relay: &Arc<Relay>,
        settings: reeve_edge::Settings,
        inherited: Vec<Inherited>,
    ) -> anyhow::Result<(Gateway, Option<JoinHandle<()>>)> {
        if let Some(fault) = self.plain_log().or_else(|| self.two_rules()) {
            return Err(self.loaded.refuse(fault).into());
        }
        let (log, writer) = open_log(&self.loaded)?;
        let log = log.recorded_by(Arc::clone(relay) as Arc<dyn Recorder>);
        let sealer = Some(Arc::clone(&keeping.vault) as Arc<dyn Sealer>);
        let (clock, bans) = (Arc::clone(clock) as Arc<dyn Clock>, Arc::clone(&keeping.bans));
        let tools = Tools { clock, entropy: Arc::new(SystemEntropy), log, bans, sealer };
        let gateway = Gateway::start_on(settings, &Controls::of(&self.policy), tools, inherited)
            .map_err(|error| self.explain(error))?;
        keeping.attend(&gateway);
        if let Some(shared) = keeping.shared_rates() {
            gateway.share_rates(shared);
        }
        keeping.roll_up(&Controls::of(&self.policy));
        keeping.follow_rules(self.rule_plan());
        Ok((gateway, writer))
    }

    /// Gives a running gateway these settings and this policy.
    ///
    /// # Errors
    /// As [`Deployment::start`]; the gateway goes on as before.
    pub(crate) fn reload(
        &self,
        gateway: &Gateway,
        keeping: &Keeping,
        settings: &reeve_edge::Settings,
    ) -> anyhow::Result<reeve_edge::Reload> {
        let controls = Controls::of(&self.policy);
        let reloaded = gateway.reload(settings, &controls).map_err(|error| self.explain(error))?;
        keeping.follow(keeping::on_failure(&controls));
        keeping.roll_up(&controls);
        keeping.follow_rules(self.rule_plan());
        self.exempt(keeping);
        Ok(reloaded)
    }

    /// Watches the logs that the settings name, by the rules of policy and settings.
    ///
    /// # Errors
    /// When it cannot be found out how far they were read.
    pub(crate) async fn watch(&self, keeping: &Keeping) -> anyhow::Result<()> {
        let (logs, rules) = keeping::watched(&self.loaded.settings.watch, &Controls::of(&self.policy));
        keeping.watch(logs, rules).await
    }

    /// A rule in the settings for what the policy has a rule for: one of the two would be wrong.
    fn two_rules(&self) -> Option<Diagnostic> {
        let controls = Controls::of(&self.policy);
        self.loaded.settings.watch.iter().find_map(|watch| {
            let (rule, control) = (watch.rule.as_ref()?, keeping::promised(watch.kind, &controls)?);
            let message = format!("the policy says when a failure in this log makes a ban, by `{control}`");
            let fault = Diagnostic::error("settings::two-rules", message).at(rule.span.clone(), "and so does this");
            Some(fault.help("remove `failures`, `window` and `ban` here; what is promised stands in the policy"))
        })
    }

    /// A promise about logs that nothing keeps.
    fn unwatched(&self) -> Option<Diagnostic> {
        let promised = Controls::of(&self.policy).ban_ssh.is_some();
        let watched = self.loaded.settings.watch.iter().any(|watch| watch.kind == reeve_watch::Kind::Sshd);
        let message = "the policy promises `ban.ssh`, and no log of an SSH server is watched";
        let help =
            "add `[[watch]]` with `kind = \"sshd\"` and `journal = \"ssh.service\"` or `file = \"/var/log/auth.log\"`";
        (promised && !watched).then(|| Diagnostic::warning("settings::unwatched", message).help(help))
    }

    /// A promise about users that nothing tells apart.
    fn nobody(&self) -> Option<Diagnostic> {
        let promised = Controls::of(&self.policy).rate_user.is_some();
        let message = "the policy promises `rate.user`, and nothing says what identifies a signed-in user";
        let help = "add `[session]` with `cookie = \"NAME\"`, the cookie that the application keeps its session in";
        let nobody = promised && !self.loaded.settings.session.is_known();
        nobody.then(|| Diagnostic::warning("settings::no-session", message).help(help))
    }

    /// Fingerprints that are listed and that nobody looks at.
    fn unjudged(&self) -> Option<Diagnostic> {
        let listed = self.loaded.settings.bots.fingerprints.first()?;
        let judged = Controls::of(&self.policy).bot_signature.is_some();
        let fault = Diagnostic::warning("settings::unjudged", "the policy has no fingerprints judged")
            .at(listed.span.clone(), "so that nothing is refused for this")
            .help("it takes a clause with `bot.signature` in the policy");
        (!judged).then_some(fault)
    }

    /// Swap, where the policy promises that nothing in memory reaches a disk in clear. Whether it is encrypted, the probe
    /// finds out.
    fn swapped(&self) -> Option<Diagnostic> {
        let promised = Controls::of(&self.policy).cache_cipher.is_some();
        let swaps = if promised { std::fs::read_to_string("/proc/swaps").ok()? } else { return None };
        let areas: Vec<&str> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        let message = format!("the policy promises `cache.cipher`, and swap is on: {}", areas.join(", "));
        let help = "switch it off with `swapoff -a`, or encrypt it; `reeve prove` says which it is";
        (!areas.is_empty()).then(|| Diagnostic::warning("settings::swap", message).help(help))
    }

    /// A promise about what requests are like, and nothing that says what they are to be like.
    fn undescribed(&self) -> Option<Diagnostic> {
        let controls = Controls::of(&self.policy);
        let promised = [
            ("input.schema", controls.input_schema.is_some()),
            ("input.type", controls.input_type.is_some()),
            ("input.format", controls.input_format.is_some()),
        ];
        let (name, _) = promised.into_iter().find(|(_, promised)| *promised)?;
        let message = format!("the policy promises `{name}`, and there is no OpenAPI document to hold requests to");
        let help = "add `openapi = \"api.yaml\"` to `[upstream]`, or learn one with `learn = true`; without one only sizes and depths by kind of body are bounded";
        let fault = Diagnostic::warning("settings::undescribed", message).help(help);
        self.loaded.settings.upstreams().all(|upstream| upstream.document.is_none()).then_some(fault)
    }

    /// Starts what copies bans into the kernel, where the settings ask for it.
    ///
    /// # Errors
    /// When that cannot be done here.
    pub(crate) fn firewall_helper(&self) -> anyhow::Result<Option<Helper>> {
        let asked = &self.loaded.settings.ban.nftables;
        if !asked.value {
            return Ok(None);
        }
        Helper::start().map(Some).map_err(|error| {
            let fault = Diagnostic::error("settings::nftables", format!("bans cannot go into the kernel: {error:#}"))
                .at(asked.span.clone(), "asked for here")
                .help("it takes the package nftables and the right to change the firewall (root, or CAP_NET_ADMIN)");
            self.loaded.refuse(fault).into()
        })
    }

    /// Tells the table of bans who is never banned: this machine, and whom the settings allow.
    pub(crate) fn exempt(&self, keeping: &Keeping) {
        let allowed = self.loaded.settings.ban.allow.iter().map(|network| network.value);
        // A banned proxy would be a ban of everybody behind it.
        let proxies = self.loaded.settings.listen.proxies.trusted.iter().map(|network| network.value);
        keeping.exempt(keeping.own().iter().copied().chain(proxies).chain(allowed).collect());
    }

    /// Opens the listener for metrics, where the settings name one. Inside a runtime.
    ///
    /// # Errors
    /// With the place in the settings.
    pub(crate) fn metrics(&self) -> anyhow::Result<Option<metrics::Listener>> {
        let Some(listen) = &self.loaded.settings.metrics else { return Ok(None) };
        metrics::Listener::open(listen.value).map(Some).map_err(|error| {
            let message = format!("metrics cannot be served on {}: {error}", listen.value);
            let fault = Diagnostic::error("settings::metrics", message).at(listen.span.clone(), "set here");
            self.loaded.refuse(fault.help("choose a port that is free; `ss -ltnp` shows who has it")).into()
        })
    }

    /// Where this deployment keeps things.
    pub(crate) fn kept(&self) -> Kept {
        Kept::of(&self.loaded.settings, &Controls::of(&self.policy))
    }

    /// Opens what this deployment keeps.
    ///
    /// # Errors
    /// With what cannot be opened, and the remedy.
    pub(crate) async fn keep(&self, vault: Arc<Vault>, clock: &Arc<SystemClock>) -> anyhow::Result<Keeping> {
        let on_failure = keeping::on_failure(&Controls::of(&self.policy));
        let (clock, entropy) = (Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
        Keeping::open(self.kept(), vault, on_failure, clock, entropy, Weakening::default()).await
    }

    /// Records what runs, where that is not what was recorded last.
    ///
    /// # Errors
    /// When it cannot be found out or recorded.
    pub(crate) async fn record_system(&self, keeping: &Keeping) -> anyhow::Result<()> {
        let (policy, settings) = (self.policy.source.text.as_bytes(), self.loaded.source.text.as_bytes());
        keeping.system(policy, settings).await
    }

    /// Finds out whether a running gateway could take these settings and this policy.
    ///
    /// # Errors
    /// With what stands in the way.
    pub(crate) fn rehearse(&self, clock: &dyn Clock) -> anyhow::Result<()> {
        match self.verify(clock) {
            Some(fault) => Err(self.loaded.refuse(fault).into()),
            None => Ok(()),
        }
    }

    /// An access log in a plain file, where the policy promises that stored logs are encrypted.
    fn plain_log(&self) -> Option<Diagnostic> {
        let promised = self.policy.controls().any(|control| matches!(control, Control::LogCipher(_)));
        let Access::File(path) = &self.loaded.settings.access else { return None };
        let fault = Diagnostic::error("settings::plain-log", "the access log would lie on the disk in clear")
            .at(path.span.clone(), "this file")
            .help("the policy promises `log.cipher`; write `access = \"stdout\"` or \"off\", and read the ledger: `reeve ledger tail`");
        promised.then_some(fault)
    }

    /// Settings that a running process cannot change, where they differ from those it was started with.
    pub(crate) fn fixed_since(&self, started: &Self) -> Vec<&'static str> {
        let (now, then) = (&self.loaded.settings, &started.loaded.settings);
        let mut changed = Vec::new();
        if now.access != then.access || now.fields != then.fields {
            changed.push("log");
        }
        if now.data.value != then.data.value {
            changed.push("data");
        }
        if now.seal != then.seal {
            changed.push("keys");
        }
        if now.ledger != then.ledger {
            changed.push("ledger");
        }
        if now.ban.nftables.value != then.ban.nftables.value {
            changed.push("ban.nftables");
        }
        if now.metrics.as_ref().map(|metrics| metrics.value) != then.metrics.as_ref().map(|metrics| metrics.value) {
            changed.push("metrics");
        }
        if now.store != then.store {
            changed.push("store");
        }
        let hook = |settings: &Settings| settings.sites.acme.as_ref().and_then(|acme| acme.dns_hook.clone());
        if hook(now).map(|hook| hook.value) != hook(then).map(|hook| hook.value) {
            changed.push("dns_hook");
        }
        if Source::all(now).iter().any(|source| !Source::all(then).contains(source)) {
            changed.push("watch.journal");
        }
        changed
    }

    /// What would keep a gateway from starting so, as far as that can be known without starting one.
    pub(crate) fn verify(&self, clock: &dyn Clock) -> Option<Diagnostic> {
        if let Some(fault) = self.plain_log().or_else(|| self.two_rules()) {
            return Some(fault);
        }
        let settings = self.edge_settings();
        let error = Gateway::verify(&settings, &Controls::of(&self.policy), clock).err()?;
        self.fault(&error)
    }

    /// What is worth knowing of the firewall, and no fault.
    pub(crate) fn survey(&self, clock: &dyn Clock) -> Vec<Diagnostic> {
        rules::survey(&self.loaded.settings, &Controls::of(&self.policy), clock.now())
    }

    /// The firewall's rules, as the gateway runs them: applications' own where the policy promises them.
    pub(crate) fn waf(&self) -> WafSettings {
        let mut waf = rules::edge(&self.loaded.settings);
        if Controls::of(&self.policy).waf_custom.is_none() {
            waf.custom.clear();
        }
        waf
    }

    fn explain(&self, error: StartError) -> anyhow::Error {
        match self.fault(&error) {
            Some(fault) => self.loaded.refuse(fault).into(),
            None => error.into(),
        }
    }

    /// Points at the line of the settings that an error comes from.
    fn fault(&self, error: &StartError) -> Option<Diagnostic> {
        let settings = &self.loaded.settings;
        let (code, span, help): (_, Span, _) = match error {
            StartError::Listen { address, source } => {
                let span = listener_span(settings, *address);
                let help = match source.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        "another program listens there; `ss -ltnp` shows which. Choose another port, or stop it"
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one and forward to it"
                    }
                    _ => "is this an address of this machine?",
                };
                ("settings::listen", span, help)
            }
            StartError::PlainListener(address) => (
                "settings::plain-listener",
                listener_span(settings, *address),
                "remove `http` from `[listen]`, or let the policy say `http = \"redirect\"`",
            ),
            StartError::Certificate(cause) => (
                "settings::certificate",
                certificate_span(settings, cause),
                "see the cause; `reeve up` starts only with a certificate that clients can accept",
            ),
            StartError::Upstream(cause) => ("settings::upstream", upstreams::span(settings, cause), "see the cause"),
            StartError::Collector(cause) => (
                "settings::tracing",
                tracing::span(settings, cause),
                "see the cause; the gateway starts without traces if `[tracing]` is left out",
            ),
            StartError::Pages(_) => (
                "settings::pages",
                settings.pages.as_ref().map(|pages| pages.span.clone()).unwrap_or_default(),
                "the folder holds `404.html`, `4xx.html`, `5xx.html`, `default.html`, any of them; see docs/guide/answers.md",
            ),
            StartError::Waf(WafError::Exclusions(errors)) => return rules::not_excluded(settings, errors),
            StartError::Waf(cause) => rules::explained(&settings.waf, cause),
            StartError::Document(cause) => (
                "settings::openapi",
                upstreams::document_span(settings, cause),
                "the place is a JSON pointer into the document; nothing is served by a document that is half understood",
            ),
            _ => return None,
        };
        let fault = Diagnostic::error(code, error.to_string());
        let fault = if span.is_empty() { fault } else { fault.at(span, "set here") };
        Some(fault.help(help))
    }

    /// The file that clients need in order to trust a local authority, if there is one.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        match &self.loaded.settings.tls {
            Tls::Local(names) => Some(local_authority(&self.loaded.settings, names).certificate_path()),
            Tls::Files { .. } | Tls::Acme(_) => None,
        }
    }
}

/// The addresses of this machine's own interfaces. Those that come later are seen when they connect to themselves.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn own_networks() -> std::io::Result<Vec<IpNet>> {
    let addresses = nix::ifaddrs::getifaddrs()?.filter_map(|interface| interface.address);
    let addresses = addresses.filter_map(|address| {
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
    });
    Ok(addresses.map(IpNet::from).collect())
}

fn listener_span(settings: &Settings, address: SocketAddr) -> Span {
    let mut all = settings.listen.https.iter().chain(&settings.listen.http);
    all.find(|located| located.value == address).map(|located| located.span.clone()).unwrap_or_default()
}

fn certificate_span(settings: &Settings, cause: &CertificateError) -> Span {
    let files = std::iter::once(&settings.tls).chain(&settings.sites.others).filter_map(|tls| match tls {
        Tls::Files { certificate, key } => Some((certificate, key)),
        Tls::Local(_) | Tls::Acme(_) => None,
    });
    let at = |path: &Path| {
        let mut paths = files.flat_map(|(certificate, key)| [certificate, key]);
        paths.find(|located| located.value == path).map(|located| located.span.clone())
    };
    let span = match cause {
        CertificateError::File { path, .. }
        | CertificateError::Pem { path, .. }
        | CertificateError::Validity { path, .. } => at(path),
        CertificateError::Mismatch { key, .. } | CertificateError::Key { key, .. } => at(key),
        _ => None,
    };
    span.unwrap_or_else(|| settings.data.span.clone())
}

fn local_authority(settings: &Settings, names: &[Located<HostName>]) -> LocalAuthority {
    LocalAuthority { folder: settings.data.value.join("ca"), names: texts(names), valid_days: LOCAL_CERTIFICATE_DAYS }
}

fn plain(located: &[Located<String>]) -> Vec<String> {
    located.iter().map(|text| text.value.clone()).collect()
}

fn texts(names: &[Located<HostName>]) -> Vec<String> {
    names.iter().map(|name| name.value.as_str().to_owned()).collect()
}

fn certificate(settings: &Settings, tls: &Tls, acme: Option<&Arc<AcmeSettings>>) -> Option<Certificate> {
    Some(match tls {
        Tls::Local(names) => Certificate::Local(local_authority(settings, names)),
        Tls::Files { certificate, key } => {
            Certificate::Files { chain: certificate.value.clone(), key: key.value.clone() }
        }
        Tls::Acme(names) => {
            Certificate::Acme(AcmeCertificate { names: texts(names), settings: Arc::clone(acme?), kept: None })
        }
    })
}

fn acme_settings(acme: &Acme) -> AcmeSettings {
    AcmeSettings {
        directory: acme.directory.value.clone(),
        contacts: acme.contact.clone(),
        authorities: acme.ca.as_ref().map(|ca| ca.value.clone()),
        challenge: match acme.challenge.value {
            Challenge::Http => ChallengeKind::Http,
            Challenge::TlsAlpn => ChallengeKind::TlsAlpn,
            Challenge::Dns => ChallengeKind::Dns,
        },
        dns_wait: acme.dns_wait.duration(),
        retry: acme.retry.duration(),
    }
}

/// What the settings mean for the gateway.
pub(crate) fn edge_settings(settings: &Settings) -> reeve_edge::Settings {
    let acme = settings.sites.acme.as_ref().map(|acme| Arc::new(acme_settings(acme)));
    let certificate = |tls| certificate(settings, tls, acme.as_ref());
    let others = settings.sites.others.iter().filter_map(certificate).collect();
    // Settings that ask for a certificate and name nobody to ask are refused when they are read.
    let first = certificate(&settings.tls).unwrap_or_else(|| Certificate::Local(local_authority(settings, &[])));
    reeve_edge::Settings {
        https: settings.listen.https.iter().map(|located| located.value).collect(),
        http: settings.listen.http.iter().map(|located| located.value).collect(),
        public_port: settings.listen.public.as_ref().map(|public| public.value.port),
        certificate: first,
        sites: Sites {
            certificates: others,
            unknown: match settings.sites.unknown {
                Unknown::First => UnknownName::First,
                Unknown::Refuse => UnknownName::Refuse,
            },
        },
        session: settings.session.clone(),
        upstream: upstreams::edge(&settings.upstream),
        routing: upstreams::routing(settings),
        proxies: ProxySettings {
            trusted: settings.listen.proxies.trusted.iter().map(|network| network.value).collect(),
            preamble: settings.listen.proxies.preamble.iter().map(|listener| listener.value).collect(),
            header: settings.listen.proxies.header,
        },
        bots: BotSettings {
            deny: plain(&settings.bots.deny),
            allow: plain(&settings.bots.allow),
            fingerprints: plain(&settings.bots.fingerprints),
        },
        waf: rules::edge(settings),
        pages: settings.pages.as_ref().map(|pages| pages.value.clone()),
        tracing: settings.tracing.as_ref().map(tracing::edge),
        workers: settings.server.workers.into(),
        connections_max: usize::try_from(settings.server.connections).unwrap_or(usize::MAX),
        drain: settings.server.drain.duration(),
    }
}

fn open_log(loaded: &Loaded) -> anyhow::Result<(AccessLog, Option<JoinHandle<()>>)> {
    let chosen = |log: AccessLog| match &loaded.settings.fields {
        Some(fields) => log.only(fields),
        None => log,
    };
    let sink: Box<dyn std::io::Write + Send> = match &loaded.settings.access {
        // What is not written here may not be told in traces either.
        Access::Off => return Ok((chosen(AccessLog::off()), None)),
        Access::Stdout => Box::new(std::io::stdout()),
        Access::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(&path.value).map_err(|error| {
                let fault =
                    Diagnostic::error("settings::log", format!("cannot write `{}`: {error}", path.value.display()))
                        .at(path.span.clone(), "set here")
                        .help("name a file in a folder that this user may write to, or write `access = \"stdout\"`");
                loaded.refuse(fault)
            })?;
            Box::new(file)
        }
    };
    let (log, writer) = AccessLog::to(sink).context("cannot start the access log")?;
    Ok((chosen(log), Some(writer)))
}

/// Shows warnings of settings and policy.
pub(crate) fn show_warnings(warnings: &[Refused], screen: &Screen) {
    for refused in warnings {
        screen.complain(diagnostics::text::report(&refused.source, &refused.faults, screen.width()).trim_end());
    }
}

/// Local certificates are made anew at every start, so this only has to outlast a long run.
const LOCAL_CERTIFICATE_DAYS: i64 = 397;
