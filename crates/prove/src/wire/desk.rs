//! The control socket of a deployment: one line of JSON asks, one answers.
//!
//! Spoken from its description and not from the code that answers it, like everything else that a probe speaks.

use std::time::Duration;

use reeve_base::Cause;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::Site;
use crate::House;

/// The answer to a question.
#[derive(Debug, Deserialize)]
struct Reply {
    done: bool,
    text: String,
    #[serde(default)]
    data: Value,
}

/// What the deployment says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// Its process.
    pub(crate) pid: u32,
    /// The file that it was started from.
    pub(crate) program: Option<std::path::PathBuf>,
    /// Its ledger.
    pub(crate) ledger: LedgerStatus,
    /// Where its store is, if in files.
    pub(crate) store_files: Vec<std::path::PathBuf>,
    /// The logs of other programs that it watches.
    #[serde(default)]
    pub(crate) watches: Vec<Watched>,
    /// The certificates that it shows.
    #[serde(default)]
    pub(crate) certificates: Vec<CertificateStatus>,
    /// How it reaches its applications, each server of each; none if no gateway runs.
    #[serde(default)]
    pub(crate) upstreams: Vec<UpstreamStatus>,
    /// What its limits on rates stand on; none if no gateway runs.
    pub(crate) rates: Option<RatesStatus>,
    /// How its rules look into requests.
    #[serde(default)]
    pub(crate) waf: WafStatus,
    /// What it knows of bots.
    pub(crate) bots: Option<BotsStatus>,
}

/// What the deployment says of its limits on rates.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RatesStatus {
    /// What identifies a signed-in user.
    pub(crate) session: SessionStatus,
    /// Where several nodes count together, if they do.
    pub(crate) shared: Option<SharedStatus>,
}

/// What identifies a signed-in user.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SessionStatus {
    /// The name of a cookie.
    pub(crate) cookie: Option<String>,
    /// Whether a bearer token does.
    pub(crate) bearer: bool,
}

/// Where several nodes count together.
#[derive(Debug, Deserialize)]
pub(crate) struct SharedStatus {
    /// The server.
    pub(crate) place: String,
    /// `together` or `apart`.
    pub(crate) state: String,
    /// How many nodes there are, as far as this one knows.
    pub(crate) nodes: u32,
    /// Why what they count is not exact now; none if it is.
    pub(crate) cause: Option<String>,
}

/// How its rules look into requests.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct WafStatus {
    /// Parts of the site on which they only find.
    #[serde(default)]
    pub(crate) only_detects: Vec<String>,
    /// What is left out of them.
    #[serde(default)]
    pub(crate) excludes: Vec<ExcludeStatus>,
    /// Which they are; none if none run.
    pub(crate) rules: Option<RulesStatus>,
    /// The applications, as routes call them.
    #[serde(default)]
    pub(crate) apps: Vec<String>,
    /// The rules of applications' own, by their canaries.
    #[serde(default)]
    pub(crate) custom: Vec<CanaryStatus>,
}

/// What is left out of rules, on a part of the site.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ExcludeStatus {
    /// Which rules, in what, where.
    pub(crate) what: String,
    /// From here on they hold again.
    pub(crate) until: jiff::Timestamp,
}

/// The rules that run.
#[derive(Debug, Deserialize)]
pub(crate) struct RulesStatus {
    /// `sha256:` and hexadecimal.
    pub(crate) digest: String,
    /// When they were made, if anybody knows.
    pub(crate) made: Option<jiff::Timestamp>,
}

/// A rule of an application's own.
#[derive(Debug, Deserialize)]
pub(crate) struct CanaryStatus {
    /// The application.
    pub(crate) app: String,
    /// The rule's id.
    pub(crate) rule: u32,
    /// Path and query that it must refuse.
    pub(crate) canary: String,
    /// Path and query that must be served.
    pub(crate) twin: String,
}

/// What the deployment says of its lists of bots.
#[derive(Debug, Deserialize)]
pub(crate) struct BotsStatus {
    /// The day of the last review of the list that it was shipped with.
    pub(crate) list: Option<jiff::civil::Date>,
    /// The kinds of fingerprints that it judges: `ja4`, `header_order`.
    #[serde(default)]
    pub(crate) judges: Vec<String>,
}

/// A log that is watched.
#[derive(Debug, Deserialize)]
pub(crate) struct Watched {
    /// What writes it: `sshd`.
    pub(crate) kind: String,
    /// The file, if it is one.
    pub(crate) file: Option<std::path::PathBuf>,
    /// The units whose entries in the journal are read, where it is no file.
    #[serde(default, deserialize_with = "none_is_empty")]
    pub(crate) journal: Vec<String>,
    /// Where a server listens that writes to the journal, if that was said.
    #[serde(default)]
    pub(crate) server: Option<std::net::SocketAddr>,
    /// Why it cannot be read at the moment; none if it can.
    #[serde(default)]
    pub(crate) failing: Option<String>,
}

fn none_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What the deployment says of a certificate.
#[derive(Debug, Deserialize)]
pub(crate) struct CertificateStatus {
    /// `files`, `local` or `acme`.
    pub(crate) source: String,
    /// Whether it only stands in for another.
    pub(crate) temporary: bool,
    /// SHA-256 of it, in lower-case hexadecimal.
    pub(crate) fingerprint: String,
    /// When it is replaced at the latest; none if nobody does so by itself.
    pub(crate) renews: Option<jiff::Timestamp>,
}

/// What the deployment says of its way to the application.
#[derive(Debug, Deserialize)]
pub(crate) struct UpstreamStatus {
    /// What routes call the application.
    pub(crate) name: String,
    /// A name or an address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Whether it is spoken to over TLS.
    pub(crate) tls: bool,
    /// `sha256/` and base64, each.
    pub(crate) pins: Vec<String>,
    /// The OpenAPI document that requests are held to.
    pub(crate) document: Option<std::path::PathBuf>,
    /// The path under which its operations are.
    pub(crate) base: Option<String>,
}

/// What the deployment says of its ledger.
#[derive(Debug, Deserialize)]
pub(crate) struct LedgerStatus {
    /// The verifier key of its checkpoints (C2SP signed-note).
    pub(crate) key: String,
    /// Its folder; none if it is in a bucket.
    pub(crate) folder: Option<std::path::PathBuf>,
    /// The verifier keys of its witnesses.
    pub(crate) witnesses: Vec<String>,
    /// A witness that holds another history, in a sentence.
    pub(crate) disagreement: Option<String>,
    /// How long request logs are kept.
    pub(crate) request_days: u16,
}

/// An entry that was found, with what proves that it is in the ledger.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// Its number.
    pub(crate) seq: u64,
    /// Its class of retention.
    pub(crate) class: String,
    /// What happened.
    pub(crate) event: Value,
    /// Its proof.
    pub(crate) proof: FoundProof,
}

/// See C2SP tlog-tiles and RFC 6962 section 2.1.1. Byte strings are in base64.
#[derive(Debug, Deserialize)]
pub(crate) struct FoundProof {
    pub(crate) leaf: String,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<String>,
    pub(crate) checkpoint: String,
    pub(crate) salt: String,
    pub(crate) body: String,
}

impl Site {
    /// The inside, if the judge may look there.
    pub(crate) fn house(&self) -> Result<&House, Cause> {
        self.target().house.as_ref().ok_or_else(|| {
            Cause::Denied(String::from("what is kept inside is seen only from the deployment's own machine"))
        })
    }

    /// What the deployment says of itself.
    pub(crate) async fn status(&self) -> Result<Status, Cause> {
        read(self.tell(&json!("status")).await?)
    }

    /// Asks for something to be done.
    pub(crate) async fn tell(&self, request: &Value) -> Result<Value, Cause> {
        self.spend()?;
        let house = self.house()?;
        let unreachable = |error: std::io::Error| Cause::Unreachable(format!("{}: {error}", house.control.display()));
        let exchange = async {
            let mut stream = UnixStream::connect(&house.control).await?;
            stream.write_all(format!("{request}\n").as_bytes()).await?;
            let mut line = String::new();
            BufReader::new(stream).take(ANSWER_BYTES_MAX).read_line(&mut line).await?;
            Ok(line)
        };
        let line = timeout(ANSWER_MAX, exchange)
            .await
            .map_err(|_| Cause::Unreachable(String::from("the control socket does not answer")))?
            .map_err(unreachable)?;
        let reply: Reply = serde_json::from_str(&line)
            .map_err(|error| Cause::Unexpected(format!("the control socket's answer cannot be read: {error}")))?;
        if reply.done { Ok(reply.data) } else { Err(Cause::Unexpected(reply.text)) }
    }

    /// The newest entries whose `key` is `value`; waits a while for the first, because entries are sealed in batches.
    pub(crate) async fn find(&self, key: &str, value: &str) -> Result<Vec<Found>, Cause> {
        self.find_within(SEALED_WITHIN, key, value).await
    }

    /// The same for what must have been sealed long ago.
    pub(crate) async fn find_at_once(&self, key: &str, value: &str) -> Result<Vec<Found>, Cause> {
        self.find_within(Duration::ZERO, key, value).await
    }

    async fn find_within(&self, patience: Duration, key: &str, value: &str) -> Result<Vec<Found>, Cause> {
        let question = json!({ "find": { "key": key, "value": value, "limit": 4 } });
        let since = self.ticks();
        loop {
            #[derive(Deserialize)]
            struct Entries {
                entries: Vec<Found>,
            }
            let found: Entries = read(self.tell(&question).await?)?;
            if !found.entries.is_empty() || self.ticks().since(since) >= patience {
                return Ok(found.entries);
            }
            sleep(AGAIN).await;
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(data: Value) -> Result<T, Cause> {
    serde_json::from_value(data)
        .map_err(|error| Cause::Unexpected(format!("the control socket answers oddly: {error}")))
}

/// An entry of the ledger holds at most 1 MiB, and at most four are asked for.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Workers hand requests over every 100 ms, and the ledger seals four times a second.
const SEALED_WITHIN: Duration = Duration::from_secs(4);
const AGAIN: Duration = Duration::from_millis(100);
