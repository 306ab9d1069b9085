//! A real nginx, as an independent server to judge.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::{answers, free_ports};

/// One nginx, in one process, with its files in a folder of its own. Both go when this is dropped.
#[derive(Debug)]
pub struct Nginx<const N: usize> {
    child: Child,
    folder: TempDir,
    ports: [u16; N],
}

/// Why there is no nginx.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program is not there, or the folder cannot be made.
    #[error("cannot start nginx (on Debian: `apt-get install nginx-light`)")]
    Io(#[from] std::io::Error),
    /// It does not accept connections.
    #[error("nginx does not answer; it says:\n{0}")]
    Silent(String),
}

impl<const N: usize> Nginx<N> {
    /// Starts nginx with these files beside it and waits until it answers on each of its `N` ports of 127.0.0.1.
    ///
    /// `http` writes what stands inside the `http` block, given the ports; relative paths are those of the folder.
    ///
    /// # Errors
    /// When nginx is not installed, its configuration is wrong, or it does not come up.
    pub async fn start(files: &[(&str, &str)], http: impl Fn([u16; N]) -> String) -> Result<Self, StartError> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let folder = TempDir::new()?;
            for (name, content) in files {
                let path = folder.path().join(name);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(path, content)?;
            }
            let ports = free_ports::<N>().await?;
            std::fs::write(folder.path().join("nginx.conf"), configuration(&http(ports)))?;
            let mut nginx = Self { child: spawn(folder.path())?, folder, ports };
            if nginx.comes_up().await {
                return Ok(nginx);
            }
            // Somebody may have taken a port in between: another try takes others.
            last = nginx.log();
        }
        Err(StartError::Silent(last))
    }

    /// The ports that it listens on.
    #[must_use]
    pub const fn ports(&self) -> [u16; N] {
        self.ports
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has written to its error log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    async fn comes_up(&mut self) -> bool {
        for port in self.ports {
            if !answers(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), WAIT).await {
                return false;
            }
        }
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl<const N: usize> Drop for Nginx<N> {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(folder: &Path) -> std::io::Result<Child> {
    let program = PROGRAMS.iter().map(PathBuf::from).find(|path| path.exists()).unwrap_or_else(|| "nginx".into());
    Command::new(program)
        .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// One process and no daemon: when it is killed, nothing is left.
fn configuration(http: &str) -> String {
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log info;\n\
         events {{ worker_connections 2048; }}\n\
         http {{\naccess_log off;\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\n\
         scgi_temp_path scgi;\n{http}\n}}\n"
    )
}

/// Where packages put it; it is often not in the path of ordinary users.
const PROGRAMS: [&str; 2] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];

const ATTEMPTS: u32 = 3;

const WAIT: Duration = Duration::from_secs(5);
