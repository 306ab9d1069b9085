//! hdr.cookies: whether the cookies that pages set say what keeps them from scripts, other sites and plaintext.

use reeve_base::Cause;
use reeve_policy::catalogue::{HdrCookies, SameSite};

use super::page::{self, SAMPLES};
use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;

impl Probe for HdrCookies {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(SAMPLES, "GETs of ordinary pages, whose cookies are read")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let mut seen: Vec<String> = Vec::new();
            for sample in page::samples(site, notes).await? {
                for cookie in sample.answer.values("set-cookie") {
                    let name = name(&cookie).to_owned();
                    if seen.contains(&name) {
                        continue;
                    }
                    notes.either(match faults(&cookie, self) {
                        found if found.is_empty() => Ok(format!("{}: cookie `{name}` is guarded", sample.label)),
                        found => Err(format!("cookie `{name}` of {} {}", sample.label, found.join(", "))),
                    });
                    seen.push(name);
                }
            }
            if seen.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("no page that a stranger sees sets a cookie")));
            }
            Ok(Kept::with(twin, format!("{} cookies seen, each with the attributes that are promised", seen.len())))
        })
    }
}

fn name(cookie: &str) -> &str {
    cookie.split(['=', ';']).next().unwrap_or_default().trim()
}

/// What a cookie lacks. The last of several attributes of one name counts (RFC 6265bis section 5.6).
fn faults(cookie: &str, promise: &HdrCookies) -> Vec<String> {
    let name = name(cookie);
    let attribute = |wanted: &str| {
        let pairs = cookie.split(';').skip(1).map(|part| part.split_once('=').unwrap_or((part, "")));
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).last()
    };
    let listed = |names: &[reeve_policy::catalogue::CookieName]| names.iter().any(|known| known.as_str() == name);
    let mut faults = Vec::new();
    let mut need = |right: bool, fault: &str| {
        if !right {
            faults.push(fault.to_owned());
        }
    };
    need(attribute("secure").is_some(), "has no Secure");
    need(listed(&promise.readable) || attribute("httponly").is_some(), "has no HttpOnly");
    let rank = |text: &str| SameSite::ALL.iter().position(|one| text.eq_ignore_ascii_case(one.as_str()));
    let wanted = rank(promise.same_site.as_str());
    let enough = attribute("samesite").and_then(rank).is_some_and(|said| Some(said) >= wanted);
    need(listed(&promise.cross_site) || enough, &format!("does not say SameSite={}", promise.same_site.as_str()));
    if name.to_ascii_lowercase().starts_with("__host-") {
        need(attribute("domain").is_none_or(str::is_empty), "begins with __Host- and names a domain");
        need(attribute("path") == Some("/"), "begins with __Host- and is not for the whole site");
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookie: &str, expected: &[&str]) {
        let promise = HdrCookies { readable: vec!["theme".into()], ..HdrCookies::default() };
        assert_eq!(faults(cookie, &promise), expected, "{cookie}");
    }

    #[test]
    fn what_a_cookie_lacks_is_named() {
        check("a=b; Secure; HttpOnly; SameSite=Lax", &[]);
        check("a=b; secure; httponly; samesite=STRICT", &[]);
        check("theme=dark; Secure; SameSite=Lax", &[]);
        check("a=b", &["has no Secure", "has no HttpOnly", "does not say SameSite=Lax"]);
        check("a=b; Secure; HttpOnly; SameSite=Lax; SameSite=None", &["does not say SameSite=Lax"]);
        check(
            "__Host-a=b; Secure; HttpOnly; SameSite=Lax; Domain=x",
            &["begins with __Host- and names a domain", "begins with __Host- and is not for the whole site"],
        );
    }
}
