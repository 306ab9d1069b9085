//! A real Redis or Valkey server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::{answers, free_ports};

/// One server on a port of 127.0.0.1, with its dump in a folder of its own. Both go when this is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Nothing while it is stopped.
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    password: String,
}

/// Why there is no Redis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The program is not there, or the folder cannot be made.
    #[error("cannot start Redis (on Debian: `apt-get install redis-server`)")]
    Io(#[from] std::io::Error),
    /// It does not accept connections.
    #[error("Redis does not answer; it says:\n{0}")]
    Silent(String),
}

impl Redis {
    /// Starts a server that asks for this password and waits until it answers.
    ///
    /// # Errors
    /// When Redis is not installed or does not come up.
    pub async fn start(password: &str) -> Result<Self, RedisError> {
        let folder = TempDir::new()?;
        let [port] = free_ports().await?;
        let mut server = Self { child: None, folder, port, password: password.to_owned() };
        server.resume().await?;
        Ok(server)
    }

    /// Ends it at once; what was not dumped is lost.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn stop(&mut self) -> Result<(), RedisError> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn resume(&mut self) -> Result<(), RedisError> {
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--requirepass", &self.password])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        if answers(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), WAIT).await {
            return Ok(());
        }
        Err(RedisError::Silent(self.log()))
    }

    /// Its URL, without the password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where `SAVE` puts the dump.
    #[must_use]
    pub fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    /// What it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        drop(self.stop());
    }
}

const WAIT: Duration = Duration::from_secs(5);
