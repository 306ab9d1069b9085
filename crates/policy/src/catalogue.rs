//! Every control that Reeve knows: those that it enforces or proves, with typed parameters, and those that are planned.
//!
//! One struct for each control, in the module of its capability. [`Control`] over them is complete on purpose: a new
//! control does not compile until the gateway, the probes and their mutations say what they do about it.

// First, because the modules of the capabilities use its macro.
#[macro_use]
mod spec;

mod answers;
mod ban;
mod callers;
mod edge;
mod input;
mod ledger;
mod planned;
mod prove;
mod rate;
mod uptime;
mod value;
mod waf;

pub use answers::*;
pub use ban::*;
pub use callers::*;
pub use edge::*;
pub use input::*;
pub use ledger::*;
pub use planned::{PLANNED, Planned, planned};
pub use prove::*;
pub use rate::*;
pub use spec::{Difference, Facts, Parameter};
pub use uptime::*;
pub use waf::*;

use spec::Spec;
pub(crate) use value::english_list;
pub use value::{
    AccessOutcome, AuthorisedScript, Cipher, ContactUri, CookieName, Framing, HeaderText, HttpsOrigin, Link, Mail,
    Method, Network, OnFailure, OriginPolicy, PlainHttp, PlainText, PortRange, Refused, Replaced, RulesetDigest,
    SameSite, ScriptSource, SecurityEvent, Signature, StorageCipher, Swap, SystemChange, TemporaryCipher, TlsVersion,
    UrlPath,
};

use reeve_base::ControlName;
use reeve_base::document::Fields;

use crate::Policy;

macro_rules! controls {
    ($($field:ident: $name:ident,)*) => {
        /// A control with the parameters that a clause gave it.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::exhaustive_enums, reason = "a new control must be enforced, probed and mutated to compile")]
        pub enum Control {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Control {
            /// Every control, with its default parameters.
            #[must_use]
            pub fn every() -> Vec<Self> {
                vec![$(Self::$name($name::default()),)*]
            }

            fn spec(&self) -> &dyn Spec {
                match self {
                    $(Self::$name(control) => control,)*
                }
            }

            /// Reads the parameters of the control called `name`; `None` if there is no such typed control.
            pub(crate) fn read(name: &str, fields: &mut Fields<'_, '_>) -> Option<Self> {
                $(
                    if name == $name::default().facts().name {
                        return Some(Self::$name($name::read(fields)));
                    }
                )*
                None
            }

            /// How the parameters of two clauses differ; `None` if they are not the same control.
            #[must_use]
            pub fn differences(&self, other: &Self) -> Option<Vec<Difference>> {
                match (self, other) {
                    $((Self::$name(left), Self::$name(right)) => Some(left.differences(right)),)*
                    _ => None,
                }
            }
        }

        /// What a policy asks of the parts that enforce it: each control once, at the strictest values that any
        /// clause gives it. A control that no clause names is absent, and then nothing of it is enforced.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Controls {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] pub $field: Option<$name>,)*
        }

        impl Controls {
            /// Puts the control in, or tightens the one that is there.
            pub fn demand(&mut self, control: &Control) {
                match control {
                    $(Control::$name(asked) => {
                        let tightened = self.$field.as_ref().map_or_else(|| asked.clone(), |held| held.strictest(asked));
                        self.$field = Some(tightened);
                    })*
                }
            }

            /// Takes the control out, whatever its parameters.
            pub fn release(&mut self, control: &Control) {
                match control {
                    $(Control::$name(_) => self.$field = None,)*
                }
            }
        }
    };
}

controls! {
    tls_floor: TlsFloor,
    tls_ciphers: TlsCiphers,
    tls_cipher_bits: TlsCipherBits,
    tls_pfs: TlsPfs,
    tls_only: TlsOnly,
    tls_https_only: TlsHttpsOnly,
    tls_cert_expiry: TlsCertExpiry,
    tls_acme: TlsAcme,
    tls_pin: TlsPin,
    hdr_hsts: HdrHsts,
    hdr_csp: HdrCsp,
    hdr_frame: HdrFrame,
    hdr_set: HdrSet,
    hdr_cookies: HdrCookies,
    rate_ip: RateIp,
    rate_user: RateUser,
    rate_header: RateHeader,
    input_size: InputSize,
    input_methods: InputMethods,
    input_schema: InputSchema,
    input_type: InputType,
    input_format: InputFormat,
    input_charset: InputCharset,
    waf_attack_set: WafAttackSet,
    waf_custom: WafCustom,
    waf_rule_age: WafRuleAge,
    error_page: ErrorPage,
    error_no_debug: ErrorNoDebug,
    pay_scripts: PayScripts,
    pay_form_target: PayFormTarget,
    cache_cipher: CacheCipher,
    ban_http: BanHttp,
    ban_auto: BanAuto,
    ban_ssh: BanSsh,
    net_open_ports: NetOpenPorts,
    edge_ip_allow: EdgeIpAllow,
    bot_ua: BotUa,
    bot_signature: BotSignature,
    host_firewall: HostFirewall,
    edge_smuggling: EdgeSmuggling,
    edge_slow_and_flood: EdgeSlowAndFlood,
    disclose_securitytxt: DiscloseSecurityTxt,
    disclose_contact: DiscloseContact,
    trust_links: TrustLinks,
    ledger_append_only: LedgerAppendOnly,
    ledger_tamper: LedgerTamper,
    log_access: LogAccess,
    log_system_change: LogSystemChange,
    log_security_event: LogSecurityEvent,
    log_perf: LogPerf,
    log_retention: LogRetention,
    log_purge: LogPurge,
    log_cipher: LogCipher,
    body_no_persist: BodyNoPersist,
    store_cipher_header: StoreCipherHeader,
    uptime_slo: UptimeSlo,
    uptime_exclusions: UptimeExclusions,
    coverage_section: CoverageSection,
    coverage_clauses: CoverageClauses,
}

impl Control {
    /// What is the same for every clause with this control.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.spec().facts()
    }

    /// The name: `tls.floor`.
    #[must_use]
    pub fn name(&self) -> ControlName {
        ControlName::new(self.facts().name)
    }

    /// The parameters with their values.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        self.spec().parameters()
    }

    /// The parameters in canonical form, one to a line: what evidence is bound to.
    #[must_use]
    pub fn canonical(&self) -> String {
        let lines = self.parameters().into_iter().map(|one| format!("{} = {}\n", one.name, one.written));
        format!("{}\n{}", self.facts().name, lines.collect::<String>())
    }

    /// The control called `name` with its default parameters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::every().into_iter().find(|control| control.facts().name == name)
    }
}

impl Controls {
    /// What this policy asks for.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let mut controls = Self::default();
        policy.controls().for_each(|control| controls.demand(control));
        controls
    }
}

/// The names of all controls, typed and planned.
pub fn names() -> impl Iterator<Item = &'static str> {
    let typed = Control::every().into_iter().map(|control| control.facts().name);
    typed.chain(PLANNED.iter().map(|planned| planned.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_both_typed_and_planned_and_none_stands_twice() {
        let mut all: Vec<_> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn demanding_twice_takes_the_stricter_value_of_each_parameter() {
        let mut controls = Controls::default();
        let rate =
            |per_minute, burst| RateIp { rate: reeve_base::Rate::per_minute(per_minute), burst, ..RateIp::default() };
        controls.demand(&Control::RateIp(rate(60, 100)));
        controls.demand(&Control::RateIp(rate(600, 10)));
        assert_eq!(controls.rate_ip, Some(rate(60, 10)));
        controls.release(&Control::RateIp(rate(1, 1)));
        assert_eq!(controls.rate_ip, None);
    }

    #[test]
    fn every_control_states_what_enforces_and_what_proves_it() {
        for control in Control::every() {
            let facts = control.facts();
            assert!(facts.enforced.len() > 20 && facts.proved.len() > 20 && !facts.serves.is_empty(), "{}", facts.name);
        }
    }
}
