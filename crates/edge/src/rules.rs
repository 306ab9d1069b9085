//! The policy's controls, turned once into what each request is held to.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ALT_SVC, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, SERVER, STRICT_TRANSPORT_SECURITY, VIA,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;
use reeve_base::Period;
use reeve_policy::catalogue::{
    Controls, DiscloseContact, DiscloseSecurityTxt, Framing, OriginPolicy, PlainHttp, Replaced,
};

use crate::answers::TraceRules;
use crate::answers::cookies::CookieRules;
use crate::answers::payment::PaymentRules;
use crate::answers::report::{REPORT_DIRECTIVES, REPORT_ENDPOINT, REPORTING_ENDPOINTS};
use crate::guard::GuardLimits;
use crate::head::{HeadLimits, Strictness};
use crate::pace::PaceLimits;
use crate::renewal::Share;

/// What every request and answer is held to. Immutable: a reload makes a new one.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) guard: GuardLimits,
    pub(crate) body_bytes_max: u64,
    pub(crate) methods: Option<Methods>,
    pub(crate) hidden_paths: Vec<String>,
    pub(crate) security_txt: Option<SecurityTxt>,
    pub(crate) connections_each: Option<u32>,
    pub(crate) plain: Plain,
    /// After which share of its life a certificate is replaced.
    pub(crate) renewal: Option<Share>,
    /// Whether answers are searched for stack traces, and which are not.
    pub(crate) traces: Option<TraceRules>,
    /// What payment pages are held to.
    pub(crate) payment: Option<Arc<PaymentRules>>,
    /// Whether browsers may report what they kept back.
    pub(crate) reports: bool,
    pub(crate) answers: AnswerRules,
}

/// What a plaintext listener does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Answers with the same address under `https:`.
    Redirect,
    /// Serves it: no clause asks for TLS.
    Serve,
}

/// Which methods are served.
#[derive(Debug)]
pub(crate) struct Methods {
    pub(crate) allowed: Vec<Method>,
    /// The value of Allow, which a refusal carries (RFC 9110 section 15.5.6).
    pub(crate) allow: HeaderValue,
}

/// What is done to every answer.
#[derive(Debug)]
pub(crate) struct AnswerRules {
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    pub(crate) strip: Vec<HeaderName>,
    pub(crate) strict_transport: Option<HeaderValue>,
    pub(crate) replaced: Option<Replaced>,
    pub(crate) cookies: Option<CookieRules>,
    /// Whether what is somebody's own is kept out of caches.
    pub(crate) no_store: bool,
    /// Whether the Content Security Policy is one of ours.
    pub(crate) own_policy: bool,
}

/// The file by which researchers find out how to report.
#[derive(Debug)]
pub(crate) struct SecurityTxt {
    pub(crate) file: Option<DiscloseSecurityTxt>,
    pub(crate) contact: Option<DiscloseContact>,
}

impl Rules {
    /// Every value here was checked by the policy's reader, so none of this can fail; a header value that is none all
    /// the same is a fault, because leaving it out would loosen the policy in silence.
    pub(crate) fn new(controls: &Controls) -> Result<Self, http::Error> {
        let slow = controls.edge_slow_and_flood.as_ref();
        let size = controls.input_size.as_ref();
        let head = HeadLimits {
            head_bytes_max: size.map_or(HEAD_BYTES_CEILING, |size| bytes(size.header)),
            target_bytes_max: size.map_or(TARGET_BYTES_CEILING, |size| bytes(size.uri)),
            fields_max: size.map_or(FIELDS_CEILING, |size| size.fields.into()),
        };
        let strictness = if controls.edge_smuggling.is_some() { Strictness::Strict } else { Strictness::Lenient };
        let https_only = controls.tls_https_only.as_ref();
        let plain = if controls.tls_only.is_some() || https_only.is_some() { Plain::Redirect } else { Plain::Serve };
        Ok(Self {
            guard: GuardLimits {
                head,
                strictness,
                head_deadline: slow.map_or(UNTIMED, |slow| slow.header_deadline.duration()),
                idle_deadline: IDLE_DEADLINE,
                pace: slow.map_or(SILENCE_ONLY, |slow| PaceLimits {
                    grace: slow.grace.duration(),
                    bytes_a_second: slow.least_rate.bytes(),
                }),
            },
            body_bytes_max: size.map_or(u64::MAX, |size| size.body.bytes()),
            methods: methods(controls)?,
            hidden_paths: controls
                .error_no_debug
                .iter()
                .flat_map(|hidden| hidden.paths.iter().map(|path| path.as_str().to_owned()))
                .collect(),
            security_txt: security_txt(controls),
            connections_each: slow.map(|slow| slow.connections),
            plain,
            renewal: controls.tls_acme.as_ref().map(|control| Share::percent(control.life)),
            traces: controls.error_no_debug.as_ref().and_then(TraceRules::new),
            payment: PaymentRules::new(controls).map(Arc::new),
            reports: controls.pay_scripts.is_some()
                || controls.pay_form_target.is_some()
                || controls.hdr_csp.as_ref().is_some_and(|csp| csp.report),
            answers: AnswerRules::new(controls)?,
        })
    }

    /// Whether the policy wants no plaintext listener at all.
    pub(crate) fn forbids_plain(controls: &Controls) -> bool {
        controls.tls_https_only.as_ref().is_some_and(|only| only.http == PlainHttp::Closed)
    }

    /// Whether `path` is one that is never served: it, or anything below it, in whatever way it is spelled.
    pub(crate) fn hides(&self, path: &str) -> bool {
        if self.hidden_paths.is_empty() {
            return false;
        }
        let path = plainly(path);
        self.hidden_paths.iter().any(|hidden| {
            path.strip_prefix(hidden.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The path as an application may come to read it: percent-encoding resolved, parameters of segments cut off, empty and
/// dot segments gone (RFC 3986 sections 5.2.4 and 6.2.2). Used to compare, never to forward.
pub(crate) fn plainly(path: &str) -> Cow<'_, str> {
    let spelled_out =
        path.bytes().any(|byte| matches!(byte, b'%' | b';' | b'\\')) || path.contains("//") || path.contains("/.");
    if !spelled_out {
        return Cow::Borrowed(path);
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

fn bytes(size: reeve_base::Size) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

fn methods(controls: &Controls) -> Result<Option<Methods>, http::Error> {
    let Some(control) = &controls.input_methods else { return Ok(None) };
    let names: Vec<_> = control.methods.iter().map(|method| method.as_str()).collect();
    let allowed = names.iter().map(|name| Method::from_bytes(name.as_bytes())).collect::<Result<_, _>>()?;
    Ok(Some(Methods { allowed, allow: HeaderValue::from_str(&names.join(", "))? }))
}

fn security_txt(controls: &Controls) -> Option<SecurityTxt> {
    let (file, contact) = (controls.disclose_securitytxt.clone(), controls.disclose_contact.clone());
    (file.is_some() || contact.is_some()).then_some(SecurityTxt { file, contact })
}

impl SecurityTxt {
    /// The file's text (RFC 9116) for a site under `origin`, as of `now`.
    pub(crate) fn render(&self, origin: &str, now: jiff::Timestamp) -> String {
        let mut text = String::new();
        if let Some(contact) = &self.contact {
            let (name, role, mail) = (contact.name.as_str(), contact.role.as_str(), contact.mail.as_str());
            text += &format!("# {name}, {role}\nContact: mailto:{mail}\n");
        }
        if let Some(file) = &self.file {
            let contact = file.contact.as_str();
            let same = self
                .contact
                .as_ref()
                .is_some_and(|person| contact.strip_prefix("mailto:") == Some(person.mail.as_str()));
            if !same {
                text += &format!("Contact: {contact}\n");
            }
            let policy = file.policy.as_str();
            let base = if policy.starts_with('/') { origin } else { "" };
            text += &format!("Policy: {base}{policy}\n");
        }
        let valid = self.file.as_ref().map_or(Period::days(30), |file| file.valid);
        let ahead = jiff::SignedDuration::try_from(valid.duration()).unwrap_or_default();
        let expires = now.saturating_add(ahead).unwrap_or(now).round(jiff::Unit::Second).unwrap_or(now);
        text + &format!("Expires: {expires}\nPreferred-Languages: en\n")
    }
}

impl AnswerRules {
    fn new(controls: &Controls) -> Result<Self, http::Error> {
        let mut set = Vec::new();
        if let Some(csp) = &controls.hdr_csp {
            if csp.report {
                // A comma begins another policy (CSP 3 section 2.2.2), and each says where it is reported.
                let policies = csp
                    .policy
                    .as_str()
                    .split(',')
                    .map(|one| format!("{}; {REPORT_DIRECTIVES}", one.trim().trim_end_matches(';')));
                let policy = policies.collect::<Vec<_>>().join(", ");
                set.push((CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy)?));
                set.push((REPORTING_ENDPOINTS, HeaderValue::from_static(REPORT_ENDPOINT)));
            } else {
                set.push((CONTENT_SECURITY_POLICY, HeaderValue::from_str(csp.policy.as_str())?));
            }
        }
        if let Some(frame) = &controls.hdr_frame {
            let value = match frame.framing {
                Framing::Deny => "DENY",
                Framing::SameOrigin => "SAMEORIGIN",
            };
            set.push((X_FRAME_OPTIONS, HeaderValue::from_static(value)));
        }
        if let Some(careful) = &controls.hdr_set {
            set.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
            set.push((REFERRER_POLICY, HeaderValue::from_str(careful.referrer.as_str())?));
            let permissions = HeaderName::from_static("permissions-policy");
            set.push((permissions, HeaderValue::from_str(careful.permissions.as_str())?));
            let opener = HeaderName::from_static("cross-origin-opener-policy");
            set.push((opener, HeaderValue::from_static(opener_value(careful.opener))));
            let resource = HeaderName::from_static("cross-origin-resource-policy");
            set.push((resource, HeaderValue::from_static(resource_value(careful.resource))));
        }
        let strict_transport = controls.hdr_hsts.as_ref().map(|hsts| {
            let subdomains = if hsts.subdomains { "; includeSubDomains" } else { "" };
            let preload = if hsts.preload { "; preload" } else { "" };
            HeaderValue::from_str(&format!("max-age={}{subdomains}{preload}", hsts.max_age.duration().as_secs()))
        });
        let mut strip = vec![ALT_SVC, STRICT_TRANSPORT_SECURITY];
        if controls.error_no_debug.is_some() {
            strip.extend([SERVER, VIA]);
            strip.extend(NAMING_HEADERS.map(HeaderName::from_static));
        }
        Ok(Self {
            set,
            strip,
            strict_transport: strict_transport.transpose()?,
            replaced: controls.error_page.as_ref().map(|page| page.replaces),
            cookies: CookieRules::new(controls),
            no_store: controls.cache_cipher.is_some(),
            own_policy: controls.hdr_csp.is_some(),
        })
    }
}

const fn opener_value(policy: OriginPolicy) -> &'static str {
    match policy {
        OriginPolicy::Unrestricted => "unsafe-none",
        OriginPolicy::SameSite => "same-origin-allow-popups",
        OriginPolicy::SameOrigin => "same-origin",
    }
}

const fn resource_value(policy: OriginPolicy) -> &'static str {
    match policy {
        OriginPolicy::Unrestricted => "cross-origin",
        OriginPolicy::SameSite => "same-site",
        OriginPolicy::SameOrigin => "same-origin",
    }
}

/// Headers that exist to name software and its version.
const NAMING_HEADERS: [&str; 8] = [
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-runtime",
    "x-drupal-cache",
    "x-varnish",
    "x-debug-token",
];

/// The gateway's own ceilings, for a policy that says nothing of sizes: memory is bounded all the same.
const HEAD_BYTES_CEILING: usize = 64 * 1024;
const TARGET_BYTES_CEILING: usize = 32 * 1024;
const FIELDS_CEILING: usize = 200;

/// How long a connection may rest between two requests. Longer than the 60 s of most load balancers, so that they and
/// not the gateway decide when to close.
const IDLE_DEADLINE: Duration = Duration::from_secs(75);

/// Without the control against slow clients: as good as never.
const UNTIMED: Duration = Duration::from_secs(24 * 3_600);

/// Without it, a body ends when nothing at all comes for so long: a request is not held open for nothing.
const SILENCE_ONLY: PaceLimits = PaceLimits { grace: Duration::from_secs(120), bytes_a_second: 0 };

#[cfg(test)]
mod tests {
    use reeve_policy::catalogue::{Control, ErrorNoDebug};

    use super::*;

    #[test]
    fn a_hidden_path_hides_what_is_below_it_and_not_its_neighbours() {
        let mut controls = Controls::default();
        controls.demand(&Control::ErrorNoDebug(ErrorNoDebug::default()));
        let rules = Rules::new(&controls).unwrap();
        for path in [
            "/debug",
            "/debug/vars",
            "//debug",
            "/./debug",
            "/a/../debug/",
            "/%64ebug",
            "/debug;a=b/vars",
            "/.%65nv",
            "\\debug",
        ] {
            assert!(rules.hides(path), "{path}");
        }
        for path in ["/debugger", "/", "/a/debug", "/%zz", "/.well-known/security.txt", "/.."] {
            assert!(!rules.hides(path), "{path}");
        }
    }

    #[test]
    fn security_txt_names_each_contact_once_and_expires_as_promised() {
        let txt = SecurityTxt { file: Some(DiscloseSecurityTxt::default()), contact: Some(DiscloseContact::default()) };
        let text = txt.render("https://example.com", "2026-11-21T10:00:00Z".parse().unwrap());
        assert_eq!(
            text,
            "# Security Team, Security contact\nContact: mailto:security@example.com\nPolicy: https://example.com/security\n\
             Expires: 2027-05-20T10:00:00Z\nPreferred-Languages: en\n"
        );
    }
}
