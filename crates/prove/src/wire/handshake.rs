//! Sends a hand-made ClientHello and tells acceptance from refusal from silence.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Site, WireError};
use crate::hello::Version;
use crate::hello::answer::{self, Answer};
use crate::hello::offer::Offer;
use crate::hello::suites::Suite;

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The server goes on with what was offered, with this suite.
    Accepted {
        /// The number of the suite.
        suite: u16,
    },
    /// It does not: an alert, a closed connection, a reset, or a version that was not offered.
    Refused {
        /// In which way.
        how: String,
    },
}

impl Site {
    /// Offers one version with these suites; one out of the budget.
    ///
    /// # Errors
    /// When there is no connection, or the server says nothing, or what it says is no TLS: none of these is a refusal.
    pub(crate) async fn offer(&self, version: Version, suites: &[Suite]) -> Result<Reply, WireError> {
        self.spend()?;
        let ids: Vec<u16> = suites.iter().map(|suite| suite.id).collect();
        let server_name = self.target().domain();
        let hello = Offer { version, suites: &ids, server_name, random: self.random()? }.encode();
        let stream = self.connect(self.target().https).await?;
        let heard = timeout(self.deadline(), converse(stream, &hello)).await;
        let heard = heard.map_err(|_| WireError::Silent(self.deadline()))??;
        reply(version, &ids, heard)
    }
}

impl Site {
    /// A hello of TLS 1.3 with suites by their numbers, known or not.
    pub(crate) fn prepare(&self, suites: &[u16]) -> Result<Vec<u8>, WireError> {
        let (server_name, random) = (self.target().domain(), self.random()?);
        Ok(Offer { version: Version::Tls13, suites, server_name, random }.encode())
    }

    /// Sends a hello that [was prepared](Self::prepare); one out of the budget.
    ///
    /// # Errors
    /// As [`Site::offer`].
    pub(crate) async fn offer_prepared(&self, hello: &[u8], suites: &[u16]) -> Result<Reply, WireError> {
        self.spend()?;
        let stream = self.connect(self.target().https).await?;
        let heard = timeout(self.deadline(), converse(stream, hello)).await;
        let heard = heard.map_err(|_| WireError::Silent(self.deadline()))??;
        reply(Version::Tls13, suites, heard)
    }
}

/// What was heard: an answer, or the end of the connection in words.
enum Heard {
    Answer(Answer),
    End(&'static str),
}

async fn converse(mut stream: TcpStream, hello: &[u8]) -> Result<Heard, WireError> {
    // A server may refuse before it has read everything; what it said is still to be read.
    let written = stream.write_all(hello).await;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = match stream.read(&mut chunk).await {
            Ok(0) => return Ok(Heard::End("the connection is closed")),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return Ok(Heard::End("the connection is reset"));
            }
            Err(error) => return Err(WireError::Handshake(written.err().unwrap_or(error).to_string())),
        };
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        match answer::read(&bytes) {
            Ok(Some(answer)) => return Ok(Heard::Answer(answer)),
            Ok(None) if bytes.len() < ANSWER_BYTES_MAX => {}
            Ok(None) => return Err(WireError::Malformed(String::from("too long for a ServerHello"))),
            Err(malformed) => return Err(WireError::Malformed(malformed.to_string())),
        }
    }
}

fn reply(version: Version, ids: &[u16], heard: Heard) -> Result<Reply, WireError> {
    let answer = match heard {
        Heard::Answer(answer) => answer,
        Heard::End(how) => return Ok(Reply::Refused { how: how.to_owned() }),
    };
    match answer {
        Answer::Hello { version: chosen, suite } if chosen == version.code() => {
            if ids.contains(&suite) {
                Ok(Reply::Accepted { suite })
            } else {
                Err(WireError::Malformed(format!("{answer}, which was not offered")))
            }
        }
        // An older version than was offered is for the client to refuse: what was offered is not accepted.
        Answer::Hello { .. } => Ok(Reply::Refused { how: format!("answered with {answer} instead") }),
        Answer::Alert(alert) => Ok(Reply::Refused { how: alert.to_string() }),
    }
}

/// No ServerHello is longer; see `hello::answer`.
const ANSWER_BYTES_MAX: usize = 1 << 16;
