//! The applications behind the gateway, each with its servers, and which of them a request is for.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::Ticks;
use rustls::SupportedProtocolVersion;

use super::condition::{Condition, Permit, Readiness};
use super::{Dialer, DialerError, Pool};
use crate::route::Routes;
use crate::settings::{RouteSettings, SERVERS_MAX, Settings, UpstreamSettings};

/// The applications, the first of them for whatever no route sends elsewhere.
pub(crate) struct Upstreams {
    pub(crate) all: Vec<Upstream>,
    pub(crate) routes: Routes,
}

/// One application.
pub(crate) struct Upstream {
    pub(crate) settings: UpstreamSettings,
    pub(crate) servers: Vec<Server>,
    /// One server that is neither checked nor left alone: there is nothing to choose and nothing to count.
    pub(crate) is_plain: bool,
}

/// One of its servers.
pub(crate) struct Server {
    pub(crate) dialer: Dialer,
    pub(crate) condition: Arc<Condition>,
}

impl Upstreams {
    /// Makes them from the settings. What `previous` knew of servers that are still there is taken over.
    pub(crate) fn new(
        settings: &Settings,
        versions: &[&'static SupportedProtocolVersion],
        previous: Option<&Self>,
    ) -> Result<Self, DialerError> {
        let known = previous.map(Self::conditions).unwrap_or_default();
        let all = std::iter::once(&settings.upstream).chain(&settings.routing.upstreams);
        let all: Vec<_> =
            all.map(|settings| Upstream::new(settings.clone(), versions, &known)).collect::<Result<_, _>>()?;
        let routes = settings.routing.routes.iter().map(|route| Ok((route, index(&all, route)?)));
        let routes = Routes::new(routes.collect::<Result<Vec<_>, DialerError>>()?);
        Ok(Self { all, routes })
    }

    fn conditions(&self) -> HashMap<(String, String), Arc<Condition>> {
        let of = |upstream: &'_ Upstream| {
            let name = upstream.settings.name.clone();
            let servers = upstream.servers.iter();
            servers
                .map(move |server| ((name.clone(), server.dialer.to()), Arc::clone(&server.condition)))
                .collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }
}

fn index(all: &[Upstream], route: &RouteSettings) -> Result<usize, DialerError> {
    let unknown = || DialerError::UnknownUpstream { route: route.path.clone(), name: route.upstream.clone() };
    all.iter().position(|upstream| upstream.settings.name == route.upstream).ok_or_else(unknown)
}

/// The server that was chosen, and the room taken at it.
pub(crate) struct Choice {
    pub(crate) index: usize,
    pub(crate) permit: Permit,
}

/// Servers that a request was at already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried(u64);

impl Tried {
    pub(crate) fn add(&mut self, index: usize) {
        self.0 |= bit(index);
    }

    const fn has(self, index: usize) -> bool {
        self.0 & bit(index) != 0
    }
}

const fn bit(index: usize) -> u64 {
    // INVARIANT: there are at most `SERVERS_MAX` servers, as many as bits.
    1 << (index % SERVERS_MAX)
}

impl Upstream {
    fn new(
        settings: UpstreamSettings,
        versions: &[&'static SupportedProtocolVersion],
        known: &HashMap<(String, String), Arc<Condition>>,
    ) -> Result<Self, DialerError> {
        let name = settings.name.clone();
        let take_over = |dialer: Dialer| {
            let condition = known.get(&(name.clone(), dialer.to())).cloned().unwrap_or_default();
            if settings.health.is_none() {
                condition.forget_checks();
            }
            if settings.circuit.is_none() {
                condition.forget_failures();
            }
            Server { dialer, condition }
        };
        let servers: Vec<_> = Dialer::all(&settings, versions)?.into_iter().map(take_over).collect();
        let is_plain = servers.len() == 1 && settings.health.is_none() && settings.circuit.is_none();
        Ok(Self { servers, is_plain, settings })
    }

    /// Chooses the server with the fewest requests under way, among those that take any and were not tried. `turn`
    /// says where to begin, so that equals take turns. With `may_fail`, the request can be repeated elsewhere, and tries
    /// a server that is due for it.
    ///
    /// # Errors
    /// The time after which to come again, if none takes it.
    pub(crate) fn choose(&self, tried: Tried, turn: usize, may_fail: bool, now: Ticks) -> Result<Choice, Duration> {
        let (mut best, mut due, mut wait): (Option<(usize, u32)>, Option<usize>, Option<Duration>) = (None, None, None);
        let count = self.servers.len();
        for index in (0..count).map(|step| (turn.wrapping_add(step)) % count).filter(|index| !tried.has(*index)) {
            let Some(server) = self.servers.get(index) else { continue };
            let later = match server.condition.readiness(now) {
                Readiness::Ready(open) => {
                    if best.is_none_or(|(_, least)| open < least) {
                        best = Some((index, open));
                    }
                    continue;
                }
                Readiness::Due => {
                    due.get_or_insert(index);
                    continue;
                }
                Readiness::Shut(wait) => wait,
                Readiness::Sick => self.settings.health.as_ref().map_or(SICK_WAIT, |health| health.every),
            };
            wait = Some(wait.map_or(later, |wait| wait.min(later)));
        }
        if let Some(index) = due.filter(|_| may_fail || best.is_none())
            && let Some(server) = self.servers.get(index)
            && let Some(permit) = server.condition.enter_trial()
        {
            return Ok(Choice { index, permit });
        }
        let chosen = best.and_then(|(index, _)| Some((index, self.servers.get(index)?)));
        let (index, server) = chosen.ok_or(wait.unwrap_or(SICK_WAIT))?;
        Ok(Choice { index, permit: server.condition.enter() })
    }

    /// Whether a server other than this one takes requests.
    pub(crate) fn has_other(&self, index: usize, now: Ticks) -> bool {
        let mut others = self.servers.iter().enumerate().filter(|(other, _)| *other != index);
        others.any(|(_, server)| matches!(server.condition.readiness(now), Readiness::Ready(_)))
    }
}

/// The connections of one worker, for the settings that they were made for.
pub(crate) struct Pools {
    pub(crate) upstreams: Arc<Upstreams>,
    pools: Vec<Vec<Rc<Pool>>>,
    turn: Cell<usize>,
}

impl Pools {
    pub(crate) fn new(upstreams: &Arc<Upstreams>) -> Self {
        let of = |upstream: &Upstream| {
            let servers = upstream.servers.iter();
            servers.map(|server| Pool::new(&upstream.settings, server.dialer.clone())).collect()
        };
        let pools = upstreams.all.iter().map(of).collect();
        Self { upstreams: Arc::clone(upstreams), pools, turn: Cell::default() }
    }

    /// The application with this number, and the pool of its first server.
    pub(crate) fn upstream(&self, number: usize) -> Option<(&Upstream, &Rc<Pool>)> {
        Some((self.upstreams.all.get(number)?, self.pools.get(number)?.first()?))
    }

    pub(crate) fn pool(&self, number: usize, server: usize) -> Option<&Rc<Pool>> {
        self.pools.get(number)?.get(server)
    }

    /// Another number each time.
    pub(crate) fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }

    /// Closes connections that were unused for too long.
    pub(crate) fn expire(&self) {
        self.pools.iter().flatten().for_each(|pool| pool.expire());
    }
}

/// When to come again if nobody knows better.
const SICK_WAIT: Duration = Duration::from_secs(5);
