//! Raw bytes over TLS or TCP: what no client library would agree to send.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::tls::Protocol;
use super::transcript::{self, RawAnswer};
use super::{Site, WireError};

/// All that came back on one connection, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Transcript {
    /// The final answers, in their order (100 and the like are not among them).
    pub(crate) answers: Vec<RawAnswer>,
    /// Whether anything came at all, answer or not.
    pub(crate) bytes: Vec<u8>,
    /// How it ended.
    pub(crate) end: End,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side closed it.
    Closed,
    /// The other side reset it.
    Reset,
    /// It was still open when the probe stopped waiting.
    Open,
}

/// When the probe has seen enough.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// This many whole answers have come.
    Answers(usize),
    /// The connection ends, or this time is over.
    Closed(Duration),
}

impl Transcript {
    /// The status of the first answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.answers.first().map(|answer| answer.status)
    }

    /// As an observation tells it: `400, closed`.
    pub(crate) fn summary(&self) -> String {
        let mut parts: Vec<String> = self.answers.iter().map(|answer| answer.status.to_string()).collect();
        if self.answers.is_empty() && !self.bytes.is_empty() {
            parts.push(String::from("bytes that are no HTTP answer"));
        }
        parts.push(String::from(match self.end {
            End::Closed => "closed",
            End::Reset => "reset",
            End::Open => "left open",
        }));
        parts.join(", ")
    }
}

impl Site {
    /// Sends these bytes over a new TLS connection and reads until the probe has seen enough. Told to come back later,
    /// it does, as long as its patience lasts.
    pub(crate) async fn send_raw(&self, bytes: &[u8], until: Until) -> Result<Transcript, WireError> {
        loop {
            let stream = self.tls(Protocol::H1).await?;
            let transcript = exchange(stream, bytes, until, self.deadline()).await;
            let limited = transcript.answers.first().filter(|answer| answer.status == 429);
            match limited {
                Some(answer) => self.hold_back(answer.value("retry-after").map(str::to_owned)).await?,
                None => return Ok(transcript),
            }
        }
    }

    /// Sends these bytes in the clear to one of the target's ports.
    pub(crate) async fn send_plain(
        &self,
        port: std::net::SocketAddr,
        bytes: &[u8],
        until: Until,
    ) -> Result<Transcript, WireError> {
        self.spend()?;
        let stream = self.connect(port).await?;
        Ok(exchange(stream, bytes, until, self.deadline()).await)
    }
}

/// Writes and reads at once, because a server may refuse a large request before it has read it. The write side stays
/// open, so that a close is the server's own doing.
async fn exchange<S: AsyncRead + AsyncWrite>(stream: S, bytes: &[u8], until: Until, deadline: Duration) -> Transcript {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // A failed write is not yet an end: what was said before it is still to be read.
        if writer.write_all(bytes).await.is_ok() {
            drop(writer.flush().await);
        }
        std::future::pending::<()>().await;
    };
    // Large requests take their time to send: another second for each quarter of a megabyte.
    let sending = Duration::from_secs(u64::try_from(bytes.len() >> 18).unwrap_or(0));
    let wait = sending
        + match until {
            Until::Answers(_) => deadline,
            Until::Closed(limit) => limit,
        };
    let mut heard = Vec::new();
    let read = async {
        let mut chunk = [0; 8192];
        loop {
            match reader.read(&mut chunk).await {
                Ok(0) => return End::Closed,
                Ok(count) => heard.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return End::Closed,
                Err(_) => return End::Reset,
            }
            let enough = matches!(until, Until::Answers(wanted) if transcript::complete(&heard) >= wanted);
            if enough || heard.len() > HEARD_BYTES_MAX {
                return End::Open;
            }
        }
    };
    let end = tokio::select! {
        end = timeout(wait, read) => end.unwrap_or(End::Open),
        () = write => End::Open,
    };
    Transcript { answers: transcript::answers(&heard), bytes: heard, end }
}

/// The most that is read back on one raw connection.
const HEARD_BYTES_MAX: usize = 256 * 1024;
