//! The figures as lines of text.

use std::fmt::Write;

use super::view::View;

/// Everything, for a pipe or a mail.
pub(super) fn text(view: &View) -> String {
    let mut lines = header(view);
    lines.push(String::new());
    lines.push(String::from("stopped by"));
    lines.extend(stopped(view));
    lines.push(String::new());
    lines.push(format!("{:<44}{:>10}{:>10}{:>10}", "slowest routes", "requests", "p50", "p99"));
    lines.extend(routes(view));
    lines.push(String::new());
    lines.push(format!("banned: {}, which refused {}", view.banned, view.ban_refusals));
    lines.extend(bans(view));
    lines.join("\n")
}

/// What fits above the tables.
pub(super) fn header(view: &View) -> Vec<String> {
    let mut tls = String::new();
    for (kind, count) in &view.handshakes {
        // Writing to a string cannot fail.
        let _ = write!(tls, ", {kind} {count}");
    }
    let behind = view.ledger.durable.saturating_sub(view.ledger.sealed);
    let ledger = match &view.ledger.failing {
        Some(cause) => format!("ledger cannot write: {cause}"),
        None => format!("ledger {} entries, {} queued, {behind} unsealed", view.ledger.durable, view.ledger.queued),
    };
    vec![
        format!(
            "reeve {}, process {}, {} workers, {:.0} % of a core, {} MB, in front of {}",
            view.version,
            view.pid,
            view.workers,
            view.cpu_percent,
            view.memory_bytes / 1_000_000,
            in_front_of(&view.upstreams),
        ),
        format!(
            "{:.1} requests/s, {:.1} refused/s, {:.1} failed/s, p50 {}, p99 {}",
            view.requests_per_second,
            view.refused_per_second,
            view.failed_per_second,
            time(view.p50_us),
            time(view.p99_us),
        ),
        format!(
            "{} connections open, {:.1} new/s, {} over the cap{tls}",
            view.connections_open, view.connections_per_second, view.connections_capped,
        ),
        ledger,
    ]
}

fn in_front_of(upstreams: &[String]) -> String {
    match upstreams {
        [] => String::from("nothing"),
        [one] => one.clone(),
        [one, others @ ..] => format!("{one} and {} more", others.len()),
    }
}

pub(super) fn stopped(view: &View) -> Vec<String> {
    view.stopped.iter().map(|(by, count)| format!("{by:<44}{count:>10}")).collect()
}

pub(super) fn routes(view: &View) -> Vec<String> {
    let shown = view.routes.iter().take(ROUTES_SHOWN);
    shown
        .map(|route| {
            let (p50, p99) = (time(route.p50_us), time(route.p99_us));
            let name: String = route.route.chars().take(ROUTE_WIDTH).collect();
            format!("{name:<44}{:>10}{p50:>10}{p99:>10}", route.requests)
        })
        .collect()
}

pub(super) fn bans(view: &View) -> Vec<String> {
    let line = |ban: &super::view::Ban| {
        let until = ban.until.map_or_else(|| String::from("lifted"), |until| format!("{until:.0}"));
        format!("{:<44}until {until}  {}", ban.network, ban.reason)
    };
    view.bans.iter().map(line).collect()
}

fn time(us: Option<u64>) -> String {
    match us {
        None => String::from("-"),
        Some(us @ 0..1_000) => format!("{us} µs"),
        Some(us @ 1_000..1_000_000) => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        Some(us) => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

const ROUTES_SHOWN: usize = 20;
const ROUTE_WIDTH: usize = 43;
