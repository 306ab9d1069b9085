//! Payment pages: a Content Security Policy for each, and who may look at their scripts as they pass.

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_SECURITY_POLICY, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use reeve_policy::catalogue::{AuthorisedScript, Controls, PayFormTarget, PayScripts, ScriptSource, UrlPath};

use crate::body::AnswerBody;

use super::coding::Coding;
use super::reading::{Reading, Seen};
use super::report::{REPORT_DIRECTIVES, REPORT_ENDPOINT, REPORTING_ENDPOINTS};
use super::scripts::ScriptInventory;
use super::{is_html, lies_under, under};
use crate::refusal::Refusal;

/// What payment pages are held to.
#[derive(Debug)]
pub(crate) struct PaymentRules {
    scripts: Option<ScriptRules>,
    forms: Option<FormRules>,
    /// The policy of ordinary pages, which stays in force where this one says nothing.
    base: Option<String>,
}

#[derive(Debug)]
struct ScriptRules {
    pages: Vec<String>,
    authorised: Vec<AuthorisedScript>,
}

#[derive(Debug)]
struct FormRules {
    pages: Vec<String>,
    origins: String,
    own_forms: bool,
}

/// A request for a payment page, or for a script that may be on one.
pub(crate) struct Visit {
    /// The page by the name that the policy gives it.
    page: Option<String>,
    /// The site's own script file.
    file: Option<String>,
    /// What the page may do.
    policy: Option<HeaderValue>,
    /// The origin that the client sees, by which own scripts are told from others.
    origin: String,
}

impl PaymentRules {
    /// None if no control concerns payment pages.
    pub(crate) fn new(controls: &Controls) -> Option<Self> {
        let scripts = controls
            .pay_scripts
            .as_ref()
            .map(|PayScripts { pages, scripts, .. }| ScriptRules { pages: texts(pages), authorised: scripts.clone() });
        let forms =
            controls.pay_form_target.as_ref().map(|PayFormTarget { pages, origins, own_forms, .. }| FormRules {
                pages: texts(pages),
                origins: origins.iter().map(|origin| origin.as_str()).collect::<Vec<_>>().join(" "),
                own_forms: *own_forms,
            });
        let base = controls.hdr_csp.as_ref().map(|csp| csp.policy.as_str().to_owned());
        (scripts.is_some() || forms.is_some()).then_some(Self { scripts, forms, base })
    }

    #[cfg(test)]
    pub(super) const fn empty() -> Self {
        Self { scripts: None, forms: None, base: None }
    }

    /// The payment pages whose scripts are looked at, and how long one may go unseen.
    pub(crate) fn pages(&self) -> &[String] {
        self.scripts.as_ref().map_or(&[], |scripts| scripts.pages.as_slice())
    }

    /// Whether this path is a payment page under either control.
    pub(crate) fn is_page(&self, path: &str) -> bool {
        let forms = self.forms.as_ref().is_some_and(|forms| lies_under(&forms.pages, path));
        forms || lies_under(self.pages(), path)
    }

    /// What this request visits, if it concerns payments. `known` tells which paths are scripts of payment pages.
    pub(crate) fn visit<B>(&self, request: &Request<B>, known: impl Fn(&str) -> bool) -> Option<Visit> {
        let path = request.uri().path();
        let file = (self.scripts.is_some() && known(path)).then(|| path.to_owned());
        if !self.is_page(path) && file.is_none() {
            return None;
        }
        let origin = origin(request);
        let page = under(self.pages(), path).cloned();
        let policy = self.is_page(path).then(|| self.policy(path, &origin));
        Some(Visit { page, file, policy, origin })
    }

    /// The policy of one page.
    fn policy(&self, path: &str, origin: &str) -> HeaderValue {
        let mut own = Vec::new();
        if let Some(scripts) = self.scripts.as_ref().filter(|scripts| lies_under(&scripts.pages, path)) {
            own.push((SCRIPT_DIRECTIVES.as_slice(), format!("script-src {}", scripts.sources(origin))));
        }
        if let Some(forms) = self.forms.as_ref().filter(|forms| lies_under(&forms.pages, path)) {
            let itself = if forms.own_forms { "'self' " } else { "" };
            own.push((FRAME_DIRECTIVES.as_slice(), format!("frame-src {}", forms.origins)));
            own.push((FORM_DIRECTIVES.as_slice(), format!("form-action {itself}{}", forms.origins)));
        }
        let replaced = |directive: &str| {
            let name = directive.split_ascii_whitespace().next().unwrap_or_default();
            let known = |names: &&str| names.eq_ignore_ascii_case(name);
            own.iter().any(|(names, _)| names.iter().any(&known)) || ALWAYS_OWN.iter().any(known)
        };
        let base = self.base.as_deref().unwrap_or(BASE);
        // A comma begins another policy (CSP 3 section 2.2.2); each is rewritten for itself.
        let policies = base.split(',').map(|policy| {
            let kept = policy.split(';').map(str::trim).filter(|one| !one.is_empty() && !replaced(one));
            let all = kept.map(str::to_owned).chain(own.iter().map(|(_, text)| text.clone()));
            all.chain(std::iter::once(REPORT_DIRECTIVES.to_owned())).collect::<Vec<_>>().join("; ")
        });
        // INVARIANT: every part was checked to be fit for a header. Were it otherwise: nothing may run.
        let all = HeaderValue::from_str(&policies.collect::<Vec<_>>().join(", "));
        all.unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
}

impl ScriptRules {
    /// The sources of scripts, as the policy of a page on `origin` names them.
    fn sources(&self, origin: &str) -> String {
        let named = self.authorised.iter().filter_map(|script| match script.source() {
            ScriptSource::Hash(hash) => Some(format!("'{hash}'")),
            ScriptSource::Foreign(url) => Some(url.to_owned()),
            // Without an origin that is beyond doubt the script is not named, and does not run.
            ScriptSource::Own(path) => (!origin.is_empty()).then(|| format!("{origin}{path}")),
        });
        let named: Vec<_> = named.collect();
        if named.is_empty() { String::from("'none'") } else { named.join(" ") }
    }
}

impl PaymentRules {
    /// Whether a script may run on payment pages.
    pub(crate) fn authorises(&self, script: &Seen) -> bool {
        let Some(rules) = &self.scripts else { return true };
        rules.authorised.iter().any(|authorised| match authorised.source() {
            ScriptSource::Hash(hash) => script.has_hash(hash),
            ScriptSource::Own(path) | ScriptSource::Foreign(path) => !script.inline && covers(path, &script.source),
        })
    }
}

/// As a source with a path matches (CSP 3 section 6.7.2.12): exactly, or everything below one that ends in a slash.
fn covers(known: &str, source: &str) -> bool {
    source == known || (known.ends_with('/') && source.starts_with(known))
}

impl Visit {
    /// Asks for the page uncoded and whole, so that it can be read on its way.
    pub(crate) fn prepare(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }

    /// Puts the page's policy on an answer. Where ordinary pages have none from us, one of the application's own stays
    /// beside it: a browser keeps both.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, ours: bool) {
        let Some(policy) = &self.policy else { return };
        if ours {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        } else {
            headers.append(CONTENT_SECURITY_POLICY, policy.clone());
        }
        headers.insert(REPORTING_ENDPOINTS, HeaderValue::from_static(REPORT_ENDPOINT));
    }

    /// Has the scripts in an answer looked at while it passes.
    ///
    /// # Errors
    /// For a page in a coding that nobody asked for: it could hold anything.
    pub(crate) fn watch(
        &self,
        method: &Method,
        response: &mut Response<AnswerBody>,
        rules: &Arc<PaymentRules>,
        inventory: &Arc<ScriptInventory>,
    ) -> Result<(), Refusal> {
        if *method != Method::GET || response.status() != StatusCode::OK {
            return Ok(());
        }
        let page = self.page.as_ref().filter(|_| is_html(response.headers()));
        if page.is_none() && self.file.is_none() {
            return Ok(());
        }
        let coding = Coding::of(response.headers());
        let coding = coding.ok_or(Refusal::Unreadable("a payment page in a coding that was not asked for"))?;
        let (rules, inventory) = (Arc::clone(rules), Arc::clone(inventory));
        let reading = match (page, &self.file) {
            (Some(page), _) => Reading::of_page(page.clone(), self.origin.clone(), coding, rules, inventory),
            (None, file) => Reading::of_file(file.clone().unwrap_or_default(), coding, inventory),
        };
        response.body_mut().tap(Box::new(reading));
        Ok(())
    }
}

/// How the client calls the site; empty if it says so in a way that could be read as anything else, because it becomes
/// part of a policy.
fn origin<B>(request: &Request<B>) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default();
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if plain && !host.is_empty() { format!("https://{}", host.to_ascii_lowercase()) } else { String::new() }
}

fn texts(paths: &[UrlPath]) -> Vec<String> {
    paths.iter().map(|path| path.as_str().to_owned()).collect()
}

const SCRIPT_DIRECTIVES: [&str; 3] = ["script-src", "script-src-elem", "script-src-attr"];
const FRAME_DIRECTIVES: [&str; 2] = ["frame-src", "child-src"];
const FORM_DIRECTIVES: [&str; 1] = ["form-action"];

/// Said by this page and by no other.
const ALWAYS_OWN: [&str; 2] = ["report-uri", "report-to"];

/// What a payment page is held to at least: with another base, a relative path would lead elsewhere.
const BASE: &str = "object-src 'none'; base-uri 'none'";

#[cfg(test)]
mod tests {
    use reeve_policy::catalogue::{Control, HdrCsp};

    use super::*;

    fn rules(base: bool) -> PaymentRules {
        let mut controls = Controls::default();
        let scripts = vec![
            "/pay.js for the total".into(),
            "https://js.example.com/v3/ for the fields".into(),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= for the start".into(),
        ];
        controls.demand(&Control::PayScripts(PayScripts { scripts, ..PayScripts::default() }));
        controls.demand(&Control::PayFormTarget(PayFormTarget::default()));
        if base {
            controls.demand(&Control::HdrCsp(HdrCsp {
                policy: "default-src 'self'; script-src 'self' 'unsafe-inline'; form-action 'self'".into(),
                report: true,
            }));
        }
        PaymentRules::new(&controls).unwrap()
    }

    fn visit(rules: &PaymentRules, uri: &str, host: &str) -> Option<String> {
        let request = Request::builder().uri(uri).header(HOST, host).body(()).unwrap();
        let policy = rules.visit(&request, |_| false)?.policy?;
        Some(policy.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_payment_page_gets_a_policy_of_its_own_and_keeps_the_rest() {
        let policy = visit(&rules(true), "/checkout/2?x=1", "shop.example.com:8443").unwrap();
        assert_eq!(
            policy,
            "default-src 'self'; script-src https://shop.example.com:8443/pay.js https://js.example.com/v3/ \
             'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; frame-src https://pay.example.com; \
             form-action https://pay.example.com; report-uri /.well-known/reeve/csp; report-to reeve"
        );
        assert_eq!(visit(&rules(true), "/checkouts", "shop.example.com"), None);
        let spelled = visit(&rules(false), "//a/..//%63heckout/", "shop.example.com").unwrap();
        assert!(spelled.starts_with("object-src 'none'; base-uri 'none'; script-src https://shop.example.com/pay.js "));
    }

    #[test]
    fn a_host_that_is_none_names_no_script() {
        let policy = visit(&rules(true), "/checkout", "a';script-src *").unwrap();
        assert!(!policy.contains("pay.js") && !policy.contains('*'), "{policy}");
    }

    #[test]
    fn a_path_that_ends_in_a_slash_covers_what_is_below() {
        assert!(covers("/pay.js", "/pay.js") && covers("https://a/v3/", "https://a/v3/x.js"));
        assert!(!covers("/pay.js", "/pay.js/x") && !covers("https://a/v3/", "https://a/v3") && !covers("/a", "/ab"));
    }
}
