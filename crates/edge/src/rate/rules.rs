//! The policy's limits on rates, turned once into what each request is held to.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::{HeaderName, HeaderValue};
use reeve_base::Rate;
use reeve_policy::catalogue::{Controls, RouteRate};

use super::subject::Session;
use super::table::Quota;
use crate::rules::plainly;

/// What each request is held to. Immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct RateRules {
    pub(crate) address: Option<Limits>,
    pub(crate) header: Option<(HeaderName, Limits)>,
    pub(crate) user: Option<Limits>,
    pub(crate) session: Session,
}

/// Whose requests a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each has its table and its control")]
pub enum Counted {
    /// Those of an address, /64 for IPv6.
    Address,
    /// Those with the same value of a header.
    Header,
    /// Those of one session.
    User,
}

impl Counted {
    /// The control that promises it.
    pub(crate) const fn control(self) -> &'static str {
        match self {
            Self::Address => "rate.ip",
            Self::Header => "rate.header",
            Self::User => "rate.user",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Address => "ip",
            Self::Header => "header",
            Self::User => "user",
        }
    }
}

/// The limits on one kind of subject.
#[derive(Debug)]
pub(crate) struct Limits {
    /// For the whole site.
    all: Limit,
    /// For parts of it as well, the longest path first.
    routes: Vec<(String, Limit)>,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) quota: Quota,
    /// As it is announced and counted by other nodes: `ip`, `user:/login`.
    pub(crate) name: String,
    /// The same as a number, for the table.
    pub(crate) id: u64,
    /// What RateLimit-Policy says of it.
    pub(crate) policy: HeaderValue,
}

/// Which limit: of a kind, and for which route if not for the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) counted: Counted,
    pub(crate) route: Option<u16>,
}

impl RateRules {
    /// The limits of these controls, for users that `session` tells apart.
    ///
    /// # Errors
    /// For the name of a header that is none: the policy's reader has checked that, and leaving it out would loosen the
    /// policy in silence.
    pub fn new(controls: &Controls, session: &Session) -> Result<Self, http::Error> {
        let address = controls.rate_ip.as_ref();
        let address = address.map(|one| Limits::new(Counted::Address, one.rate, one.burst, &one.routes));
        let header = controls.rate_header.as_ref().map(|one| {
            let name = HeaderName::from_bytes(one.header.as_str().as_bytes())?;
            Ok::<_, http::Error>((name, Limits::new(Counted::Header, one.rate, one.burst, &one.routes)?))
        });
        let user = controls.rate_user.as_ref();
        let user = user.map(|one| Limits::new(Counted::User, one.rate, one.burst, &one.routes));
        Ok(Self {
            address: address.transpose()?,
            header: header.transpose()?,
            user: user.transpose()?,
            session: session.clone(),
        })
    }

    /// The path as routes are compared with it.
    pub(super) fn plain<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let header = self.header.as_ref().map(|(_, limits)| limits);
        let mut all = [self.address.as_ref(), header, self.user.as_ref()].into_iter().flatten();
        if all.any(|limits| !limits.routes.is_empty()) { plainly(path) } else { Cow::Borrowed(path) }
    }

    /// The limit that `which` names; none if it was named by other rules than these.
    pub(crate) fn limit(&self, which: Which) -> Option<&Limit> {
        let limits = match which.counted {
            Counted::Address => self.address.as_ref(),
            Counted::Header => self.header.as_ref().map(|(_, limits)| limits),
            Counted::User => self.user.as_ref(),
        }?;
        match which.route {
            None => Some(&limits.all),
            Some(number) => limits.routes.get(usize::from(number)).map(|(_, limit)| limit),
        }
    }
}

impl Limits {
    fn new(counted: Counted, rate: Rate, burst: u32, routes: &[RouteRate]) -> Result<Self, http::Error> {
        let mut sorted: Vec<_> = routes.iter().collect();
        // The most special route is the one that counts; of two for the same path, the stricter one.
        sorted.sort_by_key(|route| (std::cmp::Reverse(route.path.as_str().len()), route.rate, route.burst));
        let route = |route: &RouteRate| {
            let path = route.path.as_str().trim_end_matches('/');
            let name = format!("{}:{}", counted.word(), route.path.as_str());
            Ok::<_, http::Error>((path.to_owned(), Limit::new(name, Quota::new(route.rate, route.burst))?))
        };
        let all = Limit::new(counted.word().to_owned(), Quota::new(rate, burst))?;
        Ok(Self { all, routes: sorted.into_iter().map(route).collect::<Result<_, _>>()? })
    }

    /// The limits that hold for a path in its plain form: the one for the whole site, then that of its route.
    pub(crate) fn of(&self, counted: Counted, path: &str) -> impl Iterator<Item = (Which, &Limit)> {
        let route = if self.routes.is_empty() { None } else { self.route(path) };
        let route = route.map(|(number, limit)| (Which { counted, route: Some(number) }, limit));
        std::iter::once((Which { counted, route: None }, &self.all)).chain(route)
    }

    fn route(&self, path: &str) -> Option<(u16, &Limit)> {
        let below = |route: &str| path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let (number, (_, limit)) = self.routes.iter().enumerate().find(|(_, (route, _))| below(route))?;
        Some((u16::try_from(number).ok()?, limit))
    }
}

impl Limit {
    fn new(name: String, quota: Quota) -> Result<Self, http::Error> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let quantity = quota.at_once();
        let window = quota.interval().saturating_mul(u32::try_from(quantity).unwrap_or(u32::MAX));
        let policy = format!("{};q={quantity};w={}", quoted(&name), window.as_secs().max(1));
        Ok(Self { quota, id: hasher.finish(), policy: HeaderValue::from_str(&policy)?, name })
    }
}

/// A string of structured fields (RFC 9651 section 3.3.3).
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
