//! A door in front of a scratch gateway that accepts what the gateway's TLS library has no code for.
//!
//! Reeve cannot be made to speak TLS 1.0 or RC4, so these controls have no switch that could be turned off. To show
//! that their probes can fail, this door does what an old server would: it answers a ClientHello that offers nothing
//! better with a ServerHello that takes it, and passes every other connection on to the gateway.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the door accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// TLS 1.1 and older.
    OldVersion,
    /// Suites without authentication of each record, or with broken ciphers.
    OldCipher,
    /// Suites whose key exchange keeps no secret forward.
    StaticKeyExchange,
}

/// The door, open until dropped.
pub(crate) struct WeakFront {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl WeakFront {
    /// Opens it. Must be called inside a runtime.
    pub(crate) fn start(at: SocketAddr, gateway: SocketAddr, weakness: Weakness) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(at).context("cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A client that breaks off is none of the door's business.
                tokio::spawn(async move { pass(client, gateway, weakness).await.ok() });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for WeakFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, gateway: SocketAddr, weakness: Weakness) -> std::io::Result<()> {
    let mut record = vec![0; 5];
    client.read_exact(&mut record).await?;
    let is_handshake = record.first() == Some(&HANDSHAKE);
    let length = record.get(3..5).map_or(0, |bytes| usize::from(pair(bytes)));
    if is_handshake && length <= RECORD_BYTES_MAX {
        let mut body = vec![0; length];
        client.read_exact(&mut body).await?;
        record.extend(&body);
        if let Some(answer) = Offer::read(&body).and_then(|offer| offer.accepted_by(weakness)) {
            return client.write_all(&answer).await;
        }
    }
    let mut gateway = TcpStream::connect(gateway).await?;
    gateway.write_all(&record).await?;
    copy_bidirectional(&mut client, &mut gateway).await?;
    Ok(())
}

/// What a ClientHello offers (RFC 5246 section 7.4.1.2).
#[derive(Debug)]
struct Offer {
    /// The highest version: from supported_versions, or the old field.
    version: u16,
    suites: Vec<u16>,
}

impl Offer {
    fn read(handshake: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(handshake);
        (bytes.take(1)? == [CLIENT_HELLO]).then_some(())?;
        bytes.take(3)?;
        let legacy = bytes.number()?;
        bytes.take(32)?;
        let session = bytes.take(1)?;
        bytes.take(session.first().copied()?.into())?;
        let suites = bytes.number()?;
        let suites = bytes.take(suites.into())?.chunks_exact(2).map(pair).collect();
        let versions = bytes.supported_versions();
        Some(Self { version: versions.unwrap_or(legacy), suites })
    }

    fn accepted_by(&self, weakness: Weakness) -> Option<Vec<u8>> {
        let only_weak = !self.suites.iter().any(|suite| AEAD_WITH_FORWARD_SECRECY.contains(suite));
        let suite = self.suites.iter().copied().find(|suite| *suite != SIGNALLING)?;
        let accepted = match weakness {
            Weakness::OldVersion => self.version < TLS_1_2,
            Weakness::OldCipher => only_weak && self.version == TLS_1_2 && !AEAD_STATIC.contains(&suite),
            Weakness::StaticKeyExchange => only_weak && self.version == TLS_1_2,
        };
        accepted.then(|| server_hello(self.version, suite))
    }
}

/// A reader that ends where the bytes end.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(pair)
    }

    /// The highest of the versions that the extension lists (RFC 8446 section 4.2.1), past the compression methods.
    fn supported_versions(&mut self) -> Option<u16> {
        let compressions = self.take(1)?.first().copied()?;
        self.take(compressions.into())?;
        self.number()?;
        while let (Some(kind), Some(length)) = (self.number(), self.number()) {
            let content = self.take(length.into())?;
            if kind == SUPPORTED_VERSIONS {
                return content.get(1..)?.chunks_exact(2).map(pair).filter(|version| version >> 8 == 3).max();
            }
        }
        None
    }
}

fn pair(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte))
}

/// Takes the offer (RFC 5246 section 7.4.1.3). The random is all zeros: nobody will finish this handshake.
fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([0; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let mut record = vec![HANDSHAKE];
    record.extend(version.to_be_bytes());
    let length = u16::try_from(body.len()).unwrap_or_default();
    record.extend((length + 4).to_be_bytes());
    record.extend([SERVER_HELLO, 0]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;
const TLS_1_2: u16 = 0x0303;
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV: no suite, but a signal among them (RFC 5746).
const SIGNALLING: u16 = 0x00ff;

/// The suites that a careful server accepts.
const AEAD_WITH_FORWARD_SECRECY: [u16; 12] =
    [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xccaa, 0x009e, 0x009f];

/// AES-GCM under static RSA: a good cipher, and no forward secrecy.
const AEAD_STATIC: [u16; 2] = [0x009c, 0x009d];
