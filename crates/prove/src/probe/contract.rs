//! input.schema, input.type, input.format: whether requests are held to the application's OpenAPI document.
//!
//! The probe reads the document by itself and makes up a well-formed request for each operation that it may ask for, and
//! malformed twins. The first must reach the application, the others must be refused and never reach it. Whether one did
//! is told by the application, if it keeps a journal (an operation with `x-reeve-journal: true`), else by the ledger.

mod reading;

use std::collections::BTreeSet;

use reeve_base::Cause;
use reeve_policy::catalogue::{InputFormat, InputSchema, InputType};

use self::reading::{Canary, Operation, Reading, Request};
use super::trail::text;
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::Until;
use crate::wire::hypertext::Ask;

impl Probe for InputSchema {
    fn plan(&self, _: &Target) -> Sends {
        sends("unknown parameters, fields and paths, missing fields and stray bodies")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let held = Held::read(site).await?;
            let mut canaries = |operation: &Operation<'_>| {
                let mut all = held.reading.wrong_types(operation);
                all.truncate(1);
                all.extend(held.reading.wrong_shapes(operation));
                all
            };
            let (twin, refused) = held.try_each(&mut canaries, notes).await?;
            if self.documented_only {
                let canary = held.reading.undocumented(&site.invented_path()?);
                held.refuses("the document", &canary, notes).await?;
            }
            Ok(Kept::with(
                twin,
                format!("{refused} malformed requests are refused and reach nobody, well-formed ones pass"),
            ))
        })
    }
}

impl Probe for InputType {
    fn plan(&self, _: &Target) -> Sends {
        sends("values of other types than the document says")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let held = Held::read(site).await?;
            let (twin, refused) = held.try_each(&mut |operation| held.reading.wrong_types(operation), notes).await?;
            Ok(Kept::with(
                twin,
                format!("{refused} values of wrong types are refused and reach nobody, right ones pass"),
            ))
        })
    }
}

impl Probe for InputFormat {
    fn plan(&self, _: &Target) -> Sends {
        sends("texts of other formats than the document says")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let held = Held::read(site).await?;
            let (twin, refused) = held.try_each(&mut |operation| held.reading.wrong_formats(operation), notes).await?;
            Ok(Kept::with(
                twin,
                format!("{refused} texts of wrong formats are refused and reach nobody, right ones pass"),
            ))
        })
    }
}

fn sends(what: &str) -> Sends {
    Sends::requests(
        u32::try_from(2 * OPERATIONS_MAX + 2 * CANARIES_MAX).unwrap_or(u32::MAX),
        format!(
            "to operations that only read, and those marked `x-reeve-probe`: a well-formed request each, and {what}"
        ),
    )
}

/// What is held to its document.
struct Held<'s> {
    site: &'s Site,
    reading: Reading,
    /// The path before a mark, where the application tells what it got.
    journal: Option<String>,
}

impl<'s> Held<'s> {
    async fn read(site: &'s Site) -> Result<Self, Cause> {
        let upstreams = site.status().await?.upstreams;
        let documents: BTreeSet<_> =
            upstreams.into_iter().filter_map(|upstream| Some((upstream.document?, upstream.base))).collect();
        let mut documents = documents.into_iter();
        let (document, base) = documents.next().ok_or_else(|| {
            Cause::Unexpected(String::from(
                "no OpenAPI document is set: name one by `openapi = \"api.yaml\"` in `[upstream]`",
            ))
        })?;
        // Half of the applications tried is half a proof.
        if documents.next().is_some() {
            let cause = "several applications have documents, and this probe can try only one";
            return Err(Cause::Unexpected(String::from(cause)));
        }
        let unreadable = |error: &dyn std::fmt::Display| Cause::Denied(format!("`{}`: {error}", document.display()));
        let text = std::fs::read_to_string(&document).map_err(|error| unreadable(&error))?;
        let reading = Reading::new(&text, &base.unwrap_or_default()).map_err(|error| unreadable(&error))?;
        let journal = reading.journal();
        Ok(Self { site, reading, journal })
    }

    /// Sends the twin of each operation and then its canaries. How many were refused.
    async fn try_each(
        &self,
        canaries: &mut (dyn FnMut(&Operation<'_>) -> Vec<Canary> + Send),
        notes: &mut Notes,
    ) -> Result<(Twin, usize), Cause> {
        let (mut passed, mut sent) = (None, 0);
        for operation in self.reading.operations().iter().take(OPERATIONS_MAX) {
            let chosen: Vec<Canary> = canaries(operation).into_iter().take(CANARIES_EACH_MAX).collect();
            if chosen.is_empty() || sent >= CANARIES_MAX {
                continue;
            }
            match self.passes(operation, notes).await? {
                Some(twin) => passed = Some(twin),
                None => continue,
            }
            for canary in &chosen {
                self.refuses(&operation.name, canary, notes).await?;
                sent += 1;
            }
        }
        let none = || {
            Cause::Unexpected(String::from(
                "no operation of the document could be tried: mark one that a probe may ask for with `x-reeve-probe: true`",
            ))
        };
        passed.map(|twin| (twin, sent)).ok_or_else(none)
    }

    /// Whether the well-formed request passes. One that the application answers with an error of its own is no twin.
    async fn passes(&self, operation: &Operation<'_>, notes: &mut Notes) -> Result<Option<Twin>, Cause> {
        let (status, mark, _) = self.send(&operation.twin).await?;
        let name = &operation.name;
        if !matches!(status, 200..=399 | 401 | 403) {
            notes.saw(format!("{name}: a well-formed request is answered with {status}: not tried further"));
            return Ok(None);
        }
        if self.journal.is_some() && !self.reached(&mark).await? {
            return Err(Cause::Unexpected(format!(
                "{name} is answered with {status}, and the journal does not know of it"
            )));
        }
        Ok(Some(Twin::seen(notes, format!("{name}, well-formed: {status}"))))
    }

    async fn refuses(&self, name: &str, canary: &Canary, notes: &mut Notes) -> Result<(), Cause> {
        let (what, request) = canary;
        let (status, mark, page) = self.send(request).await?;
        let reached = match &self.journal {
            Some(_) => self.reached(&mark).await?,
            None => !self.refused_by_gateway(&page).await?,
        };
        notes.either(match (status, reached) {
            (400..=499, false) => Ok(format!("{name}, {what}: {status}, and it reached nobody")),
            (_, true) => Err(format!("{name}, {what}: answered with {status}, and it reached the application")),
            (_, false) => Err(format!("{name}, {what}: answered with {status}")),
        });
        Ok(())
    }

    /// Status, mark and page.
    async fn send(&self, request: &Request) -> Result<(u16, String, String), Cause> {
        let mark: String = self.site.random::<12>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        // From elsewhere: a probe that is refused often enough is banned, and this is not what is tried here.
        let site = self.site.elsewhere()?;
        let bytes = request.bytes(&site.target().authority(), site.user_agent(), &mark);
        let met = site.send_raw(&bytes, Until::Answers(1)).await?;
        let status =
            met.status().ok_or_else(|| Cause::Unreachable(format!("{}: {}", request.method, met.summary())))?;
        Ok((status, mark, String::from_utf8_lossy(&met.bytes).into_owned()))
    }

    /// Whether the application says that it got the request with this mark.
    async fn reached(&self, mark: &str) -> Result<bool, Cause> {
        let Some(journal) = &self.journal else { return Ok(false) };
        let answer = self.site.ask(&Ask::get(format!("{journal}{mark}"))).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            status => Err(Cause::Unexpected(format!("the application's journal answers with {status}"))),
        }
    }

    /// Whether the ledger has it that the request with this page was refused for what was in it.
    async fn refused_by_gateway(&self, page: &str) -> Result<bool, Cause> {
        let id = page.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>")).map(|(id, _)| id);
        let Some(id) = id else { return Ok(false) };
        let found = self.site.find("id", id).await?;
        let refused = |event| text(event, "outcome") == "refused" && text(event, "control").starts_with("input.");
        Ok(found.iter().any(|found| refused(&found.event)))
    }
}

/// Operations that are tried.
const OPERATIONS_MAX: usize = 20;
/// Malformed requests, all together and to one operation.
const CANARIES_MAX: usize = 40;
const CANARIES_EACH_MAX: usize = 5;
