//! `reeve waf explain`: why the firewall refused a request, from its event or from the request itself.

mod find;
mod replay;
mod tell;

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use reeve_base::finding::{Finding, Findings, Hit};
use reeve_edge::{WafError, WafSettings};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::{Book, Described};
use serde::Serialize;

use crate::cli::ConfigArgs;
use crate::deployment::Deployment;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// Explain why the firewall refused a request: what was found, where, by which rule, and what it came to
///
/// EVENT is what the client was told: the event on the refusal's page, or `instance` of its problem details. It is looked
/// for in the ledger, and in the access log where that is a file.
///
/// Values of a client are shown as events hold them: a slice in which letters stand as x and X, digits as 9, and only
/// words of attacks in clear. A request that you bring yourself (`--request`) is run through the rules here and shown as
/// it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The event that the refusal names
    #[arg(value_name = "EVENT", required_unless_present = "request")]
    event: Option<String>,

    /// Run this request through the rules instead: a file with a raw HTTP/1.1 request, or `-`
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    request: Option<PathBuf>,

    /// With `--request`: a folder of rules or a rule file instead of the deployment's; in the order in which they are given
    #[arg(long, value_name = "DIR|FILE", requires = "request")]
    rules: Vec<PathBuf>,

    /// With `--rules`: the paranoia level, from 1 to 4
    #[arg(long, value_name = "N", requires = "rules", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf explain 01M807ENJGATBQ3BM400000001
  reeve waf explain 01M807ENJGATBQ3BM400000001 --json
  reeve waf explain --request request.txt
  printf 'GET /?q=1%27+OR+1%3D1 HTTP/1.1\\nHost: localhost\\n\\n' | reeve waf explain --request -
  reeve waf explain --request request.txt --rules /usr/share/coreruleset --paranoia 2

Exit codes:
  0  it is explained
  2  there is no such event, it is not the firewall's, or the rules cannot be read";

/// What there is to say.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    asked: Asked,
    /// What had added up, and from where on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<i64>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<u32>,
    /// The rules are not those any more that judged it.
    rules_changed: bool,
    rules: Vec<Spoken>,
    /// Rules that matched and are not in the event.
    #[serde(skip_serializing_if = "is_zero")]
    more: u32,
}

/// The request, and what became of it.
#[derive(Debug, Default, Serialize)]
struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// The ledger's entry that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    method: String,
    path: String,
    /// `refused`, `detected` or `allowed`.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What the event says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// A rule that matched.
#[derive(Debug, Serialize)]
struct Spoken {
    rule: u32,
    /// What it added to the score.
    score: i64,
    /// Whether it is the one that refused.
    decided: bool,
    #[serde(flatten)]
    about: Option<About>,
    places: Vec<Place>,
}

/// What the rule says of itself; of a rule that is there no more, nothing.
#[derive(Debug, Serialize)]
struct About {
    file: String,
    line: u32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paranoia: Option<u8>,
    /// What its tags say of the attack.
    family: Vec<String>,
}

/// A place in which it matched.
#[derive(Debug, Serialize)]
struct Place {
    #[serde(flatten)]
    hit: Hit,
    /// What that link of the rule looks for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(args: &ExplainArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (explained, code) = match (&args.request, &args.event) {
        (Some(request), _) => (replay::run(args, request, screen)?, ExitCode::Holds),
        (None, Some(event)) => of_event(args, event, screen)?,
        (None, None) => return Err(anyhow!("an event or a request is needed")),
    };
    if args.json {
        screen.data(serde_json::to_string_pretty(&explained).context("cannot write JSON")?)?;
    } else {
        screen.data(tell::text(&explained, screen.width()))?;
        tell::next(&explained, screen);
    }
    Ok(code)
}

fn of_event(args: &ExplainArgs, event: &str, screen: &Screen) -> anyhow::Result<(Explained, ExitCode)> {
    let deployment = Deployment::read(&args.config.config, &reeve_base::SystemClock::new())?;
    let found = find::event(&args.config.config, &deployment, event)?;
    let Some(findings) = found.findings else {
        return Ok((Explained::without(found.asked), ExitCode::Holds));
    };
    let controls = Controls::of(&deployment.policy);
    let settings = deployment.waf();
    // What the event says, it says without them.
    match Rules::read(&settings, &controls.waf_attack_set.unwrap_or_default()) {
        Ok(rules) => Ok((Explained::of(found.asked, &findings, Some(&rules)), ExitCode::Holds)),
        Err(error) => {
            screen.complain(format_args!("{error}\nwhat follows is what the event says by itself"));
            Ok((Explained::of(found.asked, &findings, None), ExitCode::CouldNotJudge))
        }
    }
}

/// Rules, to be read.
struct Rules {
    book: Book,
    digest: String,
}

impl Rules {
    fn read(settings: &WafSettings, control: &WafAttackSet) -> Result<Self, WafError> {
        let (book, digest) = settings.book(control)?;
        Ok(Self { book, digest })
    }
}

impl Explained {
    /// What no rule refused.
    fn without(asked: Asked) -> Self {
        Self { asked, score: None, threshold: None, decided: None, rules_changed: false, rules: Vec::new(), more: 0 }
    }

    fn of(asked: Asked, findings: &Findings, rules: Option<&Rules>) -> Self {
        let spoken = |found: &Finding| {
            let described = rules.and_then(|rules| rules.book.rule(found.rule));
            Spoken {
                rule: found.rule,
                score: found.score,
                decided: findings.rule == Some(found.rule),
                about: described.map(About::of),
                places: found.hits.iter().map(|hit| Place::of(hit, described)).collect(),
            }
        };
        Self {
            asked,
            score: findings.score,
            threshold: findings.threshold,
            decided: findings.rule,
            rules_changed: rules.is_some_and(|rules| rules.digest != findings.rules),
            rules: findings.found.iter().map(spoken).collect(),
            more: findings.more,
        }
    }
}

impl About {
    fn of(rule: &Described) -> Self {
        let level = rule.tags.iter().find_map(|tag| tag.strip_prefix("paranoia-level/")?.parse().ok());
        let family = rule
            .tags
            .iter()
            .filter_map(|tag| FAMILIES.iter().find_map(|start| tag.strip_prefix(start)).map(str::to_owned));
        let mut named: Vec<String> = Vec::new();
        family.for_each(|family| {
            if !named.contains(&family) {
                named.push(family);
            }
        });
        Self {
            file: rule.place.file.to_string(),
            line: rule.place.line,
            message: rule.message.clone(),
            severity: rule.severity.map(|severity| format!("{severity:?}").to_lowercase()),
            paranoia: level,
            family: named,
        }
    }
}

impl Place {
    fn of(hit: &Hit, rule: Option<&Described>) -> Self {
        let at = usize::try_from(hit.link).unwrap_or(usize::MAX);
        let looks = rule.and_then(|rule| rule.links.get(at));
        Self {
            hit: hit.clone(),
            test: looks.map(|looks| looks.what.clone()).filter(|what| !what.is_empty()),
            pattern: looks.and_then(|looks| looks.pattern.clone()),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Tags that name the attack: those of the Core Rule Set, and of the rules that are built in.
const FAMILIES: [&str; 2] = ["attack-", "family/"];
