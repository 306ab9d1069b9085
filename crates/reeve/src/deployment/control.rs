//! The control socket: how other verbs, and probes, reach a gateway that runs.
//!
//! A Unix socket in the data folder, open to its owner only. One line of JSON asks, one answers; `docs/reference/control.md`
//! lists the questions.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use reeve_base::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Read settings and policy again.
    Reload,
    /// Let another binary take over.
    Upgrade {
        /// Which, by its absolute path; the one that was started if nothing is said.
        program: Option<PathBuf>,
    },
    /// Look at the feed of rules now, and take up what is newer.
    UpdateRules,
    /// What runs, and how its ledger, keys and store are.
    Status,
    /// What the gateway counts, and how long requests take by route.
    Top,
    /// The newest entries of the ledger with an event whose member `key` is `value`, each with its proof.
    Find {
        /// A member of an event: `id`, `object`, `activity`, `actor`.
        key: String,
        /// Its whole value.
        value: String,
        /// The most entries, 1 to 100.
        limit: usize,
    },
    /// Record what probes saw, and keep it as the newest verdicts.
    Evidence {
        /// A `reeve.report/1` row for each clause.
        rows: Vec<Value>,
    },
    /// The newest verdict of a clause.
    Verdict {
        /// The clause.
        clause: String,
    },
    /// Keep the contents of some days from being purged.
    Hold(Hold),
    /// End a hold.
    Lift {
        /// The label that it was made with.
        label: String,
    },
    /// Destroy what has expired.
    Purge {
        /// Only say what has.
        dry_run: bool,
    },
    /// Who is banned, or is to be, or no longer.
    Bans(BanQuestion),
    /// When the site is closed, or is to be.
    Maintenance(MaintenanceQuestion),
    /// Whether the site answered, minute by minute.
    Uptime,
    /// Which fingerprints are banned, or are to be, or no longer.
    Prints(PrintQuestion),
    /// About the scripts on payment pages.
    Pay(PayQuestion),
    /// About what is learned of the requests to applications.
    Learn(LearnQuestion),
    /// Make a new version of the store key, and seal under it what is under older ones.
    RotateKey,
    /// Record that what opens the keys is about to be changed.
    Reseal {
        /// What is changed, in a sentence without a name.
        what: String,
    },
    /// Shake hands with a server on this machine as if it were the application, and end the connection.
    TryUpstream {
        /// As if it were the application of this name; the first one without it.
        #[serde(default)]
        name: Option<String>,
        /// Where it is: a loopback address.
        address: SocketAddr,
    },
    /// How each certificate stands.
    Certificates,
    /// Replace certificates now, whether they are due or not.
    RenewCertificate {
        /// Those that hold this name; all if there is none.
        name: Option<String>,
    },
}

/// About bans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BanQuestion {
    /// Who is banned, the newest first.
    List {
        /// Only bans that concern this address.
        address: Option<IpAddr>,
        /// The most that are told, 1 to 10,000.
        limit: usize,
    },
    /// Ban an address or a network.
    Add {
        /// Whom.
        network: String,
        /// For how long; until it is lifted if nothing is said.
        seconds: Option<u64>,
        /// Why, in a few words.
        reason: String,
    },
    /// End a ban.
    Lift {
        /// Whose, exactly as it is listed.
        network: String,
    },
    /// For some minutes, let an address of 127.0.0.0/8 be banned like any other: for probes.
    Canary {
        /// Which.
        address: IpAddr,
    },
}

/// About maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum MaintenanceQuestion {
    /// Which windows there are.
    List {
        /// Those that are over, too.
        all: bool,
    },
    /// Close the site to visitors now.
    On {
        /// For how long; until it is opened if nothing is said.
        seconds: Option<u64>,
        /// Why, in a few words.
        reason: String,
        /// Addresses and networks that are served all the same.
        allow: Vec<String>,
    },
    /// Open it.
    Off {
        /// End this window, whatever it does; without it, all that close the site now.
        id: Option<String>,
    },
    /// Say beforehand when there is going to be maintenance.
    Announce {
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
        /// Why, in a few words.
        reason: String,
        /// Close the site to visitors meanwhile.
        shut: bool,
        /// Addresses and networks that are served all the same.
        allow: Vec<String>,
    },
}

/// About bans by fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PrintQuestion {
    /// All of them, the newest first.
    List,
    /// Ban one.
    Add {
        /// A `ja4` or a `header_order`, as events show it.
        fingerprint: String,
        /// For how long; until it is lifted if nothing is said.
        seconds: Option<u64>,
        /// Why, in a few words.
        reason: String,
    },
    /// End a ban.
    Lift {
        /// Which.
        fingerprint: String,
    },
}

/// About the scripts on payment pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PayQuestion {
    /// Every script, and when each page was last seen.
    List,
    /// Somebody looked at these scripts as they are and found them right.
    Approve {
        /// Their ids, as they are listed.
        ids: Vec<String>,
        /// What they are for.
        reason: String,
    },
    /// Look at a page as if the application had answered with it, and keep nothing of it: for probes.
    Rehearse {
        /// The page.
        html: String,
    },
}

/// About what is learned of the requests to applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum LearnQuestion {
    /// How far it has come.
    Status,
    /// The document that the requests to an upstream add up to.
    Propose {
        /// Which; the only one that is learned without it.
        upstream: Option<String>,
    },
    /// Forget what was learned of an upstream.
    Forget {
        /// Which; the only one that is learned without it.
        upstream: Option<String>,
    },
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    /// What it is called, and called by when it is lifted.
    pub(crate) label: String,
    /// The class of entries.
    pub(crate) class: String,
    /// The first day.
    pub(crate) from: Date,
    /// The last day.
    pub(crate) to: Date,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// Whether it was done.
    pub(crate) done: bool,
    /// What there is to say, for a person.
    pub(crate) text: String,
    /// What there is to say, for a program.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) data: Value,
}

impl Reply {
    /// It was done.
    pub(crate) fn done(text: impl Into<String>, data: Value) -> Self {
        Self { done: true, text: text.into(), data }
    }

    /// It was not.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { done: false, text: text.into(), data: Value::Null }
    }
}

/// Why a running gateway cannot be reached, or the socket not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nothing listens.
    #[error("no gateway runs with the data folder `{}`", folder.display())]
    NotRunning {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Another one is there already.
    #[error("a gateway already runs with the data folder `{}`", folder.display())]
    Running {
        /// Its data folder.
        folder: PathBuf,
    },
    /// The conversation failed.
    #[error("cannot talk to the gateway over `{}`: {source}", path.display())]
    Talk {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The gateway's end. The socket's file is removed when this is dropped.
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    /// Held for as long as the gateway runs; the system lets go of it however the process ends.
    _lock: fs::File,
}

/// Where the socket of a data folder is.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

impl Socket {
    /// Opens the socket. Must be called inside a runtime.
    pub(crate) fn open(folder: &Path) -> Result<Self, ControlError> {
        let path = path(folder);
        let talk = |source| ControlError::Talk { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(talk)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(talk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(ControlError::Running { folder: folder.to_owned() }),
            Err(fs::TryLockError::Error(error)) => return Err(talk(error)),
        }
        // The lock is ours, so whoever left a socket behind has died.
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(talk(error));
        }
        let listener = UnixListener::bind(&path).map_err(talk)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(talk)?;
        Ok(Self { path, listener, _lock: lock })
    }

    /// Waits for a question and hands it over with the stream to answer on. Nonsense is told so; silence is dropped.
    pub(crate) async fn next(&self) -> (Request, Conversation) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of descriptors; the next turn of the loop must not spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let mut reader = tokio::io::BufReader::new(stream);
            let mut line = String::new();
            let mut bounded = (&mut reader).take(LINE_BYTES_MAX);
            let read = tokio::time::timeout(PATIENCE, bounded.read_line(&mut line)).await;
            if !matches!(read, Ok(Ok(1..))) {
                continue;
            }
            let conversation = Conversation(reader.into_inner());
            match serde_json::from_str(&line) {
                Ok(request) => return (request, conversation),
                Err(error) => conversation.reply(&Reply::refused(format!("not a question: {error}"))).await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Left behind, it would be found dead and removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// A question that waits for its answer.
pub(crate) struct Conversation(tokio::net::UnixStream);

impl Conversation {
    /// Who asks: the user that the system says is at the other end.
    pub(crate) fn asker(&self) -> String {
        self.0.peer_cred().map_or_else(|_| String::from("uid:unknown"), |peer| format!("uid:{}", peer.uid()))
    }

    /// Answers.
    pub(crate) async fn reply(mut self, reply: &Reply) {
        let Ok(mut line) = serde_json::to_vec(reply) else { return };
        line.push(b'\n');
        // Whoever asked may have left; what was done stays done, and the log tells it.
        let _ = self.0.write_all(&line).await;
    }
}

/// Asks the gateway that runs with this data folder.
///
/// # Errors
/// When none runs, or it does not answer.
pub(crate) fn ask(folder: &Path, request: &Request) -> Result<Reply, ControlError> {
    let path = path(folder);
    let mut stream = UnixStream::connect(&path).map_err(|_| ControlError::NotRunning { folder: folder.to_owned() })?;
    let talk = |source| ControlError::Talk { path: path.clone(), source };
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(talk)?;
    let mut line = serde_json::to_vec(request).map_err(|error| talk(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(talk)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(talk)?;
    serde_json::from_str(&answer).map_err(|error| talk(error.into()))
}

/// The evidence of some thousands of clauses.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);

/// Most take milliseconds; a search through a long ledger, or sealing a large store again, takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(300);
