//! pay.scripts and pay.form_target: what a payment page lets run, where it leads, and whether a change is noticed.

use std::collections::BTreeSet;

use reeve_base::Cause;
use reeve_policy::catalogue::{AuthorisedScript, PayFormTarget, PayScripts, ScriptSource, UrlPath};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::headers::directives;
use super::markup::{Markup, Script, hashes};
use super::trail::recorded;
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::hypertext::{Answer, Ask};

/// A script as the gateway's inventory has it.
#[derive(Debug, Deserialize)]
struct Listed {
    page: String,
    source: String,
    digest: Option<String>,
    gone: bool,
    last_seen: jiff::Timestamp,
}

#[derive(Debug, Deserialize)]
struct Inventory {
    scripts: Vec<Listed>,
}

impl Probe for PayScripts {
    fn plan(&self, _: &Target) -> Sends {
        let pages = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        let what = format!(
            "GETs of {} and of the site's own scripts there, a rehearsal with a canary script",
            names(&self.pages)
        );
        Sends::requests(pages.saturating_mul(FILES_MAX + 1).saturating_add(8), what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let before = site.now();
            let mut shown: Vec<(String, String, Option<String>)> = Vec::new();
            let mut twin = None;
            for path in &self.pages {
                let (answer, seen) = page(site, notes, path.as_str()).await?;
                notes.either(script_sources(&answer, &self.scripts, site));
                twin = Some(seen);
                for script in Markup::read(&answer.text()).scripts {
                    let script = look(site, notes, path.as_str(), script, &self.scripts).await?;
                    shown.push((path.as_str().to_owned(), script.0, script.1));
                }
            }
            let none = || Cause::EmptyPopulation(String::from("the policy names no payment page"));
            let twin = twin.ok_or_else(none)?;
            let inventory: Inventory = serde_json::from_value(site.tell(&json!({ "pay": "list" })).await?)
                .map_err(|error| Cause::Unexpected(format!("the inventory cannot be read: {error}")))?;
            for (page, source, contents) in &shown {
                notes.either(in_inventory(&inventory, page, source, contents.as_deref(), before));
            }
            canary(site, notes).await?;
            let (pages, scripts) = (self.pages.len(), shown.len());
            Ok(Kept::with(
                twin,
                format!(
                    "{scripts} scripts on {pages} payment pages, all authorised and in the inventory; a canary script rings"
                ),
            ))
        })
    }
}

/// A payment page, which must be there to be looked at.
async fn page(site: &Site, notes: &mut Notes, path: &str) -> Result<(Answer, Twin), Cause> {
    let answer = site.ask(&Ask::get(path)).await?;
    if answer.status != 200 || !answer.is_html() {
        let text = format!("the payment page {path} is answered with {}, no page to look at", answer.status);
        return Err(Cause::EmptyPopulation(text));
    }
    let twin = Twin::seen(notes, format!("the payment page {path} is served"));
    Ok((answer, twin))
}

/// Whether the policies of a page let nothing run but what is authorised. One that does is enough: browsers keep all.
fn script_sources(answer: &Answer, authorised: &[AuthorisedScript], site: &Site) -> Result<String, String> {
    let policies = policies(answer);
    let mut worst = String::from("a payment page has no Content-Security-Policy");
    for policy in &policies {
        let directives = directives(policy);
        let Some((_, sources)) = directives.iter().find(|(name, _)| name == "script-src") else {
            worst = String::from("the policy of a payment page has no script-src");
            continue;
        };
        let finer = directives.iter().filter(|(name, _)| name.starts_with("script-src-")).flat_map(|(_, more)| more);
        let loose = sources.iter().chain(finer).find(|source| !is_authorised(source, authorised, site));
        match loose {
            None => return Ok(format!("script-src names {} sources, each authorised", sources.len())),
            Some(loose) => worst = format!("script-src lets `{loose}` run on a payment page"),
        }
    }
    Err(worst)
}

/// Whether a source of a policy stands for nothing but authorised scripts.
fn is_authorised(source: &str, authorised: &[AuthorisedScript], site: &Site) -> bool {
    let bare = source.trim_matches('\'');
    let own = format!("https://{}", site.target().authority());
    // `'none'` lets nothing run; `'report-sample'` and `'strict-dynamic'` by itself let nothing more run.
    matches!(source, "'none'" | "'report-sample'")
        || authorised.iter().any(|script| match script.source() {
            ScriptSource::Hash(hash) => bare == hash,
            ScriptSource::Foreign(url) => source == url,
            ScriptSource::Own(path) => source == format!("{own}{path}"),
        })
}

/// Looks at a script in a page: its name in the inventory and the SHA-256 of its contents, where they can be seen.
async fn look(
    site: &Site,
    notes: &mut Notes,
    page: &str,
    script: Script,
    authorised: &[AuthorisedScript],
) -> Result<(String, Option<String>), Cause> {
    let (name, contents, integrity) = match script {
        Script::Inline(text) => {
            let [hash, ..] = hashes(text.as_bytes());
            (hash, Some(text.into_bytes()), String::new())
        }
        Script::File { src, integrity } => {
            let (name, own) = named(site, page, &src);
            let contents = if own { Some(site.ask(&Ask::get(name.clone())).await?.body.to_vec()) } else { None };
            (name, contents, integrity)
        }
    };
    let found = contents.as_deref().map(hashes);
    let stated: Vec<&str> = integrity.split_ascii_whitespace().collect();
    let has = |hash: &str| found.iter().flatten().any(|one| one == hash);
    let named = authorised.iter().any(|script| match script.source() {
        ScriptSource::Hash(hash) => has(hash) || stated.contains(&hash),
        ScriptSource::Own(path) | ScriptSource::Foreign(path) => {
            name == path || (path.ends_with('/') && name.starts_with(path))
        }
    });
    notes.either(if named {
        Ok(format!("{page}: script {name} is authorised"))
    } else {
        Err(format!("{page} holds a script that nobody authorised: {name}"))
    });
    if let (Some(_), false) = (&found, stated.is_empty())
        && !stated.iter().any(|hash| has(hash))
    {
        notes.fault(format!("{page}: script {name} is not what its integrity says"));
    }
    Ok((name, found.map(|[sha256, ..]| sha256)))
}

/// A script's path on the site, or its URL elsewhere, without a query; and whether it is the site's own.
fn named(site: &Site, page: &str, src: &str) -> (String, bool) {
    let base = site.target().url.join(page).unwrap_or_else(|_| site.target().url.clone());
    match base.join(src) {
        Ok(url) if url.origin() == base.origin() => (url.path().to_owned(), true),
        Ok(url) if url.has_host() => (format!("{}{}", url.origin().ascii_serialization(), url.path()), false),
        _ => (src.to_owned(), false),
    }
}

/// Whether the running gateway saw the script when the probe did, and saw the same in it.
fn in_inventory(
    inventory: &Inventory,
    page: &str,
    source: &str,
    contents: Option<&str>,
    since: jiff::Timestamp,
) -> Result<String, String> {
    let listed = inventory.scripts.iter().find(|one| one.page == page && one.source == source && !one.gone);
    let Some(listed) = listed else { return Err(format!("script {source} of {page} is not in the inventory")) };
    if listed.last_seen < since {
        return Err(format!(
            "script {source} of {page} was served, and the inventory saw it last at {}",
            listed.last_seen
        ));
    }
    match (contents, &listed.digest) {
        (Some(seen), Some(known)) if seen != known => {
            Err(format!("script {source} of {page} is not what the inventory says"))
        }
        (Some(_), None) => Err(format!("the inventory does not know what script {source} of {page} holds")),
        _ => Ok(format!("script {source} of {page} is in the inventory as it was served")),
    }
}

/// Has the gateway look at a page with a script that nobody knows, and looks for the alarm.
async fn canary(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let status = site.status().await?;
    let script = format!("{}.js", site.invented_path()?);
    let html = format!("<!doctype html><title>Canary</title><script src=\"{script}\"></script>");
    site.tell(&json!({ "pay": { "rehearse": { "html": html } } })).await?;
    let found = site.find("object", &script).await?;
    let rings = |event: &serde_json::Value| {
        event.get("activity").and_then(serde_json::Value::as_str) == Some("pay.script_changed")
            && event.get("severity").and_then(serde_json::Value::as_str) == Some("high")
    };
    notes.either(recorded("the alarm for a canary script", &found, &status, rings));
    Ok(())
}

impl Probe for PayFormTarget {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(u32::try_from(self.pages.len()).unwrap_or(u32::MAX), format!("GETs of {}", names(&self.pages)))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let mut twin = None;
            let mut targets = 0;
            for path in &self.pages {
                let (answer, seen) = page(site, notes, path.as_str()).await?;
                twin = Some(seen);
                for (directive, itself) in [("frame-src", false), ("form-action", self.own_forms)] {
                    notes.either(only_provider(&answer, directive, itself, self));
                }
                let markup = Markup::read(&answer.text());
                let forms = markup.forms.iter().map(|target| (target, "form", self.own_forms));
                for (target, what, itself) in markup.frames.iter().map(|target| (target, "frame", false)).chain(forms) {
                    targets += 1;
                    notes.either(leads(site, path.as_str(), target, what, itself, self));
                }
            }
            let none = || Cause::EmptyPopulation(String::from("the policy names no payment page"));
            Ok(Kept::with(
                twin.ok_or_else(none)?,
                format!(
                    "frames and forms of {} payment pages lead only to {}; {targets} were looked at",
                    self.pages.len(),
                    self.provider.as_str()
                ),
            ))
        })
    }
}

/// Whether a directive of one of the page's policies holds only the provider's origins.
fn only_provider(answer: &Answer, directive: &str, itself: bool, promise: &PayFormTarget) -> Result<String, String> {
    let policies = policies(answer);
    let sources: Vec<BTreeSet<String>> = policies
        .iter()
        .flat_map(|policy| directives(policy))
        .filter(|(name, _)| name == directive)
        .map(|(_, sources)| sources.into_iter().map(str::to_owned).collect())
        .collect();
    let allowed = |source: &String| {
        source == "'none'" || (itself && source == "'self'") || promise.origins.iter().any(|one| one.as_str() == source)
    };
    match sources.as_slice() {
        [] => Err(format!("a payment page has no {directive}")),
        all if all.iter().any(|sources| !sources.is_empty() && sources.iter().all(allowed)) => {
            Ok(format!("{directive} holds only origins of {}", promise.provider.as_str()))
        }
        [first, ..] => Err(format!(
            "{directive} of a payment page holds `{}`",
            first.iter().cloned().collect::<Vec<_>>().join(" ")
        )),
    }
}

fn leads(
    site: &Site,
    page: &str,
    target: &str,
    what: &str,
    itself: bool,
    promise: &PayFormTarget,
) -> Result<String, String> {
    let base = site.target().url.join(page).map_err(|error| format!("{page}: {error}"))?;
    let url: Url = base.join(target).map_err(|_| format!("a {what} on {page} leads to `{target}`"))?;
    let origin = url.origin().ascii_serialization();
    let own = itself && url.origin() == base.origin();
    if own || url.as_str() == "about:blank" || promise.origins.iter().any(|one| one.as_str() == origin) {
        Ok(format!("a {what} on {page} leads to {origin}"))
    } else {
        Err(format!("a {what} on {page} leads to {origin}"))
    }
}

/// The policies of an answer; a comma begins another (CSP 3 section 2.2.2).
fn policies(answer: &Answer) -> Vec<String> {
    let values = answer.values("content-security-policy");
    values.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect()
}

fn names(pages: &[UrlPath]) -> String {
    pages.iter().map(UrlPath::as_str).collect::<Vec<_>>().join(", ")
}

/// About how many scripts of its own a payment page has, for the plan.
const FILES_MAX: u32 = 4;
