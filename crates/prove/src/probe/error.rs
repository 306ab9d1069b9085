//! error.page and error.no_debug: what an answer gives away when something is wrong, and what lies about.

use reeve_base::Cause;
use reeve_policy::catalogue::{ErrorNoDebug, ErrorPage};

use super::{Kept, Notes, Probe, Running, Sends, leaks, page};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::Until;
use crate::wire::hypertext::{Answer, Ask};

impl Probe for ErrorPage {
    fn plan(&self, target: &Target) -> Sends {
        let own = target.error_path.as_ref().map_or_else(String::new, |path| format!(", and GET {path}"));
        let what = format!("an invented path, malformed and overlong targets, a bad field, an invented method{own}");
        Sends::requests(9, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let mut provoked = Provoked::default();
            not_found(site, notes, &mut provoked).await?;
            malformed(site, notes, &mut provoked).await?;
            if let Some(path) = &site.target().error_path {
                let answer = site.ask(&Ask::get(path.clone())).await?;
                if answer.status < 500 {
                    provoked.tell(notes);
                    let text = format!("{path} should fail and is answered with {}", answer.status);
                    return Err(Cause::Unexpected(text));
                }
                provoked.look(notes, &format!("GET {path}"), answer.status, &answer.text());
            }
            provoked.tell(notes);
            if provoked.errors == 0 {
                return Err(Cause::EmptyPopulation(String::from("no error could be provoked from outside")));
            }
            let servers = match provoked.server_errors {
                0 => String::from("none a server error: those cannot be provoked from outside"),
                count => format!("{count} of them a server's"),
            };
            Ok(Kept::with(twin, format!("{} errors provoked, {servers}; they give nothing away", provoked.errors)))
        })
    }
}

/// How many errors there were to look at, and what they gave away.
#[derive(Default)]
struct Provoked {
    errors: usize,
    server_errors: usize,
    /// What is given away, and by which answers.
    leaks: Vec<(String, Vec<String>)>,
}

impl Provoked {
    fn look(&mut self, notes: &mut Notes, what: &str, status: u16, body: &str) {
        if status < 400 {
            notes.saw(format!("{what}: {status}, no error"));
            return;
        }
        self.errors += 1;
        self.server_errors += usize::from(status >= 500);
        let leaks = leaks::in_error(body);
        if leaks.is_empty() {
            notes.saw(format!("{what}: {status}, {} bytes, gives nothing away", body.len()));
        }
        for leak in leaks {
            let place = format!("the answer {status} to {what}");
            match self.leaks.iter_mut().find(|(known, _)| *known == leak) {
                Some((_, places)) => places.push(place),
                None => self.leaks.push((leak, vec![place])),
            }
        }
    }

    /// Writes down each thing that is given away once, with the answers that do.
    fn tell(&mut self, notes: &mut Notes) {
        for (leak, places) in std::mem::take(&mut self.leaks) {
            notes.fault(match places.as_slice() {
                [first, .., _] => format!("{leak} is shown by {first} and {} other answers", places.len() - 1),
                _ => format!("{leak} is shown by {}", places.concat()),
            });
            notes.saw(format!("{leak}: {}", places.join(", ")));
        }
    }
}

/// The error of a page that does not exist, as browsers and as programs get it.
async fn not_found(site: &Site, notes: &mut Notes, provoked: &mut Provoked) -> Result<(), Cause> {
    for accept in ["text/html", "application/json", "text/plain"] {
        let ask = Ask::get(site.invented_path()?).accepting(accept);
        let answer = site.ask(&ask).await?;
        provoked.look(notes, &format!("an invented path, accepting {accept}"), answer.status, &answer.text());
    }
    Ok(())
}

/// Errors that the first server in line makes itself, because the request is none.
async fn malformed(site: &Site, notes: &mut Notes, provoked: &mut Provoked) -> Result<(), Cause> {
    let authority = site.target().authority();
    let agent = site.user_agent();
    let fields = format!("Host: {authority}\r\nUser-Agent: {agent}\r\nConnection: close\r\n");
    let overlong = "a".repeat(OVERLONG_BYTES);
    let requests = [
        ("a malformed percent-encoding", format!("GET /%zz%f HTTP/1.1\r\n{fields}\r\n")),
        ("an overlong target", format!("GET /{overlong} HTTP/1.1\r\n{fields}\r\n")),
        ("an invented method", format!("REEVE / HTTP/1.1\r\n{fields}\r\n")),
        ("a field without a name", format!("GET / HTTP/1.1\r\n{fields}: nothing\r\n\r\n")),
        ("no Host", String::from("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")),
    ];
    for (what, request) in requests {
        let transcript = site.elsewhere()?.send_raw(request.as_bytes(), Until::Answers(1)).await?;
        match transcript.answers.first() {
            Some(answer) => provoked.look(notes, what, answer.status, &answer.text()),
            None => notes.saw(format!("{what}: {}", transcript.summary())),
        }
    }
    Ok(())
}

/// Longer than the 8 KiB that most servers take.
const OVERLONG_BYTES: usize = 20_000;

impl Probe for ErrorNoDebug {
    fn plan(&self, _target: &Target) -> Sends {
        let paths = self.paths.iter().map(reeve_policy::catalogue::UrlPath::as_str).collect::<Vec<_>>().join(", ");
        let count = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        Sends::requests(count.saturating_add(page::SAMPLES + 2), format!("GETs of {paths}, and of ordinary pages"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let invented = site.invented_path()?;
            let stranger = site.ask(&Ask::get(invented.clone())).await?;
            for path in &self.paths {
                let answer = site.ask(&Ask::get(path.as_str())).await?;
                let found = closed(path.as_str(), &answer, &invented, &stranger);
                notes.either(found);
            }
            let mut looked_at = 0;
            let mut samples = page::samples(site, notes).await?;
            if let (Some(path), true) = (&site.target().trace_path, self.traces) {
                let ask = Ask::get(path.clone());
                samples.push(page::Sample { label: ask.label(), answer: site.ask(&ask).await? });
            }
            for sample in samples {
                looked_at += 1;
                if let Some(trace) = leaks::trace(&sample.answer.text()).filter(|_| self.traces) {
                    notes.fault(format!("{} shows a stack trace of {trace}", sample.label));
                }
                notes.either(match banner_fields(&sample.answer) {
                    banners if banners.is_empty() => Ok(format!("{}: no version in its fields", sample.label)),
                    banners => Err(format!("{} names software: {}", sample.label, banners.join(", "))),
                });
            }
            let paths = self.paths.len();
            Ok(Kept::with(twin, format!("{paths} paths closed, no version and no stack trace in {looked_at} answers")))
        })
    }
}

/// Whether a path that must not be there is not, compared with one that nobody has.
fn closed(path: &str, answer: &Answer, invented: &str, stranger: &Answer) -> Result<String, String> {
    if let Some(what) = leaks::debug_page(&answer.text()) {
        return Err(format!("{path} shows {what}"));
    }
    // A site of one page answers every path with it. The body may echo the path, which does not make it another page.
    let same = answer.status == stranger.status
        && answer.text().replace(path, "") == stranger.text().replace(invented, "")
        && answer.value("location").map(|text| text.replace(path, ""))
            == stranger.value("location").map(|text| text.replace(invented, ""));
    match answer.status {
        401 | 403 | 404 | 405 | 410 => Ok(format!("{path}: {}", answer.status)),
        status if same => Ok(format!("{path}: {status}, the same answer as for an invented path: not served")),
        status => Err(format!("{path} is answered with {status}")),
    }
}

/// The fields that name software with its version, or exist only to name it.
fn banner_fields(answer: &Answer) -> Vec<String> {
    let mut banners = Vec::new();
    for (name, version_only) in BANNER_FIELDS {
        for value in answer.values(name) {
            if !version_only || leaks::states_version(&value) {
                banners.push(format!("{name}: {value}"));
            }
        }
    }
    // `Via: 1.1 proxy` states the protocol's version, which is what the field is for (RFC 9110 section 7.6.3).
    banners.extend(
        answer.values("via").into_iter().filter_map(|value| leaks::banner(&value)).map(|b| format!("via: {b}")),
    );
    banners
}

/// Field, and whether only a version in it is a fault.
const BANNER_FIELDS: [(&str, bool); 8] = [
    ("server", true),
    ("x-powered-by", false),
    ("x-aspnet-version", false),
    ("x-aspnetmvc-version", false),
    ("x-generator", false),
    ("x-drupal-cache", false),
    ("x-runtime", false),
    ("x-version", true),
];

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, body: &'static str, fields: &[(&'static str, &'static str)]) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[track_caller]
    fn closed_is(status: u16, body: &'static str, stranger: &Answer, right: bool) {
        assert_eq!(closed("/debug", &answer(status, body, &[]), "/invented", stranger).is_ok(), right);
    }

    #[test]
    fn a_path_is_closed_when_refused_or_when_nothing_tells_it_from_an_invented_one() {
        let plain = answer(404, "no such page", &[]);
        closed_is(404, "no such page", &plain, true);
        closed_is(403, "no", &plain, true);
        closed_is(200, "debug console", &plain, false);
        closed_is(302, "", &plain, false);
        closed_is(500, "", &plain, false);
        closed_is(404, "ref: refs/heads/main", &plain, false);
        let single_page = answer(200, "app at /invented", &[]);
        closed_is(200, "app at /debug", &single_page, true);
        closed_is(200, "debug console", &single_page, false);
    }

    #[test]
    fn fields_that_name_a_version_are_found() {
        let none: &[&str] = &[];
        assert_eq!(banner_fields(&answer(200, "", &[("server", "nginx"), ("via", "1.1 edge")])), none);
        assert_eq!(banner_fields(&answer(200, "", &[("server", "nginx/1.22.1")])), ["server: nginx/1.22.1"]);
        assert_eq!(banner_fields(&answer(200, "", &[("x-powered-by", "Express")])), ["x-powered-by: Express"]);
        assert_eq!(banner_fields(&answer(200, "", &[("via", "1.1 squid/5.7")])), ["via: squid/5.7"]);
    }
}
