//! `reeve witness`, run as an operator runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reeve_base::Secret;
use reeve_ledger::proof::{Checkpoint, Hash, SignedCheckpoint, Signer, VerifierKey, leaf_hash, node_hash};
use reeve_ledger::witness::AddCheckpoint;
use serde_json::Value;

use crate::transcript::run;

fn signer() -> Signer {
    Signer::from_seed("log.example", &Secret::new([1; 32])).unwrap()
}

/// A witness in a process of its own, and the lines that it writes.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: String,
    key: VerifierKey,
}

impl Running {
    fn start(state: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reeve"))
            .args(["witness", "--quiet", "--name", "w.example/1", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(["--log", &signer().verifier_key().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let started = line(&mut lines);
        let address = started["address"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let key = started["key"].as_str().unwrap().parse().unwrap();
        Self { child, lines, address, key }
    }

    /// Sends these bytes and gives back status and body.
    fn send(&self, request: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // It may refuse before everything is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| (&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn post(&self, body: &str) -> (u16, String, String) {
        let length = body.len();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        self.send(format!("{head}{body}").as_bytes())
    }

    fn get(&self, method: &str, path: &str) -> (u16, String, String) {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n").as_bytes())
    }

    fn line(&mut self) -> Value {
        line(&mut self.lines)
    }

    /// Stops it as a service manager does, and gives its exit code.
    fn stop(mut self) -> Option<i32> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    let checkpoint = Checkpoint { origin: String::from("log.example"), size, root, extensions: vec![] };
    SignedCheckpoint::sign(checkpoint, &signer()).unwrap()
}

#[test]
fn a_witness_cosigns_what_continues_and_refuses_the_rest_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let (one, two) = (leaf_hash(b"one"), leaf_hash(b"two"));
    let first = signed(1, one);
    let second = signed(2, node_hash(&one, &two));
    let forged = signed(2, node_hash(&two, &one));

    let mut witness = Running::start(&state);
    let (status, _, body) = witness.get("GET", "/");
    assert!(status == 200 && body.contains(&witness.key.to_string()), "{body}");
    let (status, _, body) = witness.post(&AddCheckpoint::new(0, vec![], &first).to_string());
    assert_eq!(status, 200, "{body}");
    let mut cosigned = first.clone();
    cosigned.add(reeve_ledger::proof::note::parse_signatures(&body).unwrap().remove(0));
    assert_eq!(cosigned.cosigned_by(&[witness.key.clone()]).unwrap().len(), 1);
    let told = witness.line();
    assert_eq!(
        (&told["outcome"], &told["log"], &told["status"]),
        (&"cosigned".into(), &"log.example".into(), &200.into())
    );

    let key = witness.key.clone();
    assert_eq!(witness.stop(), Some(0), "SIGTERM is a quiet end");

    let mut witness = Running::start(&state);
    assert_eq!(witness.key, key);
    let (status, head, body) = witness.post(&AddCheckpoint::new(0, vec![], &second).to_string());
    assert_eq!((status, body.as_str()), (409, "1\n"));
    assert!(head.contains("content-type: text/x.tlog.size"), "{head}");
    assert_eq!(witness.line()["outcome"], "refused");
    let (status, _, _) = witness.post(&AddCheckpoint::new(1, vec![two], &forged).to_string());
    assert_eq!((status, witness.line()["status"].clone()), (422, 422.into()));
    let (status, _, _) = witness.post(&AddCheckpoint::new(1, vec![two], &second).to_string());
    assert_eq!(status, 200);
    let (status, _, body) = witness.post(&AddCheckpoint::new(2, vec![], &forged).to_string());
    assert_eq!((status, body.as_str()), (409, "2\n"));
}

#[test]
fn nonsense_is_refused_with_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let mut witness = Running::start(folder.path());
    assert_eq!(witness.get("GET", "/add-checkpoint").0, 405);
    assert_eq!(witness.get("DELETE", "/").0, 405);
    assert_eq!(witness.get("GET", "/etc/passwd").0, 404);
    assert_eq!(witness.get("HEAD", "/").0, 200);
    assert_eq!(witness.post("nonsense").0, 400);
    assert_eq!(witness.line()["status"], 400);
    assert_eq!(witness.post(&"x".repeat(64 * 1024 + 1)).0, 413);
    assert_eq!(witness.post(&"x".repeat(64 * 1024)).0, 400);
    assert_eq!(witness.send(b"\x16\x03\x01 no http\r\n\r\n").0, 400);
    assert_eq!(witness.get("GET", "/").0, 200, "it is still there");
}

#[test]
fn what_cannot_be_a_witness_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let key = signer().verifier_key().to_string();
    let state = folder.path().join("state").display().to_string();
    let check = |args: &[&str], expected: &str| {
        let ended = run(folder.path(), &[&["witness"], args].concat(), b"");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    };
    check(&["--name", "w", "--state", &state, "--log", "nonsense"], "is not a verifier key");
    check(&["--name", "w w", "--state", &state, "--log", &key], "neither spaces nor `+`");
    check(&["--name", "w", "--state", &state, "--log", &key, "--key", "k.pem"], "--certificate");
    let running = Running::start(Path::new(&state));
    check(&["--name", "w.example/1", "--state", &state, "--log", &key], "another witness uses");
    let taken = ["--name", "w", "--state", "other", "--log", &key, "--listen", &running.address];
    check(&taken, "choose another address");
    drop(running);
    check(&["--name", "w.example/2", "--state", &state, "--log", &key], "start with that name");
    std::fs::write(Path::new(&state).join("cosigned.json"), "{}").unwrap();
    check(&["--name", "w.example/1", "--state", &state, "--log", &key], "bring back its newest copy");
}
