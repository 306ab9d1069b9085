//! `reeve waf suggest`: proposes the narrowest exclusions for requests that were refused and are no attacks, and shows
//! what each would let by.

mod bench;
mod effect;
mod narrow;
mod place;
mod proposal;
mod recorded;
mod show;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use reeve_base::{Clock, Period, SystemClock};
use reeve_policy::catalogue::Controls;

use crate::cli::ConfigArgs;
use crate::deployment::Deployment;
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::input;
use crate::screen::Screen;

use bench::Bench;
use narrow::Narrowed;
use proposal::{Proposal, Unproposed};

/// Propose exclusions for requests that were refused and are no attacks
///
/// From what the ledger has recorded, or from a request in a file, comes one `[[waf.exclude]]` for each route and
/// variable, ready for reeve.toml, with the rules that spoke there and no others. Beside it stands what it would let by:
/// attacks of each family, sent at that route and in that variable through the rules of this deployment, in this process,
/// with the exclusion and without it.
///
/// Whether a request was an attack is for you to say: what is proposed for an attack lets it in.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SuggestArgs {
    /// Events that were no attacks: their ids, as events and error pages show them, or their numbers in the ledger
    #[arg(value_name = "EVENT")]
    events: Vec<String>,

    /// Every request that was refused, or would have been, in this time
    #[arg(long, value_name = "PERIOD", conflicts_with = "events")]
    since: Option<Period>,

    /// Events as lines of JSON, as the access log has them, instead of the ledger; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// The request itself, as it goes over the wire with HTTP/1.1: it is tried until it passes, with as little left out
    /// as it takes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["events", "since", "from"])]
    request: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf suggest --since 7d                      what was refused in a week
  reeve waf suggest 01JF3M2Q7W8Z9X0Y1V2U3T4S5R      one event
  reeve waf suggest --request refused.http          the request itself, which says more than its event
  reeve waf suggest --from access.log --json

Exit codes:
  0  exclusions are proposed; of a request it is seen that it passes with them
  1  there is nothing to propose, or the request is refused all the same
  2  the rules or the events could not be read";

/// What is answered.
struct Answer {
    proposals: Vec<(Proposal, effect::Effect)>,
    unproposed: Vec<Unproposed>,
    /// Of a request, what became of it.
    narrowed: Option<Narrowed>,
    /// How many events there were.
    events: usize,
}

/// Runs the verb.
pub(crate) fn run(args: &SuggestArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let clock = SystemClock::new();
    let deployment = Deployment::read(&args.config.config, &clock)?;
    let controls = Controls::of(&deployment.policy);
    let Some(control) = &controls.waf_attack_set else {
        return Err(anyhow::anyhow!("the policy has no clause with `waf.attack_set`: no rules run here"))
            .hint("docs/guide/waf.md says what such a clause is like");
    };
    let waf = deployment.waf();
    let engine = waf.engine(control).context("the rules cannot be loaded")?;
    let bench = Bench::new(engine, &waf.exclude, clock.now());
    let (proposals, unproposed, narrowed, events) = match &args.request {
        Some(path) => {
            let raw = whole(input::read(path)?.bytes);
            let narrowed =
                narrow::narrow(&bench, &raw).map_err(|cause| anyhow::anyhow!("{}: {cause}", path.display()))?;
            (narrowed.proposals.clone(), narrowed.unproposed.clone(), Some(narrowed), 0)
        }
        None => {
            let recorded = recorded::read(args, clock.now())?;
            let (proposals, unproposed) = proposal::propose(&bench, &recorded);
            (proposals, unproposed, None, recorded.len())
        }
    };
    if proposals.len() > PROPOSALS_MAX {
        bail!("more than {PROPOSALS_MAX} exclusions would be proposed: name events, or a shorter time");
    }
    let proposals = proposals.into_iter().map(|proposal| {
        let effect = effect::of(&bench, &proposal);
        (proposal, effect)
    });
    let answer = Answer { proposals: proposals.collect(), unproposed, narrowed, events };
    if args.json {
        show::json(&answer, screen)?;
    } else {
        show::text(&answer, &bench, screen)?;
    }
    let passes = answer.narrowed.as_ref().is_none_or(|narrowed| narrowed.passes);
    Ok(if !answer.proposals.is_empty() && passes { ExitCode::Holds } else { ExitCode::FoundWanting })
}

/// A request that was written down by hand has no length: its body is what follows its head. The line end that an editor
/// puts behind the last line is none of the body.
fn whole(raw: Vec<u8>) -> Vec<u8> {
    let find = |mark: &[u8]| memchr::memmem::find(&raw, mark).map(|at| (at, mark.len()));
    let Some((end, mark)) = [find(b"\r\n\r\n"), find(b"\n\n")].into_iter().flatten().min() else { return raw };
    let (Some(head), Some(body)) = (raw.get(..end), raw.get(end + mark..)) else { return raw };
    let lower = head.to_ascii_lowercase();
    let says = |name: &[u8]| memchr::memmem::find(&lower, name).is_some();
    if says(b"\ncontent-length:") || says(b"\ntransfer-encoding:") || body.is_empty() {
        return raw;
    }
    let body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
    [head, format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// More nobody reads.
const PROPOSALS_MAX: usize = 100;

#[cfg(test)]
mod tests;
