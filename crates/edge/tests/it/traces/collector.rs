//! A collector that takes OTLP over HTTP, reads it with OpenTelemetry's own messages, and answers as a test wants.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reeve_edge::{CollectorAddress, TracingSettings};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) kind: &'static str,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) remote: bool,
    pub(super) state: String,
    pub(super) name: String,
    pub(super) links: Vec<(String, String)>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) status: i32,
    attributes: Vec<(String, String)>,
}

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    Take,
    TakeAllBut(i64),
    /// 429, and to come again in a second.
    Busy,
    /// 400.
    Refuse,
    Never,
}

pub(super) struct Collector {
    address: SocketAddr,
    authority: Option<PathBuf>,
    kept: Arc<Mutex<Kept>>,
    _folder: tempfile::TempDir,
}

struct Kept {
    answer: Answer,
    requests: usize,
    bytes: Vec<u8>,
    resource: Vec<(String, String)>,
    spans: Vec<Told>,
}

impl Collector {
    pub(super) fn start() -> Self {
        Self::answering(Answer::Take)
    }

    pub(super) fn answering(answer: Answer) -> Self {
        Self::serving(answer, None)
    }

    pub(super) fn over_tls() -> Self {
        let made = rcgen::generate_simple_self_signed([String::from("localhost"), String::from("127.0.0.1")]).unwrap();
        Self::serving(Answer::Take, Some((made.cert.der().clone(), made.signing_key.serialize_der(), made.cert.pem())))
    }

    /// An address at which nobody listens.
    pub(super) fn gone() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, authority: None, kept: kept(Answer::Never), _folder: tempfile::tempdir().unwrap() }
    }

    fn serving(answer: Answer, tls: Option<(CertificateDer<'static>, Vec<u8>, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, folder, kept) = (listener.local_addr().unwrap(), tempfile::tempdir().unwrap(), kept(answer));
        let authority = tls.as_ref().map(|(_, _, pem)| {
            let path = folder.path().join("collector.pem");
            std::fs::write(&path, pem).unwrap();
            path
        });
        let tls = tls.map(|(certificate, key, _)| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
            Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
        });
        let shared = Arc::clone(&kept);
        // The threads end with the test's process: they only wait.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, kept, stream) = (tls.clone(), Arc::clone(&shared), stream.unwrap());
                std::thread::spawn(move || match tls {
                    None => converse(stream, &kept),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        converse(StreamOwned::<_, TcpStream>::new(connection, stream), &kept);
                    }
                });
            }
        });
        Self { address, authority, kept, _folder: folder }
    }

    pub(super) fn settings(&self, sample: f64) -> TracingSettings {
        TracingSettings {
            collector: CollectorAddress {
                tls: self.authority.is_some(),
                host: self.address.ip().to_string(),
                port: self.address.port(),
                path: String::new(),
            },
            authorities: self.authority.clone(),
            sample,
            service: String::from("the gateway"),
        }
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.kept.lock().unwrap().answer = answer;
    }

    pub(super) fn requests(&self) -> usize {
        self.kept.lock().unwrap().requests
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.kept.lock().unwrap().spans.clone()
    }

    /// Everything that was ever sent, heads too.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap().bytes.clone()
    }

    pub(super) fn resource(&self) -> Vec<(String, String)> {
        self.kept.lock().unwrap().resource.clone()
    }
}

impl Told {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(super) fn has(&self, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(self.attribute(name), Some(*value), "{name} of {self:#?}");
        }
    }

    fn read(span: &Span) -> Self {
        let kind = match span.kind {
            2 => "server",
            3 => "client",
            _ => "another",
        };
        Self {
            kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            remote: span.flags & 0x200 != 0,
            state: span.trace_state.clone(),
            name: span.name.clone(),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            status: span.status.as_ref().map_or(0, |status| status.code),
            attributes: texts(&span.attributes),
        }
    }
}

fn kept(answer: Answer) -> Arc<Mutex<Kept>> {
    let kept = Kept { answer, requests: 0, bytes: Vec::new(), resource: Vec::new(), spans: Vec::new() };
    Arc::new(Mutex::new(kept))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn converse(mut stream: impl Read + Write, kept: &Mutex<Kept>) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 4].to_vec()).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let all = end + 4 + length.parse::<usize>().unwrap();
            while bytes.len() < all {
                let read = stream.read(&mut piece).unwrap();
                bytes.extend(&piece[..read]);
            }
            assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
            assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
            let request: Vec<_> = bytes.drain(..all).collect();
            let Some(answer) = take(&request, end + 4, kept) else { return wait(&mut stream) };
            stream.write_all(&answer).unwrap();
            stream.flush().unwrap();
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => bytes.extend(&piece[..read]),
            _ => return,
        }
    }
}

fn take(request: &[u8], body: usize, kept: &Mutex<Kept>) -> Option<Vec<u8>> {
    let mut kept = kept.lock().unwrap();
    kept.requests += 1;
    kept.bytes.extend(request);
    let (status, partial) = match kept.answer {
        Answer::Never => return None,
        Answer::Busy => ("429 Too Many Requests\r\nRetry-After: 1", None),
        Answer::Refuse => ("400 Bad Request", None),
        Answer::Take => ("200 OK", None),
        Answer::TakeAllBut(rejected_spans) => {
            let error_message = String::from("too old");
            ("200 OK", Some(ExportTracePartialSuccess { rejected_spans, error_message }))
        }
    };
    if status == "200 OK" {
        let request = ExportTraceServiceRequest::decode(&request[body..]).unwrap();
        for resource in &request.resource_spans {
            kept.resource = texts(&resource.resource.as_ref().unwrap().attributes);
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans).map(Told::read);
            kept.spans.extend(spans);
        }
    }
    let answer = ExportTraceServiceResponse { partial_success: partial }.encode_to_vec();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
    Some([head.into_bytes(), answer].concat())
}

/// Says nothing until the other side is gone.
fn wait(stream: &mut impl Read) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
}
