//! hdr.hsts, hdr.csp, hdr.frame and hdr.set: each header once, on every kind of answer, with the promised value.

use std::collections::BTreeSet;

use reeve_base::Cause;
use reeve_policy::catalogue::{Framing, HdrCsp, HdrFrame, HdrHsts, HdrSet, OriginPolicy};

use super::page::{self, SAMPLES, Sample};
use super::reports;
use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;

const WHAT: &str = "GETs of a page over HTTP/1.1 and HTTP/2, of an invented path and of /.well-known/security.txt";

impl Probe for HdrHsts {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(SAMPLES, WHAT)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            judge(site, notes, Which::All, &|sample| {
                let value = once(sample, "strict-transport-security").map_err(one)?;
                hsts(&value, self).map_err(one)
            })
            .await
        })
    }
}

impl Probe for HdrCsp {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(SAMPLES, WHAT)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let reports = self.report;
            let check = |sample: &Sample| {
                let value = once(sample, "content-security-policy").map_err(one)?;
                let value = if reports { reports::left_out(&value) } else { value };
                csp(&value, self.policy.as_str()).map_err(one)
            };
            let kept = judge(site, notes, Which::Pages, &check).await?;
            if reports {
                reports::taken(site, notes).await?;
            }
            Ok(kept)
        })
    }
}

impl Probe for HdrFrame {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(SAMPLES, WHAT)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            judge(site, notes, Which::Pages, &|sample| {
                let value = once(sample, "x-frame-options").map_err(one)?;
                let policies = sample.answer.values("content-security-policy");
                frame(&value, &policies, self.framing).map_err(one)
            })
            .await
        })
    }
}

impl Probe for HdrSet {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(SAMPLES, WHAT)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move { judge(site, notes, Which::All, &|sample| set(sample, self)).await })
    }
}

/// On which answers a header must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Pages,
}

/// What is seen on one answer: all is well, or each thing that is wrong, without saying where.
type Check<'c> = dyn Fn(&Sample) -> Result<String, Vec<String>> + Sync + 'c;

fn one(fault: String) -> Vec<String> {
    vec![fault]
}

async fn judge(site: &Site, notes: &mut Notes, which: Which, check: &Check<'_>) -> Result<Kept, Cause> {
    let twin = site.serves(notes).await?;
    let mut looked_at = 0;
    // The same fault on every answer is one fault: what is wrong, and then where.
    let mut faults: Vec<(String, Vec<String>)> = Vec::new();
    for sample in page::samples(site, notes).await? {
        if which == Which::Pages && !sample.answer.is_html() {
            notes.saw(format!("{}: {}, no page", sample.label, sample.answer.status));
            continue;
        }
        looked_at += 1;
        match check(&sample) {
            Ok(seen) => notes.saw(format!("{}: {}, {seen}", sample.label, sample.answer.status)),
            Err(found) => {
                for fault in found {
                    match faults.iter_mut().find(|(known, _)| *known == fault) {
                        Some((_, places)) => places.push(sample.label.clone()),
                        None => faults.push((fault, vec![sample.label.clone()])),
                    }
                }
            }
        }
    }
    for (fault, places) in faults {
        if places.len() == looked_at {
            notes.fault(format!("{fault} on all of {looked_at} answers"));
        } else {
            notes.fault(format!("{fault} on {}", places.join(", ")));
        }
    }
    if looked_at == 0 {
        return Err(Cause::EmptyPopulation(String::from("no answer is an HTML page")));
    }
    let kind = if which == Which::Pages { "HTML answers" } else { "answers" };
    Ok(Kept::with(twin, format!("present once and as promised on {looked_at} {kind}")))
}

/// The value of a field that must be there exactly once.
fn once(sample: &Sample, name: &str) -> Result<String, String> {
    let mut values = sample.answer.values(name);
    match (values.pop(), values.len()) {
        (Some(value), 0) => Ok(value),
        (None, _) => Err(format!("no {}", title(name))),
        (Some(_), more) => Err(format!("{} stands {} times", title(name), more + 1)),
    }
}

/// `x-frame-options` as people write it.
fn title(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut characters = part.chars();
        characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect::<String>()
    });
    parts.collect::<Vec<_>>().join("-")
}

/// RFC 6797 section 6.1: directives once each, `max-age` required.
fn hsts(value: &str, promised: &HdrHsts) -> Result<String, String> {
    let mut max_age = None;
    let (mut subdomains, mut preload) = (false, false);
    for directive in value.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let again = match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => {
                let seconds = argument.trim().trim_matches('"').parse::<u64>();
                let seconds =
                    seconds.map_err(|_| format!("Strict-Transport-Security has no number in `{directive}`"))?;
                max_age.replace(seconds).is_some()
            }
            "includesubdomains" => std::mem::replace(&mut subdomains, true),
            "preload" => std::mem::replace(&mut preload, true),
            // Unknown directives are to be passed over.
            _ => false,
        };
        if again {
            return Err(format!("Strict-Transport-Security says `{}` twice, and browsers pass it over", name.trim()));
        }
    }
    let Some(max_age) = max_age else { return Err(format!("Strict-Transport-Security has no max-age: `{value}`")) };
    if max_age < promised.max_age.duration().as_secs() {
        return Err(format!("Strict-Transport-Security lasts {max_age} seconds, promised {}", promised.max_age));
    }
    if promised.subdomains && !subdomains {
        return Err(String::from("Strict-Transport-Security leaves subdomains out"));
    }
    // The preload list takes nothing shorter than a year, and only with subdomains (hstspreload.org).
    if promised.preload && !(preload && subdomains && max_age >= PRELOAD_SECONDS_MIN) {
        return Err(format!("Strict-Transport-Security is not fit for the preload list: `{value}`"));
    }
    Ok(format!("Strict-Transport-Security: {value}"))
}

/// The directives of one policy, each with its sources in any order. Of a directive that stands twice the first counts
/// (CSP 3 section 2.2.1).
pub(super) fn directives(policy: &str) -> Vec<(String, BTreeSet<&str>)> {
    let mut found: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for directive in policy.split(';') {
        let mut words = directive.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        let name = name.to_ascii_lowercase();
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, words.collect()));
        }
    }
    found
}

fn csp(value: &str, promised: &str) -> Result<String, String> {
    // A comma begins another policy (CSP 3 section 2.2.2).
    if value.contains(',') && !promised.contains(',') {
        return Err(String::from("Content-Security-Policy holds more than one policy"));
    }
    let (seen, wanted) = (directives(value), directives(promised));
    let text = |sources: &BTreeSet<&str>| sources.iter().copied().collect::<Vec<_>>().join(" ");
    let mut differences = Vec::new();
    for (name, sources) in &wanted {
        match seen.iter().find(|(other, _)| other == name) {
            None => differences.push(format!("{name} is missing")),
            Some((_, other)) if other != sources => {
                differences.push(format!("{name} is `{}`, promised `{}`", text(other), text(sources)));
            }
            Some(_) => {}
        }
    }
    for (name, _) in seen.iter().filter(|(name, _)| !wanted.iter().any(|(other, _)| other == name)) {
        differences.push(format!("{name} is not in the policy"));
    }
    if differences.is_empty() {
        Ok(format!("Content-Security-Policy with {} directives", seen.len()))
    } else {
        Err(format!("Content-Security-Policy: {}", differences.join(", ")))
    }
}

fn frame(value: &str, policies: &[String], promised: Framing) -> Result<String, String> {
    let (allowed, ancestors): (&[&str], &[&str]) = match promised {
        Framing::Deny => (&["deny"], &["'none'"]),
        Framing::SameOrigin => (&["deny", "sameorigin"], &["'none'", "'self'"]),
    };
    if !allowed.contains(&value.trim().to_ascii_lowercase().as_str()) {
        return Err(format!("X-Frame-Options is `{value}`, promised {}", promised.as_str()));
    }
    for (name, sources) in policies.iter().flat_map(|policy| directives(policy)) {
        let within = sources.iter().all(|source| ancestors.contains(&source.to_ascii_lowercase().as_str()));
        if name == "frame-ancestors" && !within {
            let sources = sources.into_iter().collect::<Vec<_>>().join(" ");
            return Err(format!("frame-ancestors is `{sources}`, and browsers follow it before X-Frame-Options"));
        }
    }
    Ok(format!("X-Frame-Options: {value}"))
}

fn set(sample: &Sample, promised: &HdrSet) -> Result<String, Vec<String>> {
    let (openers, resources): (&[&str], &[&str]) = (opener(promised.opener), resource(promised.resource));
    let mut faults = Vec::new();
    let mut expect = |name: &str, right: &dyn Fn(&str) -> bool| match once(sample, name) {
        Ok(value) if right(value.trim()) => {}
        Ok(value) => faults.push(format!("{} is `{value}`", title(name))),
        Err(fault) => faults.push(fault),
    };
    expect("x-content-type-options", &|value| value.eq_ignore_ascii_case("nosniff"));
    expect("referrer-policy", &|value| value.eq_ignore_ascii_case(promised.referrer.as_str().trim()));
    expect("permissions-policy", &|value| list(value) == list(promised.permissions.as_str()));
    for (name, allowed) in [("cross-origin-opener-policy", openers), ("cross-origin-resource-policy", resources)] {
        // An empty list promises nothing: whatever stands there, or nothing at all, is fine.
        if !allowed.is_empty() {
            expect(name, &|value| allowed.contains(&value.to_ascii_lowercase().as_str()));
        }
    }
    if faults.is_empty() {
        Ok(String::from("nosniff, Referrer-Policy, Permissions-Policy, COOP and CORP as promised"))
    } else {
        Err(faults)
    }
}

/// The members of a list, without spaces, in any order.
fn list(value: &str) -> BTreeSet<String> {
    // A comma inside parentheses separates nothing; no browser's feature list holds one, so none is looked for.
    value.split(',').map(|member| member.split_ascii_whitespace().collect::<String>()).collect()
}

/// What COOP may say; it knows no "same site", and what stands between is `same-origin-allow-popups`.
const fn opener(promised: OriginPolicy) -> &'static [&'static str] {
    match promised {
        OriginPolicy::Unrestricted => &[],
        OriginPolicy::SameSite => &["same-origin-allow-popups", "noopener-allow-popups", "same-origin"],
        OriginPolicy::SameOrigin => &["same-origin"],
    }
}

/// What CORP may say: the promise or something stricter.
const fn resource(promised: OriginPolicy) -> &'static [&'static str] {
    match promised {
        OriginPolicy::Unrestricted => &[],
        OriginPolicy::SameSite => &["same-site", "same-origin"],
        OriginPolicy::SameOrigin => &["same-origin"],
    }
}

const PRELOAD_SECONDS_MIN: u64 = 31_536_000;

#[cfg(test)]
mod tests;
