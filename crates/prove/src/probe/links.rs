//! trust.links: the pages that belong beside a policy are there.

use reeve_base::Cause;
use reeve_policy::catalogue::TrustLinks;

use super::{Kept, Notes, Probe, Running, Sends, page};
use crate::Target;
use crate::wire::Site;
use crate::wire::hypertext::{Answer, Ask};

impl Probe for TrustLinks {
    fn plan(&self, _target: &Target) -> Sends {
        let links = self.links.iter().map(reeve_policy::catalogue::Link::as_str).collect::<Vec<_>>().join(", ");
        let count = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        Sends::requests(
            count.saturating_mul(2).saturating_add(1),
            format!("GETs of {links}, and of invented paths beside them"),
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let home = site.target().url.clone();
            let (mut judged, mut elsewhere) = (0, Vec::new());
            for link in &self.links {
                let link = link.as_str();
                let whole = home.join(link).map_err(|error| Cause::Unexpected(format!("`{link}`: {error}")))?;
                match page::same_site_path(&home, &whole) {
                    Some(path) => {
                        judged += 1;
                        let found = published(site, &path).await?;
                        notes.either(found);
                    }
                    None => elsewhere.push(whole.to_string()),
                }
            }
            // Only the target that was named is asked anything: other hosts did not agree to be judged.
            if !elsewhere.is_empty() {
                return Err(Cause::Unexpected(format!("on another site and not asked for: {}", elsewhere.join(", "))));
            }
            if judged == 0 {
                return Err(Cause::EmptyPopulation(String::from("no link is promised")));
            }
            Ok(Kept::with(twin, format!("{judged} pages are published")))
        })
    }
}

/// Whether there is a page at `path`, and not just the same answer for every path.
async fn published(site: &Site, path: &str) -> Result<Result<String, String>, Cause> {
    let mut asked = path.to_owned();
    let mut answer = site.ask(&Ask::get(asked.clone())).await?;
    // `/terms` to `/terms/` is still that page.
    if (300..400).contains(&answer.status) {
        let location = answer.value("location").and_then(|location| site.target().url.join(&location).ok());
        if let Some(next) = location.and_then(|location| page::same_site_path(&site.target().url, &location)) {
            answer = site.ask(&Ask::get(next.clone())).await?;
            asked = next;
        }
    }
    let text_bytes = text_bytes(&answer);
    if answer.status != 200 {
        return Ok(Err(format!("{path} is answered with {}", answer.status)));
    }
    if text_bytes < TEXT_BYTES_MIN {
        return Ok(Err(format!("{path} has hardly any text on it, {text_bytes} bytes")));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let invented = format!("{folder}{}", site.invented_path()?);
    let beside = site.ask(&Ask::get(invented.clone())).await?;
    if beside.status == 200 && beside.text().replace(&invented, "") == answer.text().replace(&asked, "") {
        return Ok(Err(format!("{path} is the same page as that of an invented path beside it")));
    }
    Ok(Ok(format!("{path}: 200, {text_bytes} bytes of text; an invented path beside it: {}", beside.status)))
}

/// How much of a page is text: what stands outside tags, without the spaces between.
fn text_bytes(answer: &Answer) -> usize {
    let (mut bytes, mut inside) = (0, false);
    for character in answer.text().chars() {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside && !character.is_whitespace() => bytes += character.len_utf8(),
            _ => {}
        }
    }
    bytes
}

/// Less is a heading, not terms.
const TEXT_BYTES_MIN: usize = 64;
