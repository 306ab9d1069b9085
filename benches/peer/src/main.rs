//! Our engine beside `zentinel-modsec`, in one run, on the same requests and rules; each in a process of its own, so that
//! memory can be told apart. Run by `benches/waf.sh --peer`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark may fail, and prints")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[path = "../../../crates/waf/benches/engine/requests.rs"]
mod requests;

use reeve_waf::Scratch;
use requests::{BROWSER, Sent, requests};
use zentinel_modsec::ModSecurity;

const ENGINES: [&str; 2] = ["reeve", "zentinel-modsec"];

/// How long each request is repeated; the best of [`ROUNDS`] counts, for what disturbs only ever adds.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder of the Core Rule Set"));
    match arguments.next().as_deref() {
        Some("reeve") => ours(&folder),
        Some(_) => theirs(&folder),
        None => {
            for engine in ENGINES {
                println!("{engine}");
                let own = std::env::current_exe().unwrap();
                assert!(Command::new(own).arg(&folder).arg(engine).status().unwrap().success());
            }
        }
    }
}

fn ours(folder: &Path) {
    let start = Instant::now();
    let engine = requests::engine(folder, true);
    loaded(start);
    for sent in requests() {
        let mut scratch = Some(Scratch::default());
        measure(&sent, || scratch = Some(requests::transact(&engine, &sent, scratch.take().unwrap_or_default())));
    }
    resident("after the requests");
}

fn theirs(folder: &Path) {
    let text = rules(folder);
    let start = Instant::now();
    let engine = ModSecurity::from_string(&text).expect("the rules load");
    loaded(start);
    for sent in requests() {
        measure(&sent, || transact(&engine, &sent));
    }
    resident("after the requests");
}

/// The rules in the order in which we load them. Files that rules name lie beside them.
fn rules(folder: &Path) -> String {
    let rules = folder.join("rules");
    std::env::set_current_dir(&rules).unwrap();
    let mut names: Vec<PathBuf> = std::fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    names.sort();
    names.insert(0, requests::setup(folder));
    let mut text = String::from(BASE);
    for name in names {
        text.push_str(&std::fs::read_to_string(&name).unwrap().replace("%{data_dir}", "."));
        text.push('\n');
    }
    text
}

/// What every engine of the kind is shipped with.
const BASE: &str = "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess Off\n\
SecRule REQUEST_HEADERS:Content-Type \"^application/json\" \
\"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n";

fn transact(engine: &ModSecurity, sent: &Sent) {
    let mut transaction = engine.new_transaction();
    transaction.process_uri(sent.target, sent.method, "HTTP/1.1").unwrap();
    for (name, value) in BROWSER {
        transaction.add_request_header(name, value).unwrap();
    }
    if let Some(kind) = sent.kind {
        transaction.add_request_header("Content-Type", kind).unwrap();
        transaction.add_request_header("Content-Length", &sent.body.len().to_string()).unwrap();
    }
    transaction.process_request_headers().unwrap();
    transaction.append_request_body(&sent.body).unwrap();
    transaction.process_request_body().unwrap();
    transaction.add_response_header("Content-Type", "image/png").unwrap();
    transaction.process_response_headers().unwrap();
    transaction.process_response_body().unwrap();
    transaction.process_logging().unwrap();
    assert!(transaction.intervention().is_none(), "{} is refused", sent.name);
}

fn loaded(start: Instant) {
    println!("  rules loaded in {} ms", start.elapsed().as_millis());
    resident("after the load");
}

/// Prints what one request takes, in microseconds.
fn measure(sent: &Sent, mut once: impl FnMut()) {
    once();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            once();
            count += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    }
    println!("  {:<16} {best:>10.1} us", sent.name);
}

fn resident(when: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u32 = line.trim().trim_end_matches(" kB").parse().unwrap();
    println!("  {} MiB resident {when}", kib / 1024);
}
