//! A real PostgreSQL server.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::{answers, free_ports};

/// One server on a port of 127.0.0.1, with its data in a folder of its own. Both go when this is dropped.
///
/// The server refuses to run as root; then it runs as the user `postgres`, which its package makes.
#[derive(Debug)]
pub struct Postgres {
    /// Nothing while it is stopped.
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
}

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The programs are not there, or the folder cannot be made.
    #[error("cannot start PostgreSQL (on Debian: `apt-get install postgresql`)")]
    Io(#[from] std::io::Error),
    /// It does not do what it was told to.
    #[error("PostgreSQL does not come up; it says:\n{0}")]
    Silent(String),
}

impl Postgres {
    /// Makes a cluster, starts its server with these settings (`fsync=off`) and waits until it answers.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up.
    pub async fn start(settings: &[&str]) -> Result<Self, PostgresError> {
        let folder = TempDir::new()?;
        // The server's own user must be able to reach its data through it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::write(folder.path().join("password"), PASSWORD)?;
        std::fs::write(folder.path().join("log"), "")?;
        for path in [&data, &folder.path().join("log")] {
            give_away(path)?;
        }
        let [port] = free_ports().await?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { child: None, folder, port, settings };
        server.make_cluster()?;
        server.resume().await?;
        Ok(server)
    }

    /// Stops the server at once, as a crash would.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn stop(&mut self) -> Result<(), PostgresError> {
        if let Some(mut child) = self.child.take() {
            // SIGQUIT is "immediate shutdown": the processes end without tidying up, and none of them stays.
            Command::new("kill").args(["-QUIT", &child.id().to_string()]).status()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again, on the same port with the same data.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn resume(&mut self) -> Result<(), PostgresError> {
        let log = std::fs::OpenOptions::new().append(true).open(self.folder.path().join("log"))?;
        let mut command = as_its_user("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        if answers(address, WAIT).await && self.is_ready().await {
            return Ok(());
        }
        Err(PostgresError::Silent(self.log()))
    }

    /// Gives it a certificate and its key, in PEM: from the next start on it speaks TLS.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn certify(&mut self, certificate: &str, key: &str) -> Result<(), PostgresError> {
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            std::fs::write(&path, content)?;
            // It refuses a key that others can read.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            give_away(&path)?;
        }
        self.settings.push(String::from("ssl=on"));
        Ok(())
    }

    /// The URL of a database for a role, without a password.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The password of the role `postgres`, the superuser.
    #[must_use]
    pub const fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The folder that holds the data of all databases.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn make_cluster(&self) -> Result<(), PostgresError> {
        let made = as_its_user("initdb")
            .args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--no-locale"])
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(self.folder.path().join("password"))
            .output()?;
        if made.status.success() {
            return Ok(());
        }
        Err(PostgresError::Silent(String::from_utf8_lossy(&made.stderr).into_owned()))
    }

    /// It listens before it lets anybody in: after a crash it first reads its log.
    async fn is_ready(&mut self) -> bool {
        let mut beat = tokio::time::interval(POLL);
        for _ in 0..POLLS {
            let asked = program("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
            if asked.is_ok_and(|status| status.success()) {
                return true;
            }
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended {
                return false;
            }
            beat.tick().await;
        }
        false
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        drop(self.stop());
    }
}

/// A program of the newest installed version.
fn program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut programs: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    programs.sort();
    programs.pop().map_or_else(|| Command::new(name), Command::new)
}

/// The same, as the user that the server insists on.
fn as_its_user(name: &str) -> Command {
    let program = program(name);
    if !is_root() {
        return program;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--reset-env", "--"]);
    command.arg(program.get_program()).current_dir("/");
    command
}

fn give_away(path: &Path) -> Result<(), PostgresError> {
    if is_root() {
        Command::new("chown").arg("postgres:").arg(path).status()?;
    }
    Ok(())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

const PASSWORD: &str = "superuser-of-the-tests";

const WAIT: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(20);

/// Ten seconds.
const POLLS: u32 = 500;
