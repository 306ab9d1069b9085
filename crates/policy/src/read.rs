//! From text to a [`Policy`]: every fault of the text in one run.

use jiff::civil::Date;
use reeve_base::diagnostic::nearest;
use reeve_base::document::{self, Faults, Fields, FromValue, Kind, Mismatch, Table, Value};
use reeve_base::{ClauseId, Diagnostic, Period, Severity, Source, Span, limit};

use crate::catalogue::{self, Control, english_list};
use crate::contradiction;
use crate::model::{
    Attestation, Clause, ClauseSeverity, Exception, Hold, NotApplicable, Policy, Review, Section, Undetermined,
};
use crate::sentence::{self, Filling};

/// The outcome of a check: the faults, and the policy if none of them is an error.
#[derive(Debug)]
pub struct Checked {
    /// The text that the faults point into.
    pub source: Source,
    /// All faults, in the order of the text; of very many, the first [`limit::DIAGNOSTICS_MAX`].
    pub faults: Vec<Diagnostic>,
    /// How many faults were left out of the list.
    pub faults_omitted: usize,
    /// The policy, if there is no error.
    pub policy: Option<Policy>,
}

/// Reads a policy called `name`. `today` decides which exceptions have run out.
#[must_use]
pub fn check(name: &str, bytes: &[u8], today: Date) -> Checked {
    let document = match document::parse(name, bytes) {
        Ok(document) => document,
        Err((source, faults)) => return finish(source, faults, None),
    };
    let mut faults = Faults::default();
    let policy = read_policy(&document.source, &document.root, today, &mut faults);
    let policy = if faults.any_error() { None } else { policy };
    finish(document.source, faults.into_sorted(), policy)
}

fn finish(source: Source, mut faults: Vec<Diagnostic>, policy: Option<Policy>) -> Checked {
    let faults_omitted = faults.len().saturating_sub(limit::DIAGNOSTICS_MAX);
    faults.truncate(limit::DIAGNOSTICS_MAX);
    Checked { source, faults, faults_omitted, policy }
}

/// The one format there is.
pub(crate) const SCHEMA: &str = "reeve.policy/1";

fn read_policy(source: &Source, root: &Table, today: Date, faults: &mut Faults) -> Option<Policy> {
    let mut top = Fields::new(root, "the policy file", faults);
    read_schema(&mut top);
    let meta = top.table("policy");
    let sections = top.table("section");
    let clauses = top.table("clause");
    let exceptions = top.value("exception");
    let not_applicable = top.value("not_applicable");
    top.finish();

    if meta.is_none() {
        faults.push(Diagnostic::error("policy::no-head", "the file has no `[policy]` table").help(HEAD_HELP));
    }
    let head = meta.and_then(|table| read_head(table, faults));
    let sections = sections.map(|table| read_sections(table, faults)).unwrap_or_default();
    let owner = head.as_ref().map(|head| head.owner.clone()).unwrap_or_default();
    let clauses = clauses.map(|table| read_clauses(table, &sections, &owner, source, faults)).unwrap_or_default();
    let place = Place { today, clauses: &clauses, author: &owner };
    let exceptions = read_exceptions(exceptions, &place, faults);
    let not_applicable = read_not_applicable(not_applicable, &place, faults);
    warn_unused_sections(root, &sections, &clauses, faults);
    let clauses: Vec<Clause> = clauses.into_iter().filter_map(|named| named.clause).collect();
    contradiction::find(&clauses, faults);
    let head = head?;
    Some(Policy {
        source: source.clone(),
        title: head.title,
        company: head.company,
        version: head.version,
        owner: head.owner,
        review: head.review,
        sections,
        clauses,
        exceptions,
        not_applicable,
    })
}

const HEAD_HELP: &str = "begin with `[policy]` and title, company, version, owner and review; `reeve init` writes one";

fn read_schema(top: &mut Fields<'_, '_>) {
    let Some(schema) = top.required::<String>("schema") else { return };
    if schema == SCHEMA {
        return;
    }
    let span = top.value("schema").map(|value| value.span.clone()).unwrap_or_default();
    let fault = Diagnostic::error("policy::schema", format!("`{schema}` is no format that this version reads"));
    top.faults().push(fault.at(span, "unknown format").help(format!("write `schema = \"{SCHEMA}\"`")));
}

struct Head {
    title: String,
    company: String,
    version: String,
    owner: String,
    review: Review,
}

fn read_head(table: &Table, faults: &mut Faults) -> Option<Head> {
    let mut fields = Fields::new(table, "`[policy]`", faults);
    let title = fields.required::<String>("title");
    let company = fields.required::<String>("company");
    let version = fields.required::<String>("version");
    let owner = fields.required::<catalogue::Mail>("owner");
    let review = fields.table("review");
    let review_missing = review.is_none() && table.entry("review").is_none();
    fields.finish();
    if review_missing {
        let fault = Diagnostic::error("document::missing-key", "`[policy]` has no `review`");
        faults.push(
            fault
                .at(table.span.clone(), "`review` is missing")
                .help("add `review = { every = \"12 months\", last = 2026-11-01, approvers = 2 }`"),
        );
    }
    let review = review.and_then(|table| {
        let mut fields = Fields::new(table, "`review`", faults);
        let review = Review {
            every: fields.required("every")?,
            last: fields.required("last")?,
            approvers: fields.required("approvers")?,
        };
        fields.finish();
        Some(review)
    });
    Some(Head {
        title: title?,
        company: company?,
        version: version?,
        owner: owner?.as_str().to_owned(),
        review: review?,
    })
}

fn read_sections(table: &Table, faults: &mut Faults) -> Vec<Section> {
    let mut sections = Vec::new();
    for entry in &table.entries {
        let Kind::Table(inner) = &entry.value.kind else {
            faults.push(Mismatch::kind(&entry.value, "a table", &entry.value.kind).diagnostic(&entry.key));
            continue;
        };
        let mut fields = Fields::new(inner, format!("section `{}`", entry.key), faults);
        let title = fields.required("title");
        fields.finish();
        sections.push(Section { key: entry.key.clone(), title: title.unwrap_or_default() });
    }
    sections
}

fn warn_unused_sections(root: &Table, sections: &[Section], clauses: &[Named], faults: &mut Faults) {
    // A clause that could not be read, or names a section by a wrong key, may be what belongs there.
    if faults.any_error() {
        return;
    }
    let Some(Kind::Table(table)) = root.entry("section").map(|entry| &entry.value.kind) else { return };
    for section in sections {
        let used = clauses.iter().any(|named| named.section.as_deref() == Some(section.key.as_str()));
        let entry = table.entry(&section.key);
        if let (false, Some(entry)) = (used, entry) {
            let fault =
                Diagnostic::warning("policy::empty-section", format!("no clause stands in section `{}`", section.key));
            faults.push(fault.at(entry.key_span.clone(), "empty").help("remove it, or put a clause into it"));
        }
    }
}

/// A clause's key, known even where the clause itself has faults: so that one fault does not raise another.
struct Named {
    id: ClauseId,
    section: Option<String>,
    clause: Option<Clause>,
}

fn read_clauses(table: &Table, sections: &[Section], owner: &str, source: &Source, faults: &mut Faults) -> Vec<Named> {
    if table.entries.len() > limit::CLAUSES_MAX {
        let message = format!("{} clauses; at most {} are read", table.entries.len(), limit::CLAUSES_MAX);
        faults.push(Diagnostic::error("policy::too-many-clauses", message).help("split the policy"));
        return Vec::new();
    }
    let mut clauses = Vec::new();
    for entry in &table.entries {
        let id = ClauseId::new(entry.key.clone());
        let Kind::Table(inner) = &entry.value.kind else {
            faults.push(Mismatch::kind(&entry.value, "a table", &entry.value.kind).diagnostic(&entry.key));
            continue;
        };
        // `[clause.0.30]` is two keys to TOML; say so instead of complaining of everything that it lacks.
        if entry.key.bytes().all(|byte| byte.is_ascii_digit())
            && inner.entries.iter().all(|one| matches!(one.value.kind, Kind::Table(_)))
        {
            let inner_key = inner.entries.first().map_or("…", |one| one.key.as_str());
            let fault =
                Diagnostic::error("policy::unquoted-id", format!("`{}.{inner_key}` is read as two keys", entry.key));
            faults.push(
                fault
                    .at(entry.key_span.clone(), "an id with a dot needs quotes")
                    .help(format!("write `[clause.\"{}.{inner_key}\"]`", entry.key)),
            );
            continue;
        }
        let key_span = entry.key_span.clone();
        let (section, clause) = read_clause(&id, key_span, inner, sections, owner, source, faults);
        clauses.push(Named { id, section, clause });
    }
    clauses
}

fn read_clause(
    id: &ClauseId,
    span: Span,
    table: &Table,
    sections: &[Section],
    policy_owner: &str,
    source: &Source,
    faults: &mut Faults,
) -> (Option<String>, Option<Clause>) {
    let mut fields = Fields::new(table, format!("clause `{id}`"), faults);
    let section = fields.required::<String>("section");
    let text = fields.required::<String>("text");
    let text_value = fields.value("text");
    let severity = fields.required::<ClauseSeverity>("severity");
    let owner = fields.optional::<catalogue::Mail>("owner");
    let names = fields.optional::<Vec<String>>("names").unwrap_or_default();
    let control = fields.optional::<String>("control");
    let control_value = fields.value("control");
    let with = fields.table("with");
    let attest = fields.table("attest");
    fields.finish();

    if let Some(section) = &section
        && !sections.iter().any(|known| known.key == *section)
    {
        faults.push(unknown_section(section, sections, table));
    }
    let hold = match (control, attest) {
        (Some(name), None) => control_value.and_then(|value| read_control(&name, value, with, table, faults)),
        (None, Some(attest)) => read_attestation(attest, faults),
        (Some(_), Some(_)) => {
            let fault =
                Diagnostic::error("policy::two-holds", format!("clause `{id}` has both `control` and `attest`"));
            faults.push(fault.at(span.clone(), "only one can decide the verdict").help("keep the one that proves it"));
            None
        }
        (None, None) if table.entry("control").is_none() && table.entry("attest").is_none() => {
            let fault = Diagnostic::error("policy::no-hold", format!("nothing keeps clause `{id}`"));
            faults.push(fault.at(span.clone(), "no `control` and no `attest`").help(
                "add `control = \"…\"` (`reeve explain` lists them) or `attest = { type = …, subject = …, max_age = … }`",
            ));
            None
        }
        (None, None) => None,
    };
    if let (None, Some(text), Some(value)) = (&hold, &text, text_value) {
        // The parameters are not known, but a number that comes from none of them is one in any case.
        let place = TextPlace::find(text, value, source);
        place.point(sentence::number_faults(text, &names, place.start)).for_each(|fault| faults.push(fault));
    }
    let clause = (|| {
        let (hold, text, value) = (hold?, text?, text_value?);
        let sentence = read_sentence(&text, value, &hold, &names, source, faults)?;
        let owner = owner.map_or_else(|| policy_owner.to_owned(), |mail| mail.as_str().to_owned());
        Some(Clause { id: id.clone(), section: section.clone()?, sentence, hold, severity: severity?, owner, span })
    })();
    (section, clause)
}

fn unknown_section(section: &str, sections: &[Section], table: &Table) -> Diagnostic {
    let span = table.entry("section").map(|entry| entry.value.span.clone()).unwrap_or_default();
    let known = || sections.iter().map(|section| section.key.as_str());
    let help = nearest(section, known()).map_or_else(
        || format!("add `[section.{section}]` with a title, or use one of: {}", known().collect::<Vec<_>>().join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    Diagnostic::error("policy::unknown-section", format!("there is no section `{section}`"))
        .at(span, "unknown section")
        .help(help)
}

fn read_control(name: &str, value: &Value, with: Option<&Table>, clause: &Table, faults: &mut Faults) -> Option<Hold> {
    let empty = Table { span: clause.span.clone(), entries: Vec::new() };
    let mut fields = Fields::new(with.unwrap_or(&empty), format!("control `{name}`"), faults);
    if let Some(control) = Control::read(name, &mut fields) {
        fields.finish();
        contradiction::sense(&control, &value.span, with, faults);
        return Some(Hold::Typed(control));
    }
    drop(fields);
    if let Some(control) = catalogue::planned(name) {
        let parameters = with.map(loose_parameters).unwrap_or_default();
        return Some(Hold::Planned(Undetermined { control, parameters }));
    }
    let help = nearest(name, catalogue::names())
        .map_or_else(|| String::from("`reeve explain` lists all controls"), |meant| format!("did you mean `{meant}`?"));
    let fault = Diagnostic::error("policy::unknown-control", format!("there is no control `{name}`"));
    faults.push(fault.at(value.span.clone(), "unknown control").help(help));
    None
}

fn read_attestation(table: &Table, faults: &mut Faults) -> Option<Hold> {
    // Keys beside these are the document's own and kept as written, so this table is not closed.
    let mut fields = Fields::new(table, "`attest`", faults);
    let kind = fields.required("type");
    let subject = fields.required("subject");
    let max_age = fields.required("max_age");
    let warn = fields.optional::<Vec<Period>>("warn").unwrap_or_default();
    Some(Hold::Attested(Attestation {
        kind: kind?,
        subject: subject?,
        max_age: max_age?,
        warn,
        parameters: loose_parameters(table),
    }))
}

/// The parameters of something not built yet: name, English and written form.
fn loose_parameters(table: &Table) -> Vec<(String, String, String)> {
    table
        .entries
        .iter()
        .map(|entry| (entry.key.clone(), loose_english(&entry.value), loose_written(&entry.value)))
        .collect()
}

fn loose_english(value: &Value) -> String {
    match &value.kind {
        Kind::Text(text) => text.parse::<Period>().map_or_else(|_| text.clone(), Period::english),
        Kind::List(items) => english_list(&items.iter().map(loose_english).collect::<Vec<_>>()),
        Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Date(_) | Kind::Datetime(_) | Kind::Table(_) => {
            loose_written(value)
        }
    }
}

fn loose_written(value: &Value) -> String {
    match &value.kind {
        Kind::Text(text) => format!("{text:?}"),
        Kind::Integer(number) => number.to_string(),
        Kind::Float(number) => number.to_string(),
        Kind::Boolean(truth) => truth.to_string(),
        Kind::Date(date) => date.to_string(),
        Kind::Datetime(text) => text.clone(),
        Kind::List(items) => format!("[{}]", items.iter().map(loose_written).collect::<Vec<_>>().join(", ")),
        Kind::Table(table) => {
            let inner = table.entries.iter().map(|entry| format!("{} = {}", entry.key, loose_written(&entry.value)));
            format!("{{ {} }}", inner.collect::<Vec<_>>().join(", "))
        }
    }
}

fn read_sentence(
    template: &str,
    value: &Value,
    hold: &Hold,
    names: &[String],
    source: &Source,
    faults: &mut Faults,
) -> Option<String> {
    if template.len() > limit::CLAUSE_TEXT_BYTES_MAX || template.trim().is_empty() {
        let message =
            format!("the text has {} bytes; write from 1 to {}", template.len(), limit::CLAUSE_TEXT_BYTES_MAX);
        faults.push(Diagnostic::error("policy::text-length", message).at(value.span.clone(), "this text"));
        return None;
    }
    let fillings: Vec<Filling> = match hold {
        Hold::Typed(control) => control
            .parameters()
            .into_iter()
            .map(|one| Filling { name: one.name.to_owned(), english: one.english })
            .collect(),
        Hold::Planned(Undetermined { parameters, .. }) | Hold::Attested(Attestation { parameters, .. }) => parameters
            .iter()
            .map(|(name, english, _)| Filling { name: name.clone(), english: english.clone() })
            .collect(),
    };
    let place = TextPlace::find(template, value, source);
    match sentence::fill(template, &fillings, names, place.start) {
        Ok(sentence) => Some(sentence),
        Err(found) => {
            place.point(found).for_each(|fault| faults.push(fault));
            None
        }
    }
}

/// Where a clause's text stands in the source, so that faults can point into it.
struct TextPlace {
    /// The offset of its first byte.
    start: usize,
    /// The whole value, where the source spells the text with escapes and no offset inside it means anything.
    whole: Option<Span>,
}

impl TextPlace {
    fn find(text: &str, value: &Value, source: &Source) -> Self {
        let written = source.text.get(value.span.clone()).unwrap_or_default();
        match written.find(text) {
            Some(at) => Self { start: value.span.start + at, whole: None },
            None => Self { start: 0, whole: Some(value.span.clone()) },
        }
    }

    /// Makes faults point where they can.
    fn point(&self, faults: Vec<Diagnostic>) -> impl Iterator<Item = Diagnostic> {
        let whole = self.whole.clone();
        faults.into_iter().map(move |mut fault| {
            if let Some(whole) = &whole {
                fault.labels.iter_mut().for_each(|label| label.span = whole.clone());
            }
            fault
        })
    }
}

impl FromValue for ClauseSeverity {
    const EXPECTED: &'static str = "\"low\", \"medium\", \"high\" or \"critical\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match String::from_value(value)?.as_str() {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            other => Err(Mismatch::content(value, Self::EXPECTED, format!("`{other}` is no severity"))),
        }
    }
}

/// What the readers of exceptions need to know of the rest.
struct Place<'p> {
    today: Date,
    clauses: &'p [Named],
    /// Whoever wrote the policy may not also approve its exceptions alone.
    author: &'p str,
}

fn tables<'v>(value: Option<&'v Value>, key: &str, faults: &mut Faults) -> Vec<&'v Table> {
    let Some(value) = value else { return Vec::new() };
    let Kind::List(items) = &value.kind else {
        faults.push(Mismatch::kind(value, &format!("`[[{key}]]` tables"), &value.kind).diagnostic(key));
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Table(table) => found.push(table),
            other => faults.push(Mismatch::kind(item, "a table", other).diagnostic(key)),
        }
    }
    found
}

fn read_exceptions(value: Option<&Value>, place: &Place<'_>, faults: &mut Faults) -> Vec<Exception> {
    let mut exceptions = Vec::new();
    for table in tables(value, "exception", faults) {
        let mut fields = Fields::new(table, "the exception", faults);
        let clause = fields.required::<String>("clause").map(ClauseId::new);
        let reason = fields.required::<String>("reason");
        let approved_by = read_approvers(&mut fields);
        let expires = fields.required::<Date>("expires");
        fields.finish();
        known_clause(clause.as_ref(), table, place, faults);
        approved_by_others(approved_by.as_deref(), table, place, faults);
        reason_given(reason.as_deref(), table, faults);
        if let Some(expires) = expires {
            expiry_in_bounds(expires, table, place.today, faults);
        }
        let (Some(clause), Some(reason), Some(approved_by), Some(expires)) = (clause, reason, approved_by, expires)
        else {
            continue;
        };
        exceptions.push(Exception { clause, reason, approved_by, expires });
    }
    exceptions
}

fn read_not_applicable(value: Option<&Value>, place: &Place<'_>, faults: &mut Faults) -> Vec<NotApplicable> {
    let mut declared = Vec::new();
    for table in tables(value, "not_applicable", faults) {
        let mut fields = Fields::new(table, "the declaration", faults);
        let clause = fields.required::<String>("clause").map(ClauseId::new);
        let reason = fields.required::<String>("reason");
        let approved_by = read_approvers(&mut fields);
        let reviewed = fields.required::<Date>("reviewed");
        fields.finish();
        known_clause(clause.as_ref(), table, place, faults);
        approved_by_others(approved_by.as_deref(), table, place, faults);
        reason_given(reason.as_deref(), table, faults);
        if let (Some(clause), Some(reason), Some(approved_by), Some(reviewed)) = (clause, reason, approved_by, reviewed)
        {
            declared.push(NotApplicable { clause, reason, approved_by, reviewed });
        }
    }
    declared
}

fn read_approvers(fields: &mut Fields<'_, '_>) -> Option<Vec<String>> {
    let approvers = fields.required::<Vec<catalogue::Mail>>("approved_by")?;
    Some(approvers.iter().map(|mail| mail.as_str().to_owned()).collect())
}

fn known_clause(id: Option<&ClauseId>, table: &Table, place: &Place<'_>, faults: &mut Faults) {
    let Some(id) = id else { return };
    if place.clauses.iter().any(|named| named.id == *id) {
        return;
    }
    let span = table.entry("clause").map(|entry| entry.value.span.clone()).unwrap_or_default();
    let fault = Diagnostic::error("policy::unknown-clause", format!("there is no clause `{id}`"));
    let known = place.clauses.iter().map(|named| named.id.as_str());
    let help = nearest(id.as_str(), known).map_or_else(
        || String::from("remove the entry, or name a clause of this file"),
        |meant| format!("did you mean `{meant}`?"),
    );
    faults.push(fault.at(span, "unknown clause").help(help));
}

fn reason_given(reason: Option<&str>, table: &Table, faults: &mut Faults) {
    if reason.is_none_or(|reason| !reason.trim().is_empty()) {
        return;
    }
    let span = table.entry("reason").map(|entry| entry.value.span.clone()).unwrap_or_default();
    let fault = Diagnostic::error("policy::no-reason", "no reason is given");
    faults.push(fault.at(span, "empty").help("say why: whoever reads the proof will ask"));
}

fn approved_by_others(approved_by: Option<&[String]>, table: &Table, place: &Place<'_>, faults: &mut Faults) {
    let Some(approved_by) = approved_by else { return };
    if approved_by.iter().any(|approver| approver != place.author) {
        return;
    }
    let span = table.entry("approved_by").map(|entry| entry.value.span.clone()).unwrap_or_default();
    let fault = Diagnostic::error("policy::self-approved", "nobody but the policy's owner has approved this");
    faults.push(fault.at(span, "needs somebody else").help("add the mail address of a second person who agrees"));
}

fn expiry_in_bounds(expires: Date, table: &Table, today: Date, faults: &mut Faults) {
    let span = table.entry("expires").map(|entry| entry.value.span.clone()).unwrap_or_default();
    let latest = today.saturating_add(jiff::Span::new().days(EXCEPTION_DAYS_MAX));
    if expires > latest {
        let fault = Diagnostic::error("policy::exception-too-long", format!("the exception lasts past {latest}"));
        faults.push(fault.at(span, "too far ahead").help(format!(
            "an exception counts for at most {EXCEPTION_DAYS_MAX} days; renew it when it is still needed"
        )));
    } else if expires < today {
        let fault = Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error("policy::exception-expired", format!("the exception ran out on {expires}"))
        };
        faults.push(
            fault
                .at(span, "in the past")
                .help("remove it, or have it approved again; the clause is judged as if it were not there"),
        );
    }
}

/// The longest an exception may count.
const EXCEPTION_DAYS_MAX: i64 = 90;
