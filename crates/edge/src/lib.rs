//! The gateway: what stands between the network and the company's application, set to what the policy promises.
//!
//! A request walks through typed stages, each made in one place (`request.rs`): `Parsed`, `Admitted` and `Allowed`. Only
//! an `Allowed` request can be forwarded, and forwarding consumes it. An error inside a stage refuses the request.
//!
//! Invariants: a head reaches the HTTP parser only after `guard` found that it can be read in one way; a control that
//! the policy does not name is not enforced (so that a probe can be shown to fail); nothing here knows how it is proved.
//!
//! Start reading at [`Gateway`], then `serve`.

mod access_log;
mod acme;
mod answers;
mod ban;
mod body;
mod callers;
mod certificate;
mod connection_cap;
mod entrance;
mod fingerprint;
mod forward;
mod gateway;
mod guard;
mod head;
mod learn;
mod maintenance;
mod meter;
mod pace;
mod page;
mod rate;
mod redact;
mod refusal;
mod renewal;
mod request;
mod response;
mod route;
mod rules;
mod scrutiny;
mod serve;
mod settings;
mod taking;
mod tls;
mod traces;
mod upstream;
mod waf;
mod worker;

pub use access_log::AccessLog;
pub use acme::{
    AcmeSettings, Announced, ChallengeKind, DnsChange, DnsHook, Keeper, KeeperTools, News, Press, RenewError, Standing,
};
pub use answers::scripts::{Approval, PaymentScripts, Script, ScriptChange, ScriptEvent, ScriptInventory};
pub use ban::{
    BANS_MAX, Ban, BanError, Bans, CANARIES_MAX, CANARY_TIME, Canaries, Change, EXEMPT_MAX, Ending, GRACE, JailRule,
    MEMORY, PRINTS_MAX, PrintBan, REASON_BYTES_MAX, banned_network, parse_network,
};
pub use callers::{AgentListError, CallerError, SHIPPED_AGENTS, list_date};
pub use certificate::{
    AcmeCertificate, Certificate, CertificateError, Certificates, Identity, IdentityError, LocalAuthority, Shown,
    Sites, UnknownName,
};
pub use fingerprint::{NameHash, is_fingerprint, ja4};
pub use gateway::{Gateway, Inherited, Reload, StartError, Tools};
pub use head::{Head, HeadLimits, Inspection, Strictness, inspect};
pub use learn::{Draft, Learning, Progress, ProposeError};
pub use maintenance::{CLOSURES_MAX, Closure, Shutter};
pub use meter::{Durations, HANDSHAKES, Meters, Requests, Totals};
pub use page::PagesError;
pub use rate::{Allowance, Asked, Counted, RateRules, Rates, Session};
pub use refusal::Refusal;
pub use scrutiny::ScrutinyError;
pub use settings::{
    BotSettings, CIRCUIT_OPEN_MAX, CircuitRule, ClientCertificate, CollectorAddress, ContractSettings, ForwardedHeader,
    HealthCheck, ProxySettings, ROUTES_MAX, RouteSettings, Routing, SERVERS_MAX, ServerAddress, Settings,
    TracingSettings, UpstreamScheme, UpstreamSettings,
};
pub use upstream::{DialerError, KeyPin, KeyPinError, Outlook, Outward, ServerState, TrialError};
pub use waf::{
    Canary, CustomRules, DetectOnly, Firewall, RuleFacts, RuleFile, RuleFiles, RuleOrigin, RuleSet, RuleShelf,
    SelfTest, TRIED_MAX, TestShelf, WafError, WafSettings,
};
