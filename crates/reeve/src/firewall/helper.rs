//! The helper's side: reads orders, has `nft` carry them out, and cleans up at the end.

use std::io::{BufRead, Read, Write};
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use super::{Done, Order, nft};

/// Carries out orders until there are no more.
///
/// # Errors
/// When the gateway's end of the pipes breaks.
pub(crate) fn run() -> anyhow::Result<()> {
    // A signal that is meant for the gateway reaches the whole group; the helper's sign is the end of its input.
    let ignored = ignore_signals();
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let outcome = ignored.and_then(|()| serve(input, &mut output));
    if matches!(outcome, Ok(Table::Left)) {
        return Ok(());
    }
    let farewell = nft(&nft::farewell());
    outcome.map(drop).and(farewell)
}

/// Whose the table is at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Ours,
    Left,
}

fn serve(mut input: impl BufRead, output: &mut impl Write) -> anyhow::Result<Table> {
    let (mut line, mut table) = (String::new(), Table::Ours);
    while (&mut input).take(LINE_BYTES_MAX).read_line(&mut line)? > 0 {
        let done = match serde_json::from_str::<Order>(&line).context("not an order") {
            Ok(Order { leave: true, .. }) => {
                table = Table::Left;
                Ok(())
            }
            order => order.and_then(|order| nft(&nft::commands(&order))),
        };
        let done = Done { error: done.err().map(|error| format!("{error:#}")) };
        let mut answer = serde_json::to_vec(&done)?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
        line.clear();
    }
    Ok(table)
}

fn ignore_signals() -> anyhow::Result<()> {
    // A group of its own: Ctrl-C goes to the gateway's.
    rustix::process::setsid()
        .map(drop)
        .or_else(|error| if error == rustix::io::Errno::PERM { Ok(()) } else { Err(error) })?;
    Ok(())
}

/// Has the commands carried out: all of them, or none.
fn nft(commands: &Value) -> anyhow::Result<()> {
    let mut child = Command::new("nft")
        .args(["-j", "-f", "-"])
        .env_clear()
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `nft`; is the package nftables installed?")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(commands)?).context("`nft` takes no commands")?;
    }
    let done = child.wait_with_output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim().to_owned();
    anyhow::bail!("`nft` refuses: {said}")
}

/// Two thousand networks with their times, and as much again.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
