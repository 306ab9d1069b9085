//! Which application a request is for, by the host and the path that it asks for.
//!
//! A route is chosen on the path as the application reads it. Where readings differ on which application that is, the
//! request is refused: whoever writes `/public/..%2fadmin/` wants one of the two to be mistaken.

use std::borrow::Cow;

use http::uri::Authority;
use percent_encoding::percent_decode_str;

use crate::refusal::Refusal;
use crate::rules::plainly;
use crate::settings::RouteSettings;

/// The routes, those for one host before those for any, and of each the longest path first.
#[derive(Debug, Default)]
pub(crate) struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    host: Option<String>,
    /// Without the slash at its end; empty for everything.
    path: String,
    upstream: usize,
}

impl Routes {
    /// Each route with the number of its application.
    pub(crate) fn new(routes: Vec<(&RouteSettings, usize)>) -> Self {
        let read = |(route, upstream): (&RouteSettings, usize)| Route {
            host: route.host.as_deref().map(str::to_ascii_lowercase),
            path: route.path.trim_end_matches('/').to_owned(),
            upstream,
        };
        let mut routes: Vec<_> = routes.into_iter().map(read).collect();
        routes.sort_by_key(|route| (route.host.is_none(), std::cmp::Reverse(route.path.len())));
        Self(routes)
    }

    /// The number of the application that the request is for; 0, the first, where no route says otherwise.
    pub(crate) fn find(&self, authority: &Authority, path: &str) -> Result<usize, Refusal> {
        if self.0.is_empty() {
            return Ok(0);
        }
        // One dot at the end of a name says that it is complete, and names the same host.
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host);
        let found = self.at(host, path);
        match plainly(path) {
            Cow::Borrowed(_) => Ok(found),
            Cow::Owned(plain) => {
                let same = |reading: &str| self.at(host, reading) == found;
                if same(&plain) && readings(path).iter().all(|reading| same(reading)) {
                    Ok(found)
                } else {
                    Err(Refusal::AmbiguousPath)
                }
            }
        }
    }

    fn at(&self, host: &str, path: &str) -> usize {
        let of_host = |route: &&Route| route.host.as_ref().is_none_or(|named| host.eq_ignore_ascii_case(named));
        let above = |route: &&Route| {
            path.strip_prefix(route.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().filter(of_host).find(above).map_or(0, |route| route.upstream)
    }
}

/// How applications that do only part of what [`plainly`] does may come to read the path.
fn readings(path: &str) -> [String; 7] {
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let (slashes, all_slashes) = (path.replace('\\', "/"), decoded.replace('\\', "/"));
    let resolved = [path, &decoded, &slashes, &all_slashes].map(without_dots);
    let [first, second, third, fourth] = resolved;
    [first, second, third, fourth, decoded, slashes, all_slashes]
}

/// Empty and dot segments resolved, and nothing else (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let route = |host: Option<&str>, path: &str| RouteSettings {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            upstream: String::new(),
        };
        let written = [
            (route(None, "/api/"), 1),
            (route(None, "/api/reports"), 2),
            (route(Some("Files.Example.com"), "/"), 3),
            (route(Some("files.example.com"), "/api/reports/"), 4),
        ];
        Routes::new(written.iter().map(|(route, upstream)| (route, *upstream)).collect())
    }

    #[track_caller]
    fn check(host: &str, path: &str, expected: Option<usize>) {
        let authority = Authority::try_from(host).unwrap();
        assert_eq!(routes().find(&authority, path).ok(), expected, "{host} {path}");
    }

    #[test]
    fn the_longest_path_wins_and_a_host_before_it() {
        check("example.com", "/", Some(0));
        check("example.com", "/api", Some(1));
        check("example.com", "/api/", Some(1));
        check("example.com", "/api/users", Some(1));
        check("example.com", "/api/reports/7", Some(2));
        check("files.example.com", "/api/users", Some(3));
        check("FILES.example.com:8443", "/api/reports/7", Some(4));
        check("files.example.com.", "/x", Some(3));
    }

    #[test]
    fn a_path_is_no_prefix_of_another_name() {
        check("example.com", "/apix", Some(0));
        check("example.com", "/api/reportsx", Some(1));
        check("example.com", "/API/", Some(0));
    }

    #[test]
    fn a_path_that_two_applications_could_claim_is_refused() {
        for path in [
            "/x/..%2fapi/users",
            "/x/../api/users",
            "/api/..;/admin",
            "/api/%2e%2e/admin",
            "/api\\..\\admin",
            "//api/users",
            "/%61pi/users",
            "/api;a=b/users",
            "/api/./../",
            "/api%2freports",
        ] {
            check("example.com", path, None);
        }
    }

    #[test]
    fn an_odd_spelling_within_one_application_is_its_own_business() {
        check("example.com", "/api/a%20b;c=d//e", Some(1));
        check("example.com", "/a%2fb", Some(0));
        check("files.example.com", "/x/../%61", Some(3));
    }
}
