use std::io::{Read, Write};
use std::net::TcpListener as StdListener;
use std::thread::JoinHandle;

use reeve_base::{Secret, SystemClock, SystemEntropy};
use reeve_ledger::proof::{
    Checkpoint, Edge, Hash, ProofError, SignedCheckpoint, Signer, TileId, TileSource, leaf_hash,
};
use reeve_ledger::witness::{Failure, Witness, Witnesses};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::command::witness::{Diary, Server, acceptor};

const PATIENCE: Duration = Duration::from_secs(10);

fn signer() -> Signer {
    Signer::from_seed("log.example", &Secret::new([1; 32])).unwrap()
}

/// A log of less entries than one tile holds.
struct Log(Vec<Hash>);

impl Log {
    fn of(size: u8) -> Self {
        Self((0..size).map(|number| leaf_hash(&[number])).collect())
    }

    fn checkpoint(&self) -> SignedCheckpoint {
        let mut edge = Edge::new();
        self.0.iter().for_each(|leaf| drop(edge.push(*leaf)));
        let origin = String::from("log.example");
        let checkpoint = Checkpoint { origin, size: edge.size(), root: edge.root(), extensions: vec![] };
        SignedCheckpoint::sign(checkpoint, &signer()).unwrap()
    }
}

impl TileSource for Log {
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError> {
        assert_eq!((level, index), (0, 0), "{}", TileId { level, index, width });
        Ok(self.0.iter().take(width.into()).copied().collect())
    }
}

/// A witness that serves until it is dropped.
struct Serving {
    port: u16,
    key: VerifierKey,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(folder: &Path, port: u16, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let logs = [signer().verifier_key().clone()];
        let witness = Witness::open(folder, "w.example", &logs, &SystemEntropy).unwrap();
        let key = witness.verifier_key().clone();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::new(Arc::new(witness), Arc::new(SystemClock::new()), tls, Diary::Silent);
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::spawn(move || runtime.block_on(server.until(listener, async { drop(stopped.await) })));
        Self { port, key, stop: Some(stop), thread: Some(thread) }
    }

    fn url(&self, scheme: &str) -> Url {
        format!("{scheme}://localhost:{}/", self.port).parse().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn ask(witness: HttpWitness) -> Witnesses {
    Witnesses::new(vec![Arc::new(witness)])
}

#[track_caller]
fn cosigned(witnesses: &mut Witnesses, size: u8) {
    let log = Log::of(size);
    let round = witnesses.cosign(&log.checkpoint(), &log, PATIENCE);
    assert_eq!((round.cosignatures.len(), &round.failures[..]), (1, &[][..]), "at {size}");
}

#[test]
fn a_witness_is_asked_over_one_connection_and_found_again_after_its_restart() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), 0, None);
    let (port, key) = (serving.port, serving.key.clone());
    let mut witnesses = ask(HttpWitness::new(key.clone(), &serving.url("http"), None).unwrap());
    cosigned(&mut witnesses, 3);
    cosigned(&mut witnesses, 3);
    cosigned(&mut witnesses, 200);
    drop(serving);

    let log = Log::of(201);
    let away = witnesses.cosign(&log.checkpoint(), &log, PATIENCE);
    assert!(
        matches!(&away.failures[..], [Failure::Missing { cause, .. }] if cause.contains("cannot connect")),
        "{away:?}"
    );

    let serving = Serving::start(folder.path(), port, None);
    assert_eq!(serving.key, key, "a restart keeps the key");
    cosigned(&mut witnesses, 201);
    let old = Log::of(150);
    let restored = witnesses.cosign(&old.checkpoint(), &old, PATIENCE);
    assert!(matches!(&restored.failures[..], [Failure::RolledBack { known: 201, size: 150, .. }]), "{restored:?}");
}

#[test]
fn over_tls_only_a_certificate_of_the_named_authority_is_a_witness() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let issued = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
    let chain = file("chain.pem", issued.cert.pem());
    let key = file("key.pem", issued.signing_key.serialize_pem());
    let foreign = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
    let foreign = file("foreign.pem", foreign.cert.pem());

    let serving = Serving::start(&folder.path().join("state"), 0, Some(acceptor(&chain, &key).unwrap()));
    let url = serving.url("https");
    cosigned(&mut ask(HttpWitness::new(serving.key.clone(), &url, Some(&chain)).unwrap()), 9);

    for authorities in [Some(foreign.as_path()), None] {
        let mut witnesses = ask(HttpWitness::new(serving.key.clone(), &url, authorities).unwrap());
        let log = Log::of(10);
        let round = witnesses.cosign(&log.checkpoint(), &log, PATIENCE);
        assert!(
            matches!(&round.failures[..], [Failure::Missing { cause, .. }] if cause.contains("certificate")),
            "{round:?}"
        );
    }
    assert!(acceptor(&key, &key).is_err() && acceptor(&chain, &chain).is_err() && acceptor(&foreign, &key).is_err());
    let empty = file("empty.pem", String::new());
    assert!(HttpWitness::new(serving.key.clone(), &url, Some(&empty)).is_err());
}

/// What comes of a peer that answers every request with `answer`, or with nothing at all.
#[track_caller]
fn unanswered(answer: Option<Vec<u8>>, patience: Duration) -> String {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        match answer {
            // Either may fail when the other end has seen enough.
            Some(answer) => drop(stream.write_all(&answer)),
            None => drop(stream.read(&mut request)),
        }
    });
    let key = signer().verifier_key().clone();
    let refused = HttpWitness::new(key, &url, None).unwrap().add_checkpoint("old 0\n", patience).unwrap_err();
    peer.join().unwrap();
    refused.to_string()
}

#[test]
fn a_peer_that_is_silent_endless_or_no_witness_is_given_up() {
    let silent = unanswered(None, Duration::from_millis(200));
    assert_eq!(silent, "no answer within 200ms");
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend(vec![b'x'; 1 << 20]);
    assert!(unanswered(Some(endless), PATIENCE).contains("length limit exceeded"));
    assert!(unanswered(Some(b"220 mail.example ESMTP\r\n".to_vec()), PATIENCE).contains("broke off"));
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    let key = signer().verifier_key().clone();
    for (url, cause) in [("ftp://w.example/", "https://"), ("unix:/run/w", "no host"), ("data:,", "no host")] {
        let refused = HttpWitness::new(key.clone(), &url.parse().unwrap(), None).err().unwrap().to_string();
        assert!(refused.contains(cause), "{url}: {refused}");
    }
    let missing = HttpWitness::new(key, &"https://w.example/".parse().unwrap(), Some(Path::new("/nowhere.pem")));
    assert!(missing.err().unwrap().to_string().contains("`/nowhere.pem`"));
}
