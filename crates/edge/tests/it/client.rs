//! A client that sends exactly the bytes it is told to, over TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

pub(crate) struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// Trusts the gateway's local authority.
pub(crate) fn config(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Connects from `source`.
pub(crate) fn dial_from(source: IpAddr, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, authority: &Path) -> Self {
        let tcp = TcpStream::connect(address).unwrap();
        Self::over(tcp, authority)
    }

    /// The same from an address of this machine's own choosing.
    pub(crate) fn connect_from(source: IpAddr, address: SocketAddr, authority: &Path) -> Self {
        Self::over(dial_from(source, address), authority)
    }

    /// The same, where both sides agree to speak `protocol`.
    pub(crate) fn speaking(protocol: &[u8], address: SocketAddr, authority: &Path) -> Self {
        let mut config = config(authority);
        config.alpn_protocols = vec![protocol.to_vec()];
        Self::with(config, TcpStream::connect(address).unwrap())
    }

    pub(crate) fn over(tcp: TcpStream, authority: &Path) -> Self {
        Self::with(config(authority), tcp)
    }

    fn with(config: ClientConfig, tcp: TcpStream) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: StreamOwned::new(connection, tcp) }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Fails when the gateway has closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// What comes within this time, if anything does.
    pub(crate) fn read_within(&mut self, patience: Duration) -> Option<String> {
        self.stream.sock.set_read_timeout(Some(patience)).unwrap();
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece);
        self.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        read.ok().map(|read| String::from_utf8_lossy(&piece[..read]).into_owned())
    }

    /// Reads until the gateway closes, however it does; how many bytes came.
    pub(crate) fn read_all(&mut self) -> usize {
        let (mut all, mut piece) = (0, [0; 1 << 16]);
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return all,
                Ok(read) => all += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the gateway did not close"),
                Err(_) => return all,
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        // The gateway may have answered and closed before all of it is sent; what it said is still there to be read.
        let _ = self.stream.write_all(bytes.as_bytes()).and_then(|()| self.stream.flush());
    }

    /// Reads until `text` has come.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(text) {
            let read = self.stream.read(&mut piece).unwrap();
            assert!(read > 0, "closed before {text:?}: {:?}", String::from_utf8_lossy(&all));
            all.extend(&piece[..read]);
        }
        String::from_utf8(all).unwrap()
    }

    /// The same, where it may close before there is anything to read.
    pub(crate) fn try_read_to_end(&mut self) -> Option<String> {
        let mut all = Vec::new();
        let ended = self.stream.read_to_end(&mut all);
        (ended.is_ok() || !all.is_empty()).then(|| String::from_utf8(all).unwrap())
    }

    /// Reads until the gateway closes.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut all = Vec::new();
        match self.stream.read_to_end(&mut all) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Longer than anything takes that a test waits for.
const PATIENCE: Duration = Duration::from_secs(10);
