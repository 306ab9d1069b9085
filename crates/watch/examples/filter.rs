//! Runs a filter over a file: `filter KIND FILE` prints who failed, a line each, with the number of the line and of
//! attempts; `filter --time KIND FILE` prints how many lines a second it read, file and all, on one thread.
#![expect(clippy::print_stdout, reason = "it is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use reeve_watch::{Filter, Host, Kind, Tail};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let timed = arguments.first().is_some_and(|first| first == "--time");
    if timed {
        arguments.remove(0);
    }
    let [kind, file] = arguments.as_slice() else { return Err("usage: filter [--time] KIND FILE".into()) };
    let kind = Kind::from_name(kind).ok_or("no such kind")?;
    let mut filter = Filter::new(kind);
    let place = reeve_watch::Place { device: 0, inode: 0, offset: 0, head: Vec::new() };
    // A place of another file: the reading begins at the beginning.
    let mut tail = Tail::new(PathBuf::from(file), Some(place));
    let (mut lines, mut failures, started) = (0_u64, 0_u64, Instant::now());
    while tail.look(1 << 30, &mut |line| {
        lines += 1;
        let Some(failure) = filter.read(line) else { return };
        failures += 1;
        if !timed {
            let host = match failure.host {
                Host::Address(address) => address.to_string(),
                Host::Name(name) => name.into(),
            };
            println!("{lines} {host} {}", failure.attempts);
        }
    })? {}
    if timed {
        let seconds = started.elapsed().as_secs_f64();
        println!("{lines} lines, {failures} failures, {seconds:.3} s, {:.0} lines/s", lines as f64 / seconds);
    }
    Ok(())
}
