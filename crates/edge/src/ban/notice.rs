//! What the gateway sees of a request that may count against its address.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;

use super::Bans;
use super::rules::{Jail, Weights};
use crate::refusal::Refusal;
use crate::rules::plainly;

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'r> {
    /// The path, where there was one to be read.
    pub(crate) path: Option<&'r str>,
    /// What was answered.
    pub(crate) status: StatusCode,
    /// What refused it, if anything did.
    pub(crate) refusal: Option<&'r Refusal>,
}

impl Bans {
    /// Counts a request against its address, as far as the rules say so.
    pub(crate) fn notice(&self, address: IpAddr, seen: Seen<'_>) {
        // Most requests are none of it, and no lock is taken for them.
        if !(seen.status.is_client_error() || seen.refusal.is_some()) {
            return;
        }
        let jails = self.jails.load();
        if jails.is_empty() || matches!(seen.refusal, Some(Refusal::Banned)) {
            return;
        }
        for jail in jails.iter() {
            if let Some((points, cause)) = jail.rule.weights.of(seen) {
                self.count_in(jail, address, points, Duration::ZERO, cause);
            }
        }
    }

    /// Counts what a log source tells of.
    pub(super) fn count_against(&self, rule: &str, address: IpAddr, points: u16, age: Duration, cause: &str) {
        match self.jails.load().iter().find(|jail| jail.rule.name == rule) {
            Some(jail) => self.count_in(jail, address, points, age, cause),
            None => tracing::warn!(rule, "an offence under a rule that there is not"),
        }
    }

    fn count_in(&self, jail: &Jail, address: IpAddr, points: u16, age: Duration, cause: &str) {
        let now = self.clock.ticks();
        if self.exempting(address, now).is_some() || self.refuses(address) {
            return;
        }
        let sum = jail.tallies.count(address, points, age, now);
        if sum >= jail.rule.points {
            let seconds = jail.rule.window.as_secs();
            self.ban_by(jail, address, &format!("{sum} of {} within {seconds} s, last: {cause}", jail.rule.points));
        }
    }
}

impl Weights {
    /// How much it counts, and what it is called.
    fn of(&self, seen: Seen<'_>) -> Option<(u16, &'static str)> {
        let counted = [(self.scan, "a scanner's path"), self.of_answer(seen)?];
        let scanned = self.scan > 0 && seen.path.is_some_and(|path| self.is_scan(path));
        // A scanner's path that is refused or missing counts as what is worse of the two.
        let counted = counted.into_iter().skip(usize::from(!scanned)).max_by_key(|(points, _)| *points);
        counted.filter(|(points, _)| *points > 0)
    }

    fn of_answer(&self, seen: Seen<'_>) -> Option<(u16, &'static str)> {
        Some(match (seen.refusal, seen.status) {
            (Some(Refusal::Rate { .. }), _) => (self.pace, "a refusal by a limit on rates"),
            (Some(Refusal::HeadTooSlow | Refusal::BodyTooSlow), _) => (self.pace, "a slow request"),
            (Some(Refusal::UpstreamError(_)) | None, status) => match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (self.sign_in, "a failed sign-in"),
                StatusCode::NOT_FOUND | StatusCode::GONE => (self.missing, "a missing page"),
                _ if status.is_client_error() => (0, ""),
                _ => return None,
            },
            (Some(refusal), status) if refusal.is_of_client() && status != StatusCode::INTERNAL_SERVER_ERROR => {
                (self.refusal, refusal.control())
            }
            // A fault of ours or of the application's is nobody's offence.
            (Some(_), _) => return None,
        })
    }

    /// Whether it is one of the paths, or below one, in whatever way it is spelled.
    fn is_scan(&self, path: &str) -> bool {
        let path = plainly(path).to_ascii_lowercase();
        self.paths
            .iter()
            .any(|one| path.strip_prefix(one.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

#[cfg(test)]
mod tests {
    use reeve_policy::catalogue::{BanAuto, BanHttp, Control, Controls};

    use super::*;
    use crate::rate::Counted;
    use crate::refusal::Blocked;

    fn weights(name: &str) -> Weights {
        let mut controls = Controls::default();
        controls.demand(&Control::BanHttp(BanHttp::default()));
        controls.demand(&Control::BanAuto(BanAuto::default()));
        super::super::rules::of(&controls).into_iter().find(|rule| rule.name == name).unwrap().weights
    }

    #[track_caller]
    fn check(path: &str, status: u16, refusal: Option<&Refusal>, http: u16, auto: u16) {
        let seen = Seen { path: Some(path), status: StatusCode::from_u16(status).unwrap(), refusal };
        let points = |name| weights(name).of(seen).map_or(0, |(points, _)| points);
        assert_eq!((points("ban.http"), points("ban.auto")), (http, auto), "{path} {status}");
    }

    #[test]
    fn what_is_asked_and_how_it_ended_decide_what_counts() {
        let standard = BanAuto::default();
        check("/", 200, None, 0, 0);
        check("/wp-login.php", 200, None, 0, 0);
        check("/wp-login.php", 404, None, 1, standard.scan);
        check("/WP-Admin/setup.php", 404, None, 1, standard.scan);
        check("/a/../%2eenv", 404, Some(&Refusal::HiddenPath), 1, standard.scan);
        check("/wp-login.phpx", 404, None, 0, standard.missing);
        check("/account", 401, None, 0, standard.sign_in);
        check("/account", 403, Some(&Refusal::UpstreamError(StatusCode::FORBIDDEN)), 0, standard.sign_in);
        check("/x", 400, Some(&Refusal::Malformed("x")), 0, standard.refusal);
        check("/x", 405, Some(&Refusal::Method), 0, standard.refusal);
        let attack = Blocked::request(StatusCode::FORBIDDEN, String::new());
        check("/x", 403, Some(&attack), 0, standard.refusal);
        check("/x", 429, Some(&Refusal::Rate { counted: Counted::Address, retry_after: Duration::ZERO }), 0, 1);
        check("/x", 400, None, 0, 0);
    }

    #[test]
    fn what_is_not_the_clients_doing_counts_for_nothing() {
        check("/.env", 502, Some(&Refusal::UpstreamDown(String::new())), 0, 0);
        check("/.env", 503, Some(&Refusal::Unrecorded), 0, 0);
        check("/.env", 500, Some(&Refusal::Fault(String::new())), 0, 0);
        check("/x", 500, Some(&Refusal::UpstreamError(StatusCode::INTERNAL_SERVER_ERROR)), 0, 0);
        check("/x", 403, Some(&Blocked::answer(StatusCode::FORBIDDEN, String::new())), 0, 0);
    }
}
