//! A deployment as an operator runs it: `init`, `up`, `prove`, `reload`, stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::transcript::{Run, run};

/// A gateway that runs in a folder, told to stop when dropped.
struct Up {
    child: Child,
    folder: tempfile::TempDir,
}

impl Up {
    /// `init`, on free ports, in front of an application that answers everything with a page.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = format!("http://{}", application());
        assert_eq!(run(folder.path(), &["init", "--upstream", &upstream], b"").code, 0);
        edit(&folder.path().join("reeve.toml"), "127.0.0.1:8443", "127.0.0.1:0");
        edit(&folder.path().join("reeve.toml"), "http   = [\"127.0.0.1:8080\"]", "http   = []");
        let mut child = Command::new(env!("CARGO_BIN_EXE_reeve"))
            .arg("up")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Where it listens is the first thing that it says of itself; from then on it accepts connections.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.rsplit_once("https://127.0.0.1:")?.1.parse::<u16>().ok());
        let port = port.unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        // So that `prove` finds it.
        edit(&folder.path().join("reeve.toml"), "127.0.0.1:0", &format!("127.0.0.1:{port}"));
        edit(&folder.path().join("reeve.toml"), "https://localhost:8443", &format!("https://localhost:{port}"));
        Self { child, folder }
    }

    fn run(&self, args: &[&str]) -> Run {
        run(self.folder.path(), args, b"")
    }

    /// The verdict of one clause of the proof.
    fn verdict(&self, clause: &str) -> String {
        let outcome = self.run(&["--quiet", "prove", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let row = report["clauses"].as_array().unwrap().iter().find(|row| row["clause"] == clause).unwrap().clone();
        row["verdict"].as_str().unwrap_or_else(|| row["verdict"]["word"].as_str().unwrap()).to_owned()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    head.push(byte[0]);
                }
                let body = format!("<!doctype html><title>Page</title><p>{}</p>", "A page. ".repeat(20));
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            });
        }
    });
    address
}

#[test]
fn a_changed_policy_takes_effect_on_reload_and_a_broken_one_does_not() {
    let up = Up::start();
    let policy = up.folder.path().join("policy.toml");
    assert_eq!(up.verdict("hsts"), "kept");

    // The proof looks for what is published now; the gateway still does what was published before.
    edit(&policy, "max_age = \"365d\"", "max_age = \"700d\"");
    assert_eq!(up.verdict("hsts"), "broken");
    let reload = up.run(&["reload"]);
    assert_eq!((reload.code, reload.stdout.as_str()), (0, ""), "{}", reload.stderr);
    assert!(reload.stderr.starts_with("reloaded: "), "{}", reload.stderr);
    assert_eq!(up.verdict("hsts"), "kept");

    edit(&policy, "max_age = \"700d\"", "max_age = \"a while\"");
    let reload = up.run(&["reload"]);
    assert_eq!(reload.code, 1);
    assert!(reload.stderr.contains("`max_age`") && reload.stderr.contains("not reloaded"), "{}", reload.stderr);
    edit(&policy, "max_age = \"a while\"", "max_age = \"700d\"");
    assert_eq!(up.verdict("hsts"), "kept", "the gateway goes on with what it had");
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused() {
    let up = Up::start();
    let second = up.run(&["up"]);
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains("a gateway already runs with the data folder"), "{}", second.stderr);
}

#[test]
fn a_reload_without_a_gateway_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"], b"").code, 0);
    let reload = run(folder.path(), &["reload"], b"");
    assert_eq!(reload.code, 2);
    assert!(reload.stderr.contains("no gateway runs") && reload.stderr.contains("hint:"), "{}", reload.stderr);
}

#[test]
fn a_port_in_use_is_underlined_in_the_settings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"], b"").code, 0);
    let address = taken.local_addr().unwrap().to_string();
    edit(&folder.path().join("reeve.toml"), "127.0.0.1:8443", &address);
    edit(&folder.path().join("reeve.toml"), "https://localhost:8443", "https://localhost");
    let up = run(folder.path(), &["up"], b"");
    assert_eq!(up.code, 2);
    assert!(
        up.stderr.contains("settings::listen") && up.stderr.contains(&format!("cannot listen on {address}")),
        "{}",
        up.stderr
    );
}

#[test]
fn a_dry_run_sends_nothing_and_says_what_it_would() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"], b"").code, 0);
    // Nothing listens there: a run that sent anything would find out.
    let dry =
        run(folder.path(), &["prove", "--target", "https://127.0.0.1:1", "--policy", "policy.toml", "--dry-run"], b"");
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(
        dry.stdout.contains("tls.floor") && dry.stderr.contains("nothing was sent"),
        "{}{}",
        dry.stdout,
        dry.stderr
    );
}

#[test]
fn a_target_that_is_down_is_unknown_and_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"], b"").code, 0);
    let prove = run(folder.path(), &["prove", "--target", "https://127.0.0.1:1", "--policy", "policy.toml"], b"");
    assert_eq!(prove.code, 2, "{}{}", prove.stdout, prove.stderr);
    assert!(prove.stdout.contains("kept 0, broken 0, unknown 31 of 31"), "{}", prove.stdout);
}
