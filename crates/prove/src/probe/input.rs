//! input.size and input.methods: what is too much, and what is not served.

use reeve_base::Cause;
use reeve_policy::catalogue::{InputMethods, InputSize, Method};

use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::{End, Transcript, Until};

mod request;

use request::Head;

impl Probe for InputSize {
    fn plan(&self, _target: &Target) -> Sends {
        let (body, header, uri) = (self.body, self.header, self.uri);
        let what = format!(
            "requests with {body} of body, {header} of head, {uri} of target and {} fields, and one more of each",
            self.fields
        );
        Sends::requests(12, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let mut trial = Trial { site, notes, stricter: Vec::new() };
            trial.target(self).await?;
            trial.head(self).await?;
            trial.fields(self).await?;
            trial.body(self).await?;
            let stricter = std::mem::take(&mut trial.stricter);
            if !stricter.is_empty() {
                let text = format!("the limits in force are stricter than those published: {}", stricter.join("; "));
                return Err(Cause::Unexpected(text));
            }
            // Some refusals are closed connections: that an ordinary request still passes tells them from a ban.
            site.serves(notes).await?;
            Ok(Kept::with(twin, "each part passes at its limit and is refused one past it"))
        })
    }
}

/// The run of all parts.
struct Trial<'t> {
    site: &'t Site,
    notes: &'t mut Notes,
    /// What is refused although the policy allows it.
    stricter: Vec<String>,
}

impl Trial<'_> {
    fn plain_head(&self) -> Head {
        Head::new("GET", "/", &self.site.target().authority(), self.site.user_agent())
    }

    async fn send(&self, bytes: &[u8]) -> Result<Transcript, Cause> {
        Ok(self.site.elsewhere()?.send_raw(bytes, Until::Answers(1)).await?)
    }

    /// Sends what is at the limit and what is one past it.
    async fn border(&mut self, part: &str, at: &[u8], past: &[u8]) -> Result<(), Cause> {
        let met = self.send(at).await?;
        match met.status() {
            Some(status @ (400 | 413 | 414 | 431)) => {
                self.notes.saw(format!("{part} at the limit: {status}"));
                self.stricter.push(format!("{part} at its limit is refused with {status}"));
            }
            Some(status) if status < 500 || status == 501 => self.notes.saw(format!("{part} at the limit: {status}")),
            Some(status) => return Err(Cause::Unexpected(format!("{part} at the limit is answered with {status}"))),
            None => self.stricter.push(format!("{part} at its limit: {}", met.summary())),
        }
        let met = self.send(past).await?;
        let found = refused(part, &met, &[414, 431, 413, 400])?;
        self.notes.either(found);
        Ok(())
    }

    async fn target(&mut self, promised: &InputSize) -> Result<(), Cause> {
        let (limit, header) = (bytes(promised.uri.bytes()), bytes(promised.header.bytes()));
        if limit + self.plain_head().length() + 1 > header {
            self.notes.saw("a target at its limit does not fit into a head at its limit: not tried apart");
            return Ok(());
        }
        let head = self.plain_head();
        self.border("a target", &head.clone().target_of(limit).bytes(), &head.target_of(limit + 1).bytes()).await
    }

    async fn head(&mut self, promised: &InputSize) -> Result<(), Cause> {
        let limit = bytes(promised.header.bytes());
        let fields = usize::from(promised.fields);
        // Whether the empty line at the end belongs to a head is read in two ways. At the limit it is counted, past
        // the limit it is not, so that either reading is fair.
        let at = self.plain_head().padded_to(limit, fields);
        let past = self.plain_head().padded_to(limit + 1 + EMPTY_LINE_BYTES, fields);
        self.border("a head", &at.bytes(), &past.bytes()).await
    }

    async fn fields(&mut self, promised: &InputSize) -> Result<(), Cause> {
        let limit = usize::from(promised.fields);
        let past = self.plain_head().with_fields(limit + 1);
        if past.length() > bytes(promised.header.bytes()) {
            self.notes.saw("so many fields do not fit into a head at its limit: not tried apart");
            return Ok(());
        }
        self.border("a number of fields", &self.plain_head().with_fields(limit).bytes(), &past.bytes()).await
    }

    async fn body(&mut self, promised: &InputSize) -> Result<(), Cause> {
        let limit = bytes(promised.body.bytes());
        let whole = limit <= if self.site.target().is_loopback() { WHOLE_BODY_MAX } else { WHOLE_BODY_REMOTE_MAX };
        let post = Head::new("POST", "/", &self.site.target().authority(), self.site.user_agent());
        let small = self.send(&post.clone().with_body(16)).await?;
        let usual = small.status().ok_or_else(|| Cause::Unexpected(format!("a small POST: {}", small.summary())))?;
        if matches!(usual, 400 | 413) || (usual >= 500 && usual != 501) {
            return Err(Cause::Unexpected(format!("a small POST is answered with {usual}")));
        }
        self.notes.saw(format!("a body of 16 bytes: {usual}"));
        let closed_door = matches!(usual, 405 | 501);
        if whole {
            let met = self.send(&post.clone().with_body(limit)).await?;
            match met.status() {
                Some(413 | 400) => self.stricter.push(format!("a body at its limit is refused: {}", met.summary())),
                Some(status) => self.notes.saw(format!("a body at the limit: {status}")),
                None => self.stricter.push(format!("a body at its limit: {}", met.summary())),
            }
        } else {
            self.notes.saw("a body at the limit is too large to send for a probe; only one past it is announced");
        }
        let past = if whole { post.clone().with_body(limit + 1) } else { post.clone().announcing(limit + 1) };
        let met = self.send(&past).await?;
        if closed_door && met.status() == Some(usual) {
            // Whoever takes no body shows no limit: saying `kept` of it would be a guess.
            let cause =
                format!("POST to / is answered with {usual} whatever its size, so the limit of bodies cannot be seen");
            return Err(Cause::Denied(cause));
        } else {
            let found = refused("a body", &met, &[413])?;
            self.notes.either(found);
        }
        if whole {
            let met = self.send(&post.with_chunked_body(limit + 1)).await?;
            self.chunked(&met, usual)?;
        }
        Ok(())
    }

    /// A body without a stated length is only found too large while it is read. An application that refuses the
    /// request without reading it has also not taken it.
    fn chunked(&mut self, met: &Transcript, usual: u16) -> Result<(), Cause> {
        match met.status() {
            Some(status) if status == usual && status >= 400 => {
                self.notes.saw(format!("a chunked body past the limit: {status}, as for any other body"));
            }
            _ => {
                let found = refused("a chunked body", met, &[413])?;
                self.notes.either(found);
            }
        }
        Ok(())
    }
}

/// Whether what is past the limit was refused: by one of these statuses, or by closing the connection.
fn refused(part: &str, met: &Transcript, statuses: &[u16]) -> Result<Result<String, String>, Cause> {
    match (met.status(), met.end) {
        (Some(status), _) if statuses.contains(&status) => Ok(Ok(format!("{part} one past the limit: {status}"))),
        (Some(status), _) => Ok(Err(format!("{part} one past the limit is answered with {status}"))),
        (None, End::Closed | End::Reset) => Ok(Ok(format!("{part} one past the limit: {}", met.summary()))),
        (None, End::Open) if met.bytes.starts_with(b"HTTP/1.1 100") => {
            Ok(Err(format!("{part} one past the limit is asked for (100 Continue)")))
        }
        (None, End::Open) => Err(Cause::Unreachable(format!("no answer to {part} one past the limit"))),
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX - 1024)
}

const EMPTY_LINE_BYTES: usize = 2;

/// The largest body that is sent whole, here and elsewhere.
const WHOLE_BODY_MAX: usize = 8 << 20;
const WHOLE_BODY_REMOTE_MAX: usize = 1 << 20;

impl Probe for InputMethods {
    fn plan(&self, _target: &Target) -> Sends {
        let methods: Vec<&str> = unlisted(self).collect();
        let count = u32::try_from(methods.len()).unwrap_or(u32::MAX);
        Sends::requests(
            count.saturating_add(2),
            format!("one request each with {}, those that write to an invented path, and a GET", methods.join(", ")),
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let mut refused = Vec::new();
            let invented = site.invented_path()?;
            for method in unlisted(self) {
                let authority = site.target().authority();
                let target = match method {
                    "CONNECT" => "reeve-probe.invalid:443",
                    // On a site that serves the method after all, nothing must come of trying it.
                    "POST" | "PUT" | "PATCH" | "DELETE" => &invented,
                    _ => "/",
                };
                let head = Head::new(method, target, &authority, site.user_agent());
                let met = site.elsewhere()?.send_raw(&head.bytes(), Until::Answers(1)).await?;
                match (met.status(), met.end) {
                    (Some(status @ (405 | 501)), _) => notes.saw(format!("{method}: {status}")),
                    (Some(400), _) if method == "CONNECT" => notes.saw("CONNECT: 400"),
                    (None, End::Closed | End::Reset) => notes.saw(format!("{method}: {}", met.summary())),
                    (Some(status), _) => notes.fault(format!("{method} is answered with {status}")),
                    (None, End::Open) => return Err(Cause::Unreachable(format!("no answer to {method}"))),
                }
                refused.push(method);
            }
            site.serves(notes).await?;
            Ok(Kept::with(twin, format!("{} are refused, GET passes", refused.join(", "))))
        })
    }
}

/// TRACE and CONNECT, which no application serves, one that nobody has heard of, and those that are not listed.
fn unlisted(control: &InputMethods) -> impl Iterator<Item = &'static str> {
    let standard = Method::ALL.iter().filter(|method| !control.methods.contains(method)).map(|method| method.as_str());
    ["TRACE", "CONNECT", "REEVE"].into_iter().chain(standard)
}
