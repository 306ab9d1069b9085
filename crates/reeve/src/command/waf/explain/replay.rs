//! Runs a request that the reader brings through the rules, in this process.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use reeve_base::{Clock, SystemClock, limit};
use reeve_edge::{WafSettings, found_in_clear};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::trial::{self, Received};
use reeve_waf::{Action, Engine, Facts, Refusal, Scratch};

use super::{Asked, ExplainArgs, Explained, Rules};
use crate::deployment::{self, Deployment};
use crate::failure::Advise;
use crate::input;
use crate::screen::Screen;

pub(super) fn run(args: &ExplainArgs, request: &Path, screen: &Screen) -> anyhow::Result<Explained> {
    let input = input::read(request)?;
    if input.bytes.len() > limit::DOCUMENT_BYTES_MAX {
        bail!("`{}` has more than {} bytes", input.name, limit::DOCUMENT_BYTES_MAX);
    }
    let (raw, completed) = completed(&input.bytes);
    let received = trial::take_apart(&raw).map_err(|error| anyhow!("`{}` is no request: {error}", input.name)).hint(
        "the first line is such as `GET /search?q=x HTTP/1.1`, then fields with a Host, an empty line, and the body",
    )?;
    if completed {
        screen.talk("what follows the empty line is taken for the body: the request has no Content-Length");
    }
    let (settings, control) = ruled(args, screen)?;
    let (rules, engine) = (Rules::read(&settings, &control)?, settings.engine(&control)?);
    let limit = control.body.bytes();
    if received.body.len() as u64 > limit {
        screen.talk(format_args!("the gateway refuses this body unseen (413): it has more than {limit} bytes"));
    }
    Ok(judged(&rules, &engine, &received))
}

/// The rules that are asked for, and what the policy says of them.
fn ruled(args: &ExplainArgs, screen: &Screen) -> anyhow::Result<(WafSettings, WafAttackSet)> {
    if !args.rules.is_empty() {
        let mut control = WafAttackSet::default();
        control.paranoia = args.paranoia.map_or(control.paranoia, u16::from);
        return Ok((deployment::waf_rules(args.rules.clone()), control));
    }
    let deployment = Deployment::read(&args.config.config, &SystemClock::new())
        .context("the rules are those of a deployment")
        .hint("name it with `--config`, or rules with `--rules`")?;
    let control = Controls::of(&deployment.policy).waf_attack_set;
    if control.is_none() {
        screen.talk("the policy does not ask for `waf.attack_set`: the gateway runs no rules");
    }
    Ok((deployment.waf(), control.unwrap_or_default()))
}

/// A request that was written by hand has a body, and seldom says how long it is.
fn completed(raw: &[u8]) -> (Vec<u8>, bool) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"].map(|end| memchr::memmem::find(raw, end).map(|at| (at, end.len())));
    let Some((head, gap)) = ends.into_iter().flatten().min() else { return (raw.to_vec(), false) };
    let (head, body) = (raw.get(..head).unwrap_or_default(), raw.get(head + gap..).unwrap_or_default());
    let says = |name: &[u8]| {
        head.split(|byte| *byte == b'\n')
            .any(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
    };
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    if body.is_empty() || says(b"content-length:") || says(b"transfer-encoding:") {
        return (raw.to_vec(), false);
    }
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    ([head, length.as_bytes(), body].concat(), true)
}

fn judged(rules: &Rules, engine: &Engine, request: &Received) -> Explained {
    let facts = Facts {
        // From outside (RFC 5737): rule sets let the machine itself do what others may not.
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        remote_port: 0,
        server_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        server_port: 443,
        unique_id: "explained",
        seconds: SystemClock::new().now().as_second(),
    };
    let mut transaction = engine.begin(&facts, Scratch::default());
    let fields = request.borrowed();
    let refusal = transaction.request_head(&request.head(&fields)).or_else(|| transaction.request_body(&request.body));
    let text = |bytes: &[u8]| crate::command::ledger::printable(&String::from_utf8_lossy(bytes));
    let asked = Asked {
        method: text(&request.method),
        path: text(&request.target),
        outcome: String::from(if refusal.is_some() { "refused" } else { "allowed" }),
        status: refusal.as_ref().map(status),
        ..Asked::default()
    };
    Explained::of(asked, &found_in_clear(&transaction, &rules.digest), Some(rules))
}

fn status(refusal: &Refusal) -> u16 {
    match refusal.action {
        Action::Deny(status) | Action::Redirect(status, _) => status,
        Action::Drop => 403,
    }
}
