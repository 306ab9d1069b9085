//! `reeve witness`: watches over other hosts' logs, and cosigns what continues what it has seen.

mod serve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use reeve_base::{Clock, SystemClock, SystemEntropy};
use reeve_ledger::proof::VerifierKey;
use reeve_ledger::witness::Witness;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::{GOOD, Screen, paint};
pub(crate) use serve::{Diary, Server};

/// Watch over the ledgers of other hosts
///
/// Whoever rules a ledger's host can write another history and sign it. A witness on a host that they do not rule
/// remembers how far each ledger had come, and cosigns only what continues that (c2sp.org/tlog-witness). It keeps its
/// memory, and a key of its own that is made at the first start, in the folder of --state: guard it, and never bring an
/// old copy of it back. What it cosigned and refused is written to standard output, one JSON object a line. Ctrl-C or
/// SIGTERM ends it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WitnessArgs {
    /// What the witness is called in its cosignatures: best a host name and a path, different from every other
    /// witness's
    #[arg(long, value_name = "NAME")]
    name: String,

    /// The folder of its key and its memory, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,

    /// The verifier key of a ledger to watch, as `reeve ledger status` shows it; can be given more than once
    #[arg(long = "log", value_name = "KEY", required = true)]
    logs: Vec<VerifierKey>,

    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7300")]
    listen: SocketAddr,

    /// A certificate chain in PEM, to listen with TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,

    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  reeve witness --name witness.example --state witness --log 'app.example/ledger+1a2b3c4d+AQ...'
  reeve witness --name witness.example --state witness --log KEY --certificate c.pem --key k.pem";

pub(crate) fn run(args: &WitnessArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let witness = Arc::new(Witness::open(&args.state, &args.name, &args.logs, &SystemEntropy)?);
    let tls = match (&args.certificate, &args.key) {
        (Some(chain), Some(key)) => Some(acceptor(chain, key)?),
        _ => None,
    };
    let clock = Arc::new(SystemClock::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let listener =
            TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen));
        let listener = listener.hint("choose another address with --listen")?;
        let address = listener.local_addr().context("cannot listen")?;
        greet(&witness, address, tls.is_some(), &*clock, screen)?;
        let server = Server::new(witness, clock, tls, Diary::Stdout);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        server
            .until(listener, async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            })
            .await;
        screen.talk("stopped");
        Ok(ExitCode::Holds)
    })
}

fn greet(witness: &Witness, address: SocketAddr, tls: bool, clock: &dyn Clock, screen: &Screen) -> anyhow::Result<()> {
    let key = witness.verifier_key().to_string();
    let scheme = if tls { "https" } else { "http" };
    let line = serde_json::json!({
        "time": clock.now().to_string(),
        "outcome": "started",
        "address": format!("{scheme}://{address}"),
        "key": key,
    });
    screen.data(line)?;
    screen.talk(format_args!("{} {scheme}://{address}", paint(GOOD, "serving")));
    screen.talk(format_args!("its key, for the ledgers and for everyone who verifies: {key}"));
    Ok(())
}

/// A listener's TLS, from files in PEM.
pub(crate) fn acceptor(chain: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let name = chain.display();
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect)
            .map_err(|error| anyhow::anyhow!("`{name}` holds no certificate in PEM: {error}"))?;
    if certificates.is_empty() {
        bail!("`{name}` holds no certificate in PEM");
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::anyhow!("`{}` holds no private key in PEM: {error}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .with_context(|| format!("`{name}` and `{}` cannot be used together", key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
