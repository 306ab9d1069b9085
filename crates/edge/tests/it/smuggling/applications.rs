//! Three applications with three parsers, each of which keeps what it got and answers with the target.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reeve_testkit::Nginx;

/// A request as an application understood it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrived(String);

impl Arrived {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self(format!("{method} {target}"))
    }
}

pub(crate) trait Recording {
    fn address(&self) -> SocketAddr;

    /// Everything that has arrived, once nothing more is under way.
    fn arrived(&self) -> Vec<Arrived>;
}

type Record = Arc<Mutex<Vec<Arrived>>>;

pub(crate) struct Hyper {
    address: SocketAddr,
    record: Record,
}

impl Hyper {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, record) = (listener.local_addr().unwrap(), Record::default());
        let kept = Arc::clone(&record);
        // The thread ends with the test's process: it only waits for connections.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let kept = Arc::clone(&kept);
                    let service = service_fn(move |request| keep(request, Arc::clone(&kept)));
                    tokio::spawn(
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                    );
                }
            });
        });
        Self { address, record }
    }
}

async fn keep(request: Request<Incoming>, record: Record) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.to_string();
    if body.collect().await.is_ok() {
        record.lock().unwrap().push(Arrived::new(parts.method.as_str(), &target));
    }
    Ok(Response::new(Full::new(Bytes::from(target))))
}

impl Recording for Hyper {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.record.lock().unwrap().clone()
    }
}

pub(crate) struct NginxLog(Nginx<1>);

impl NginxLog {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let nginx = runtime.block_on(Nginx::start(&[], |[port]| {
            format!(
                "log_format arrived '$request_method $request_uri';\n\
                 server {{ listen 127.0.0.1:{port}; access_log arrived.log arrived; location / {{ return 200 $request_uri; }} }}"
            )
        }));
        Self(nginx.unwrap())
    }
}

impl Recording for NginxLog {
    fn address(&self) -> SocketAddr {
        let [port] = self.0.ports();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn arrived(&self) -> Vec<Arrived> {
        let log = std::fs::read_to_string(self.0.folder().join("arrived.log")).unwrap();
        log.lines().map(|line| Arrived(line.to_owned())).collect()
    }
}

pub(crate) struct Python {
    child: Child,
    port: u16,
    record: Record,
    reader: Option<JoinHandle<()>>,
}

impl Python {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smuggling/application.py");
        let mut child =
            Command::new("python3").arg(script).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let record = Record::default();
        let kept = Arc::clone(&record);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(Arrived(line));
            }
        });
        Self { child, port, record, reader: Some(reader) }
    }
}

impl Recording for Python {
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.record.lock().unwrap().clone()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
