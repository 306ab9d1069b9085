//! The gateway of a scratch deployment, started, asked, reloaded and stopped inside the sandbox.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use reeve_base::SystemClock;
use reeve_edge::Gateway;
use reeve_prove::Trust;
use reeve_vault::Vault;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::runtime::Runtime;

use super::inside::row;
use super::trial::{self, Row, Trial, Wanted};
use crate::command::prove;
use crate::deployment::Deployment;
use crate::failure;
use crate::keeping::Keeping;
use crate::screen::Screen;
use crate::upgrade::relay::Relay;

/// A row for each step; after one that fails there is nothing to go on with.
pub(super) fn serve(trial: &Trial, deployment: &Deployment, vault: Arc<Vault>, screen: &Screen) -> Vec<Row> {
    let clock = Arc::new(SystemClock::new());
    let explained = |error: anyhow::Error| io::Error::other(failure::explain(&error, screen.width()));
    let mut rows = Vec::new();
    let mut step = |what, outcome| rows.push(row(what, Wanted::Done, outcome));
    let started = start(deployment, vault, &clock);
    let (runtime, keeping, gateway, writer) = match started {
        Ok(started) => started,
        Err(error) => {
            step(START, Err(explained(error)));
            return rows;
        }
    };
    step(START, Ok(format!("listens on {:?}", gateway.https())));
    step("have every thread inside", threads());
    step("serve a request over TLS", ask(deployment, &gateway));
    let again = Deployment::read(&trial.config, &*clock).and_then(|read| {
        let settings = runtime.block_on(read.edge(&keeping));
        read.reload(&gateway, &keeping, &settings)
    });
    let same = |reload: reeve_edge::Reload| match reload.after_restart.as_slice() {
        [] => Ok(String::from("nothing changed")),
        changed => Err(io::Error::other(format!("took these for changed: {}", changed.join(", ")))),
    };
    step("reload settings, policy and certificate", again.map_err(explained).and_then(same));
    step("serve a request after the reload", ask(deployment, &gateway));
    step("stop the gateway", gateway.stop().map(|()| String::from("stopped")));
    if let Some(writer) = writer {
        // Its only fault would be a panic, which leaves lines missing below.
        let _ = writer.join();
    }
    let lines = std::fs::read_to_string(trial::access_log(&trial.config)).map(|text| text.lines().count());
    let both = |count| match count {
        2.. => Ok(format!("{count} lines")),
        _ => Err(io::Error::other(format!("{count} lines instead of two"))),
    };
    step("write the access log", lines.and_then(both));
    let closed = runtime.block_on(Arc::new(keeping).close());
    step("seal the ledger and close the store", closed.map(|()| String::from("closed")).map_err(explained));
    rows
}

type Started = (Runtime, Keeping, Gateway, Option<JoinHandle<()>>);

/// Ledger, store and gateway, as `reeve up` starts them.
fn start(deployment: &Deployment, vault: Arc<Vault>, clock: &Arc<SystemClock>) -> anyhow::Result<Started> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let keeping = runtime.block_on(async {
        let keeping = deployment.keep(vault, clock).await?;
        deployment.record_system(&keeping).await?;
        anyhow::Ok(keeping)
    })?;
    let settings = runtime.block_on(deployment.edge(&keeping));
    let relay = Arc::new(Relay::new(keeping.recorder()));
    let (gateway, writer) = deployment.start(clock, &keeping, &relay, settings, Vec::new())?;
    Ok((runtime, keeping, gateway, writer))
}

/// Asks the kernel whether each thread is held to what the first one is. Of Landlock it does not tell; threads inherit it
/// in the same way.
fn threads() -> io::Result<String> {
    let first = held_to("/proc/self/status".as_ref())?;
    let mut count = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let found = held_to(&task?.path().join("status"))?;
        if found != first {
            return Err(io::Error::other(format!("one has {found} and the first {first}")));
        }
        count += 1;
    }
    Ok(format!("{count} threads, all with {first}"))
}

fn held_to(status: &Path) -> io::Result<String> {
    let status = std::fs::read_to_string(status)?;
    let told = |line: &&str| {
        ["NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "CapEff:"].iter().any(|name| line.starts_with(name))
    };
    Ok(status.lines().filter(told).map(|line| line.replace('\t', " ")).collect::<Vec<_>>().join(", "))
}

/// One request, from inside as well.
fn ask(deployment: &Deployment, gateway: &Gateway) -> io::Result<String> {
    let address = *gateway.https().first().ok_or_else(|| io::Error::other("no address"))?;
    let authority = deployment.authority().ok_or_else(|| io::Error::other("no authority"))?;
    let mut roots = RootCertStore::empty();
    if let Trust::Authorities(found) = prove::authorities(&authority).map_err(io::Error::other)? {
        roots.add_parsable_certificates(found);
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    match &head {
        b"HTTP/1.1 200" => Ok(String::from("200 from the application")),
        other => Err(io::Error::other(String::from_utf8_lossy(other).into_owned())),
    }
}

const START: &str = "start the gateway: ledger, store, log, certificate, listener, workers";
const PATIENCE: Duration = Duration::from_secs(10);
