//! What is done to the cookies that the application sets (RFC 6265bis).

use std::borrow::Cow;

use http::header::{Entry, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use reeve_policy::catalogue::{Controls, HdrCookies, SameSite};

use crate::request::Transport;

/// What cookies are held to.
#[derive(Debug)]
pub(crate) struct CookieRules {
    /// Whether each gets Secure, whatever it was sent over: the whole site is on HTTPS.
    secure: bool,
    guard: Option<HdrCookies>,
}

impl CookieRules {
    /// None if no control concerns cookies.
    pub(crate) fn new(controls: &Controls) -> Option<Self> {
        let (secure, guard) = (controls.tls_https_only.is_some(), controls.hdr_cookies.clone());
        (secure || guard.is_some()).then_some(Self { secure, guard })
    }

    /// Holds every cookie of an answer to the rules.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, transport: Transport) {
        let Entry::Occupied(mut cookies) = headers.entry(SET_COOKIE) else { return };
        for cookie in cookies.iter_mut() {
            if let Cow::Owned(held) = self.held(cookie.as_bytes(), transport)
                && let Ok(value) = HeaderValue::from_bytes(&held)
            {
                *cookie = value;
            }
        }
    }

    fn held<'c>(&self, cookie: &'c [u8], transport: Transport) -> Cow<'c, [u8]> {
        let attributes = Attributes::of(cookie);
        let prefix = if self.guard.is_some() { Prefix::of(attributes.name) } else { Prefix::None };
        // Browsers take no Secure cookie that comes over plaintext, so there it would be as good as none.
        let over_tls = self.guard.is_some() && transport == Transport::Tls;
        let secure = (self.secure || over_tls || prefix != Prefix::None) && !attributes.secure;
        let hidden = self.hides(attributes.name) && !attributes.http_only;
        let same_site = self.same_site(&attributes);
        let host_only = prefix == Prefix::Host && (attributes.domain || !attributes.root);
        if !(secure || hidden || host_only || same_site.is_some()) {
            return Cow::Borrowed(cookie);
        }
        let dropped = |part: &[u8]| {
            let name = name_of(part);
            (same_site.is_some() && name.eq_ignore_ascii_case(b"samesite"))
                || (host_only && (name.eq_ignore_ascii_case(b"domain") || name.eq_ignore_ascii_case(b"path")))
        };
        let parts = cookie.split(|byte| *byte == b';').enumerate();
        let kept = parts.filter(|(number, part)| *number == 0 || !dropped(part)).map(|(_, part)| part);
        let mut held = kept.collect::<Vec<_>>().join(&b';');
        let added = [
            (host_only, "; Path=/"),
            (secure, "; Secure"),
            (hidden, "; HttpOnly"),
            (same_site == Some(SameSite::Strict), "; SameSite=Strict"),
            (same_site == Some(SameSite::Lax), "; SameSite=Lax"),
            (same_site == Some(SameSite::None), "; SameSite=None"),
        ];
        added.iter().filter(|(wanted, _)| *wanted).for_each(|(_, text)| held.extend_from_slice(text.as_bytes()));
        Cow::Owned(held)
    }

    /// Whether scripts must not see it.
    fn hides(&self, name: &[u8]) -> bool {
        self.guard.as_ref().is_some_and(|guard| !guard.readable.iter().any(|known| known.as_str().as_bytes() == name))
    }

    /// What SameSite must become, where what is there says less.
    fn same_site(&self, attributes: &Attributes<'_>) -> Option<SameSite> {
        let guard = self.guard.as_ref()?;
        let excepted = guard.cross_site.iter().any(|known| known.as_str().as_bytes() == attributes.name);
        let enough = attributes.same_site.is_some_and(|said| said >= guard.same_site);
        (!excepted && !enough).then_some(guard.same_site)
    }
}

/// What a cookie's name promises (RFC 6265bis section 4.1.3). Browsers compare without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Secure,
    Host,
}

impl Prefix {
    fn of(name: &[u8]) -> Self {
        let begins = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        match () {
            () if begins(b"__Host-") || begins(b"__Host-Http-") => Self::Host,
            () if begins(b"__Secure-") || begins(b"__Http-") => Self::Secure,
            () => Self::None,
        }
    }
}

/// What a cookie says of itself. Of an attribute that stands twice the last counts (RFC 6265bis section 5.6).
#[derive(Debug, Default)]
struct Attributes<'c> {
    name: &'c [u8],
    secure: bool,
    http_only: bool,
    domain: bool,
    root: bool,
    same_site: Option<SameSite>,
}

impl<'c> Attributes<'c> {
    fn of(cookie: &'c [u8]) -> Self {
        let mut parts = cookie.split(|byte| *byte == b';');
        let mut found = Self { name: parts.next().map(name_of).unwrap_or_default(), ..Self::default() };
        for part in parts {
            let name = name_of(part);
            let value = part.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default().trim_ascii();
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            match () {
                () if is("secure") => found.secure = true,
                () if is("httponly") => found.http_only = true,
                () if is("domain") => found.domain = !value.is_empty(),
                () if is("path") => found.root = value == b"/",
                () if is("samesite") => {
                    let said = SameSite::ALL.iter().find(|one| value.eq_ignore_ascii_case(one.as_str().as_bytes()));
                    found.same_site = said.copied();
                }
                () => {}
            }
        }
        found
    }
}

fn name_of(part: &[u8]) -> &[u8] {
    part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &CookieRules, cookie: &str, expected: &str) {
        let held = rules.held(cookie.as_bytes(), Transport::Tls);
        assert_eq!(std::str::from_utf8(&held).unwrap(), expected);
        // What was held to the rules once needs nothing more.
        assert!(matches!(rules.held(&held, Transport::Tls), Cow::Borrowed(_)), "{expected}");
    }

    #[test]
    fn without_a_promise_on_cookies_they_only_become_secure() {
        let rules = CookieRules { secure: true, guard: None };
        check(&rules, "a=b", "a=b; Secure");
        check(&rules, "a=b; Path=/; SECURE", "a=b; Path=/; SECURE");
        check(&rules, "secure=1; Path=/", "secure=1; Path=/; Secure");
        check(&rules, "__Host-a=b; Domain=x", "__Host-a=b; Domain=x; Secure");
    }

    fn guarded() -> CookieRules {
        let (readable, cross_site) = (vec!["theme".into()], vec!["embed".into()]);
        let guard = HdrCookies { readable, cross_site, ..HdrCookies::default() };
        CookieRules { secure: false, guard: Some(guard) }
    }

    #[test]
    fn cookies_are_kept_from_scripts_and_from_other_sites() {
        let rules = guarded();
        check(&rules, "a=b; Path=/x", "a=b; Path=/x; Secure; HttpOnly; SameSite=Lax");
        check(&rules, "a=b; httponly; samesite=strict; secure", "a=b; httponly; samesite=strict; secure");
        check(&rules, "a=b; SameSite=None; Secure; HttpOnly", "a=b; Secure; HttpOnly; SameSite=Lax");
        check(&rules, "a=b; SameSite=Strict; SameSite=None", "a=b; Secure; HttpOnly; SameSite=Lax");
        check(&rules, "a=b; SameSite=nonsense", "a=b; Secure; HttpOnly; SameSite=Lax");
        check(&rules, "theme=dark", "theme=dark; Secure; SameSite=Lax");
        check(&rules, "embed=1; SameSite=None", "embed=1; SameSite=None; Secure; HttpOnly");
    }

    #[test]
    fn a_prefix_is_made_true() {
        let rules = guarded();
        let all = "; Path=/; Secure; HttpOnly; SameSite=Lax";
        check(&rules, "__Host-s=1", &format!("__Host-s=1{all}"));
        check(&rules, "__Host-s=1; Domain=example.com; Path=/app", &format!("__Host-s=1{all}"));
        check(&rules, "__host-s=1; Path=/; Max-Age=5", "__host-s=1; Path=/; Max-Age=5; Secure; HttpOnly; SameSite=Lax");
        check(
            &rules,
            "__Secure-s=1; Domain=example.com",
            "__Secure-s=1; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
        );
    }

    #[test]
    fn over_plaintext_a_cookie_stays_one_that_browsers_take() {
        let held = guarded().held(b"a=b", Transport::Plain).into_owned();
        assert_eq!(held, b"a=b; HttpOnly; SameSite=Lax");
    }
}
