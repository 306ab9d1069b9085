//! disclose.securitytxt and disclose.contact: the file of RFC 9116.

use jiff::{SignedDuration, Timestamp};
use reeve_base::Cause;
use reeve_policy::catalogue::{DiscloseContact, DiscloseSecurityTxt};

use super::{Kept, Notes, Probe, Running, Sends, Twin, page};
use crate::Target;
use crate::wire::Site;
use crate::wire::hypertext::Ask;

const PATH: &str = "/.well-known/security.txt";

impl Probe for DiscloseSecurityTxt {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(2, format!("GET {PATH}, and its Policy link where that is on the site"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let Some(file) = fetch(site, notes).await? else {
                return Ok(Kept::with(twin, "no file"));
            };
            check_contact(&file, self, notes);
            notes.either(expires(&file, site.now(), self.valid.duration()));
            check_policy(site, notes, &file, self).await?;
            let until = file.values("expires").next().unwrap_or_default().to_owned();
            Ok(Kept::with(twin, format!("published, with the contact and policy promised, until {until}")))
        })
    }
}

impl Probe for DiscloseContact {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(2, format!("GET {PATH}"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin: Twin = site.serves(notes).await?;
            let Some(file) = fetch(site, notes).await? else {
                return Ok(Kept::with(twin, "no file"));
            };
            let mail = format!("mailto:{}", self.mail.as_str());
            let has_mail = file.values("contact").any(|contact| contact.eq_ignore_ascii_case(&mail));
            for (what, wanted, found) in [
                ("name", self.name.as_str(), file.text.contains(self.name.as_str())),
                ("role", self.role.as_str(), file.text.contains(self.role.as_str())),
                ("address", self.mail.as_str(), has_mail),
            ] {
                let words = |verb: &str| format!("the file {verb} the {what} `{wanted}`");
                notes.either(if found { Ok(words("states")) } else { Err(words("does not state")) });
            }
            Ok(Kept::with(
                twin,
                format!("{}, {}, {} stand in {PATH}", self.name.as_str(), self.role.as_str(), self.mail.as_str()),
            ))
        })
    }
}

/// The file as it was served.
struct File {
    text: String,
    fields: Vec<(String, String)>,
}

impl File {
    /// Reads lines of `Name: value`; comments and everything around a signature are passed over (RFC 9116 section 4).
    fn read(text: String) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '-']));
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { text, fields }
    }

    fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.fields.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Fetches the file; without one, the fault is written down.
async fn fetch(site: &Site, notes: &mut Notes) -> Result<Option<File>, Cause> {
    let mut answer = site.ask(&Ask::get(PATH)).await?;
    if (300..400).contains(&answer.status)
        && let Some(location) = answer.value("location").and_then(|location| site.target().url.join(&location).ok())
    {
        // RFC 9116 section 3 lets the file be redirected to; to another host, it is for people to follow.
        let Some(path) = page::same_site_path(&site.target().url, &location) else {
            notes.fault(format!("{PATH} redirects away, to {location}"));
            return Ok(None);
        };
        notes.saw(format!("{PATH} redirects to {path}"));
        answer = site.ask(&Ask::get(path)).await?;
    }
    if answer.status != 200 {
        notes.fault(format!("GET {PATH} is answered with {}", answer.status));
        return Ok(None);
    }
    let kind = answer.value("content-type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("text/plain") {
        notes.fault(format!("{PATH} is served as `{kind}`, not as text/plain"));
        return Ok(None);
    }
    notes.saw(format!("GET {PATH}: 200, {kind}, {} bytes", answer.body.len()));
    Ok(Some(File::read(answer.text())))
}

fn check_contact(file: &File, promised: &DiscloseSecurityTxt, notes: &mut Notes) {
    let wanted = promised.contact.as_str();
    notes.either(if file.values("contact").any(|contact| contact == wanted) {
        Ok(format!("Contact: {wanted}"))
    } else {
        let found: Vec<_> = file.values("contact").collect();
        Err(format!("the file names `{}` as contact, promised `{wanted}`", found.join("`, `")))
    });
    if file.values("preferred-languages").count() > 1 {
        notes.fault("Preferred-Languages stands more than once (RFC 9116 section 2.5.8)");
    }
}

/// RFC 9116 section 2.5.5: exactly once, in the future, less than a year ahead; and no further than promised.
fn expires(file: &File, now: Timestamp, valid: std::time::Duration) -> Result<String, String> {
    let values: Vec<&str> = file.values("expires").collect();
    let [value] = values.as_slice() else {
        return Err(format!("Expires stands {} times, and must stand once", values.len()));
    };
    let end: Timestamp = value.parse().map_err(|_| format!("Expires is no time of RFC 3339: `{value}`"))?;
    let left = end.duration_since(now);
    // A day of grace: the file may have been made with a date only, in another time zone.
    let grace = SignedDuration::from_hours(24);
    let longest = SignedDuration::try_from(valid).unwrap_or(SignedDuration::MAX).saturating_add(grace);
    if left <= SignedDuration::ZERO {
        Err(format!("the file expired on {value}"))
    } else if left > SignedDuration::from_hours(366 * 24) {
        Err(format!("the file expires on {value}, more than a year ahead"))
    } else if left > longest {
        Err(format!("the file expires on {value}, further ahead than promised"))
    } else {
        Ok(format!("Expires: {value}"))
    }
}

async fn check_policy(
    site: &Site,
    notes: &mut Notes,
    file: &File,
    promised: &DiscloseSecurityTxt,
) -> Result<(), Cause> {
    let home = &site.target().url;
    let wanted = home.join(promised.policy.as_str());
    let wanted = wanted.map_err(|error| Cause::Unexpected(format!("the promised policy is no link: {error}")))?;
    let named = file.values("policy").any(|value| value.parse::<url::Url>().is_ok_and(|url| url == wanted));
    if !named {
        let found: Vec<_> = file.values("policy").collect();
        notes.fault(format!("the file names `{}` as policy, promised `{wanted}`", found.join("`, `")));
        return Ok(());
    }
    notes.saw(format!("Policy: {wanted}"));
    let Some(path) = page::same_site_path(home, &wanted) else {
        notes.saw(format!("{wanted} is on another site and is not asked for"));
        return Ok(());
    };
    let answer = site.ask(&Ask::get(path)).await?;
    notes.either(match answer.status {
        200 => Ok(format!("{wanted}: 200")),
        status => Err(format!("the policy {wanted} is answered with {status}")),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expires_is(text: &str, expected: Result<&str, &str>) {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let file = File::read(text.to_owned());
        let found = expires(&file, now, reeve_base::Period::days(180).duration());
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn expires_stands_once_and_lies_ahead_but_not_too_far() {
        expires_is("Expires: 2027-01-01T00:00:00Z", Ok("Expires: 2027-01-01T00:00:00Z"));
        expires_is("EXPIRES: 2027-01-01T00:00:00+01:00\n", Ok("Expires: 2027-01-01T00:00:00+01:00"));
        expires_is("# Expires: 2027-01-01T00:00:00Z", Err("Expires stands 0 times, and must stand once"));
        expires_is("Expires: a\nExpires: b", Err("Expires stands 2 times, and must stand once"));
        expires_is("Expires: next year", Err("Expires is no time of RFC 3339: `next year`"));
        expires_is("Expires: 2026-11-21T11:59:59Z", Err("the file expired on 2026-11-21T11:59:59Z"));
        expires_is(
            "Expires: 2027-07-01T00:00:00Z",
            Err("the file expires on 2027-07-01T00:00:00Z, further ahead than promised"),
        );
        expires_is(
            "Expires: 2028-01-01T00:00:00Z",
            Err("the file expires on 2028-01-01T00:00:00Z, more than a year ahead"),
        );
    }

    #[test]
    fn fields_are_read_beside_comments_and_signatures() {
        let file = File::read(String::from(
            "-----BEGIN PGP SIGNED MESSAGE-----\n# Contact: Jane Doe, Head\nContact: mailto:a@example.com\r\nContact: tel:+1\n",
        ));
        assert_eq!(file.values("contact").collect::<Vec<_>>(), ["mailto:a@example.com", "tel:+1"]);
        assert!(file.text.contains("Jane Doe"));
    }
}
