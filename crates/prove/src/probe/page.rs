//! What several probes look at: a handful of different answers, and the links in a page.

use reeve_base::Cause;
use url::Url;

use super::Notes;
use crate::wire::hypertext::{Answer, Ask};
use crate::wire::tls::Protocol;
use crate::wire::{Site, WireError};

/// One answer and what it is an answer to.
pub(crate) struct Sample {
    /// `GET / over HTTP/2`.
    pub(crate) label: String,
    /// The answer.
    pub(crate) answer: Answer,
}

/// How many requests [`samples`] sends.
pub(crate) const SAMPLES: u32 = 6;

/// A page, the same over HTTP/2, an error, and a file: what one place sets and another forgets. If the home page leads
/// on to another page of the site, that one too.
pub(crate) async fn samples(site: &Site, notes: &mut Notes) -> Result<Vec<Sample>, Cause> {
    let mut samples = Vec::new();
    let home = Ask::get("/");
    let answer = site.ask(&home).await?;
    let next = redirected(site, &answer);
    samples.push(Sample { label: home.label(), answer });
    let h2 = Ask::get("/").over(Protocol::H2);
    match site.ask(&h2).await {
        Ok(answer) => samples.push(Sample { label: h2.label(), answer }),
        Err(WireError::NoHttp2) => notes.saw("HTTP/2 is not offered"),
        // A server without HTTP/2 may also refuse a handshake that asks for nothing else (RFC 7301 section 3.2).
        Err(WireError::Handshake(cause)) => notes.saw(format!("HTTP/2 is not offered: {cause}")),
        Err(error) => return Err(error.into()),
    }
    // Its name is random and the evidence should not be: the label says what it is, not which.
    let invented = site.ask(&Ask::get(site.invented_path()?)).await?;
    samples.push(Sample { label: String::from("GET of an invented path"), answer: invented });
    for path in [Some(String::from("/.well-known/security.txt")), next].into_iter().flatten() {
        let ask = Ask::get(path);
        let answer = site.ask(&ask).await?;
        samples.push(Sample { label: ask.label(), answer });
    }
    Ok(samples)
}

/// The path that a redirect leads to, if it is on the same site.
fn redirected(site: &Site, answer: &Answer) -> Option<String> {
    if !(300..400).contains(&answer.status) {
        return None;
    }
    let location = site.target().url.join(&answer.value("location")?).ok()?;
    same_site_path(&site.target().url, &location)
}

/// Path and query of `link`, if it is on the site of `home`, with the same protocol and port.
pub(crate) fn same_site_path(home: &Url, link: &Url) -> Option<String> {
    if home.origin() != link.origin() {
        return None;
    }
    Some(link.query().map_or_else(|| link.path().to_owned(), |query| format!("{}?{query}", link.path())))
}

/// What the page's `href`, `src` and `action` attributes hold, in their order, with the commonest entity undone.
///
/// A scanner, not a parser of HTML: it also finds links in comments, and none that a script makes. For "is there an
/// `http:` link to this site" that errs on the side of looking twice.
pub(crate) fn links(html: &str) -> Vec<String> {
    let lower = html.to_ascii_lowercase();
    let mut found = Vec::new();
    for attribute in ["href", "src", "action"] {
        for (at, _) in lower.match_indices(attribute) {
            // ASCII lower case changes no length, so offsets agree.
            let before = lower.get(..at).and_then(|text| text.chars().next_back());
            if !before.is_some_and(|character| character.is_ascii_whitespace() || matches!(character, '"' | '\'')) {
                continue;
            }
            if let Some(value) = html.get(at + attribute.len()..).and_then(attribute_value) {
                found.push((at, value.trim().replace("&amp;", "&")));
            }
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, value)| value).filter(|value| !value.is_empty()).collect()
}

fn attribute_value(rest: &str) -> Option<&str> {
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    if let Some(rest) = rest.strip_prefix('"') {
        return rest.split('"').next();
    }
    if let Some(rest) = rest.strip_prefix('\'') {
        return rest.split('\'').next();
    }
    rest.split(|character: char| character.is_ascii_whitespace() || character == '>').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, expected: &[&str]) {
        assert_eq!(links(html), expected);
    }

    #[test]
    fn links_are_found_however_they_are_quoted() {
        check(
            r#"<a href="/one">x</a><img SRC='/two?a=1&amp;b=2'><form action = /three >"#,
            &["/one", "/two?a=1&b=2", "/three"],
        );
        check(r#"<a data-href="/no" xhref=/no href=""> href = text"#, &["text"]);
        check("<a href", &[]);
        check("<a href=", &[]);
        check("<a href=\"", &[]);
        check("ä<a href='/ü'>", &["/ü"]);
    }

    #[test]
    fn only_the_same_origin_is_the_same_site() {
        let home = Url::parse("https://example.com/").unwrap();
        let path = |link: &str| same_site_path(&home, &home.join(link).unwrap());
        assert_eq!(path("/a?b#c").as_deref(), Some("/a?b"));
        assert_eq!(path("https://example.com:443/a").as_deref(), Some("/a"));
        assert_eq!(path("http://example.com/a"), None);
        assert_eq!(path("https://other.example/a"), None);
        assert_eq!(path("mailto:a@example.com"), None);
    }
}
