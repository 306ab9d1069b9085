//! A policy whose text had no error.

use jiff::civil::Date;
use reeve_base::{ClauseId, ControlName, Period, Source, Span};

use crate::catalogue::{Control, Planned};

/// The promises of a company, checked. Made only by [`crate::check`].
#[derive(Debug, Clone)]
pub struct Policy {
    /// The text it was read from.
    pub source: Source,
    /// What the document is called.
    pub title: String,
    /// Whose promises they are.
    pub company: String,
    /// Its version, as the company counts.
    pub version: String,
    /// The mail address of whoever answers for it.
    pub owner: String,
    /// How it is kept current.
    pub review: Review,
    /// The sections, in the order they were written.
    pub sections: Vec<Section>,
    /// The clauses, in the order they were written.
    pub clauses: Vec<Clause>,
    /// Accepted breaches.
    pub exceptions: Vec<Exception>,
    /// Clauses declared not to apply.
    pub not_applicable: Vec<NotApplicable>,
}

/// How often the policy is looked at again, and by how many.
#[derive(Debug, Clone)]
pub struct Review {
    /// How often.
    pub every: Period,
    /// When it was last done.
    pub last: Date,
    /// How many people must agree to a change.
    pub approvers: u8,
}

/// A heading that clauses stand under.
#[derive(Debug, Clone)]
pub struct Section {
    /// The key that clauses use.
    pub key: String,
    /// The heading.
    pub title: String,
}

/// One promise.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Its key.
    pub id: ClauseId,
    /// The section it stands in.
    pub section: String,
    /// The sentence as it is published, with the parameters' values in it.
    pub sentence: String,
    /// What keeps it.
    pub hold: Hold,
    /// How much a breach weighs.
    pub severity: ClauseSeverity,
    /// Who answers for it.
    pub owner: String,
    /// Where its table begins in the source.
    pub span: Span,
}

/// What keeps a promise.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "a new way to keep a promise must be judged everywhere")]
pub enum Hold {
    /// A control that this build enforces or proves.
    Typed(Control),
    /// A control that is named and not built yet.
    Planned(Undetermined),
    /// A document that somebody issued.
    Attested(Attestation),
}

/// A planned control with its parameters as written: nothing but their form has been checked.
#[derive(Debug, Clone)]
pub struct Undetermined {
    /// The control.
    pub control: Planned,
    /// Name, English and written form of each parameter.
    pub parameters: Vec<(String, String, String)>,
}

/// What an attestation clause asks for.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// The kind of document: `soc2-type2`.
    pub kind: String,
    /// Whom or what it is about.
    pub subject: String,
    /// The oldest it may be.
    pub max_age: Period,
    /// How long before its end people are warned.
    pub warn: Vec<Period>,
    /// Further parameters: name, English and written form.
    pub parameters: Vec<(String, String, String)>,
}

/// How much a breach weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "clocks and colours hang on each")]
pub enum ClauseSeverity {
    /// A blemish.
    Low,
    /// To be mended in the ordinary course.
    Medium,
    /// To be mended now.
    High,
    /// People are called.
    Critical,
}

/// A breach that was accepted by name and for a time.
#[derive(Debug, Clone)]
pub struct Exception {
    /// The clause.
    pub clause: ClauseId,
    /// Why.
    pub reason: String,
    /// Who accepted it.
    pub approved_by: Vec<String>,
    /// The last day on which it counts.
    pub expires: Date,
}

/// A clause that was declared not to apply.
#[derive(Debug, Clone)]
pub struct NotApplicable {
    /// The clause.
    pub clause: ClauseId,
    /// Why.
    pub reason: String,
    /// Who agreed.
    pub approved_by: Vec<String>,
    /// When that was last confirmed; it counts for a year.
    pub reviewed: Date,
}

impl Policy {
    /// The typed controls of all clauses, in the order of the clauses.
    pub fn controls(&self) -> impl Iterator<Item = &Control> {
        self.clauses.iter().filter_map(|clause| match &clause.hold {
            Hold::Typed(control) => Some(control),
            Hold::Planned(_) | Hold::Attested(_) => None,
        })
    }

    /// The clause with this id.
    #[must_use]
    pub fn clause(&self, id: &ClauseId) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == *id)
    }

    /// The exception that covers this clause on that day.
    #[must_use]
    pub fn exception(&self, id: &ClauseId, today: Date) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.clause == *id && today <= exception.expires)
    }

    /// The declaration that this clause does not apply, if it still counts on that day.
    #[must_use]
    pub fn inapplicable(&self, id: &ClauseId, today: Date) -> Option<&NotApplicable> {
        self.not_applicable.iter().find(|declared| {
            let end = declared.reviewed.saturating_add(jiff::Span::new().years(1));
            declared.clause == *id && today <= end
        })
    }
}

impl Hold {
    /// What a table shows in the column of controls.
    #[must_use]
    pub fn name(&self) -> ControlName {
        match self {
            Self::Typed(control) => control.name(),
            Self::Planned(undetermined) => ControlName::new(undetermined.control.name),
            Self::Attested(attestation) => ControlName::new(format!("attest:{}", attestation.kind)),
        }
    }

    /// The parameters in canonical form, one to a line: what a verdict is bound to.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Typed(control) => control.canonical(),
            Self::Planned(undetermined) => canonical(undetermined.control.name, &undetermined.parameters),
            Self::Attested(attestation) => canonical(&attestation.kind, &attestation.parameters),
        }
    }
}

fn canonical(name: &str, parameters: &[(String, String, String)]) -> String {
    let lines = parameters.iter().map(|(key, _, written)| format!("{key} = {written}\n"));
    format!("{name}\n{}", lines.collect::<String>())
}
