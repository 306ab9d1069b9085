//! Rules, to be read by people: what each says of itself, what it looks at and what for.

use std::collections::HashMap;

use crate::rule::{Disruption, Item, Link, Operator, Part, Phase, Place, Role, Selector, Severity, Target, Test, Text};
use crate::seclang::{self, Fault, Source};

/// Rules by their ids.
#[derive(Debug, Default)]
pub struct Book {
    rules: HashMap<u32, Described>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// Its id.
    pub id: u32,
    /// Where it stands.
    pub place: Place,
    /// When it runs.
    pub phase: Phase,
    /// What it says of itself, with places to be filled in as they are written; empty if nothing.
    pub message: String,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it refuses by itself, and does not only add to a score.
    pub refuses: bool,
    /// At least one; more in a chain, all of which must match.
    pub links: Vec<Looks>,
}

/// What one link of a rule looks at, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looks {
    /// Where it stands.
    pub place: Place,
    /// Variables as rules write them; those that are left out begin with `!`.
    pub at: Vec<String>,
    /// What is done to a value first, in turn.
    pub after: Vec<&'static str>,
    /// In words, to follow the value: `matches the pattern`, `is at least 5`. Empty where nothing is tested.
    pub what: String,
    /// The pattern, as the rule writes it, where it has one.
    pub pattern: Option<String>,
}

impl Book {
    /// Reads rule files, in order, as if they were one.
    ///
    /// # Errors
    ///
    /// Every fault of them.
    pub fn read(files: &[&str], source: &dyn Source) -> Result<Self, Vec<Fault>> {
        let book = seclang::read(files, source)?;
        let rules = book.items.iter().filter_map(|item| match item {
            Item::Marker(_) => None,
            Item::Chain(chain) => Some((
                chain.id,
                Described {
                    id: chain.id,
                    place: chain.place.clone(),
                    phase: chain.phase,
                    message: chain.about.message.as_ref().map(written).unwrap_or_default(),
                    severity: chain.about.severity,
                    tags: chain.about.tags.iter().map(written).collect(),
                    refuses: matches!(chain.disruption, Disruption::Deny | Disruption::Drop | Disruption::Redirect(_)),
                    links: chain.links.iter().map(looks).collect(),
                },
            )),
        });
        Ok(Self { rules: rules.collect() })
    }

    /// The rule of an id.
    #[must_use]
    pub fn rule(&self, id: u32) -> Option<&Described> {
        self.rules.get(&id)
    }
}

fn looks(link: &Link) -> Looks {
    let place = link.place.clone();
    let Some(test) = &link.test else {
        return Looks { place, at: Vec::new(), after: Vec::new(), what: String::new(), pattern: None };
    };
    let (what, pattern) = said(test);
    let after = test.transformations.iter().map(|how| how.name()).collect();
    Looks { place, at: test.targets.iter().map(target).collect(), after, what, pattern }
}

fn target(target: &Target) -> String {
    let sign = match target.role {
        Role::Member => "",
        Role::Count => "&",
        Role::Except => "!",
    };
    let name = target.variable.name();
    match &target.selector {
        Selector::All => format!("{sign}{name}"),
        Selector::Key(key) => format!("{sign}{name}:{}", String::from_utf8_lossy(key)),
        Selector::Pattern(pattern) => format!("{sign}{name}:/{pattern}/"),
    }
}

/// What a test is, in words, and its pattern.
fn said(test: &Test) -> (String, Option<String>) {
    let (verb, rest) = words(&test.operator);
    let what = if test.negated { negated(verb, &rest) } else { [verb, &rest].concat() };
    let pattern = match &test.operator {
        Operator::Rx(text) => Some(written(text)),
        Operator::VerifyCreditCard(pattern) => Some(pattern.clone()),
        _ => None,
    };
    (what, pattern)
}

/// A verb of the third person, and what follows it.
fn words(operator: &Operator) -> (&'static str, String) {
    let named = |before: &str, text: &Text| format!(" {before}`{}`", written(text));
    let number = |before: &str, text: &Text| format!(" {before}{}", written(text));
    match operator {
        Operator::Rx(_) => ("matches", String::from(" the pattern")),
        Operator::Phrases(phrases) if phrases.len() == 1 => ("holds", String::from(" the rule's phrase")),
        Operator::Phrases(phrases) => ("holds", format!(" one of {} phrases", phrases.len())),
        Operator::Equal(text) => ("is", number("", text)),
        Operator::GreaterOrEqual(text) => ("is", number("at least ", text)),
        Operator::Greater(text) => ("is", number("more than ", text)),
        Operator::LessOrEqual(text) => ("is", number("at most ", text)),
        Operator::Less(text) => ("is", number("less than ", text)),
        Operator::Is(text) => ("is", named("", text)),
        Operator::Contains(text) => ("holds", named("", text)),
        Operator::ContainsWord(text) => ("holds", named("the word ", text)),
        Operator::BeginsWith(text) => ("begins", named("with ", text)),
        Operator::EndsWith(text) => ("ends", named("with ", text)),
        Operator::Within(text) => ("is", named("part of ", text)),
        Operator::IpMatch(networks) => ("is", format!(" an address of {} networks", networks.len())),
        Operator::DetectSqli => ("reads", String::from(" as SQL that leaves its place")),
        Operator::DetectXss => ("reads", String::from(" as HTML that runs script")),
        Operator::ValidateByteRange(_) => ("holds", String::from(" a byte that is not allowed")),
        Operator::ValidateUrlEncoding => ("holds", String::from(" a percent sign without two digits")),
        Operator::ValidateUtf8Encoding => ("holds", String::from(" what is no UTF-8")),
        Operator::VerifyCreditCard(_) => ("holds", String::from(" the number of a card")),
        Operator::Always => ("is", String::from(" there")),
        Operator::Never => ("is", String::from(" never found")),
        #[cfg(feature = "faults")]
        Operator::Fault => ("breaks", String::new()),
    }
}

fn negated(verb: &str, rest: &str) -> String {
    match verb {
        "is" => format!("is not{rest}"),
        "matches" => format!("does not match{rest}"),
        other => format!("does not {}{rest}", other.trim_end_matches('s')),
    }
}

/// A text as the rule writes it.
fn written(text: &Text) -> String {
    let parts = text.0.iter().map(|part| match part {
        Part::Plain(plain) => String::from_utf8_lossy(plain).into_owned(),
        Part::Value(variable, Some(key)) => {
            format!("%{{{}.{}}}", variable.name().to_ascii_lowercase(), String::from_utf8_lossy(key))
        }
        Part::Value(variable, None) => format!("%{{{}}}", variable.name().to_ascii_lowercase()),
        Part::OfRule(_) => String::from("%{rule}"),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceError;

    struct One(&'static str);

    impl Source for One {
        fn read(&self, _: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
            Ok(self.0.into())
        }

        fn list(&self, name: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
            Ok(vec![name.into()])
        }
    }

    #[test]
    fn a_rule_is_told_in_words() {
        let text = r#"
SecRule ARGS|!ARGS:/^x/|REQUEST_HEADERS:User-Agent "!@rx ^a$" "id:7,phase:2,deny,t:none,t:lowercase,msg:'Found %{TX.0}',severity:'CRITICAL',tag:'attack-sqli',chain"
    SecRule &ARGS "@gt %{tx.max}" "t:none""#;
        let book = Book::read(&["a.conf"], &One(text)).unwrap();
        let rule = book.rule(7).unwrap();
        assert_eq!(
            (rule.message.as_str(), rule.severity, rule.place.line),
            ("Found %{tx.0}", Some(Severity::Critical), 2)
        );
        assert_eq!((rule.tags.as_slice(), rule.refuses), (&[String::from("attack-sqli")][..], true));
        let links: Vec<_> =
            rule.links.iter().map(|link| (link.at.join(" "), link.after.join(" "), link.what.as_str())).collect();
        assert_eq!(
            links,
            [
                (
                    String::from("ARGS !ARGS:/^x/ REQUEST_HEADERS:user-agent"),
                    String::from("lowercase"),
                    "does not match the pattern"
                ),
                (String::from("&ARGS"), String::new(), "is more than %{tx.max}"),
            ]
        );
        assert_eq!(rule.links[0].pattern.as_deref(), Some("^a$"));
        assert!(book.rule(8).is_none());
    }
}
