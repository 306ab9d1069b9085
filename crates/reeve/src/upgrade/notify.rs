//! What systemd is told: that the gateway serves, and which process it is (sd_notify(3)).
//!
//! The socket is connected before the process is shut in, because its path, or its name in the abstract namespace, is
//! out of reach from inside.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::environment;

/// The way to whoever supervises this process; nowhere if nobody does.
#[derive(Debug, Default)]
pub(crate) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// Connects to the socket that the environment names. Without one, or if it cannot be reached, nobody is told.
    pub(crate) fn connect() -> Self {
        let Some(name) = std::env::var_os(environment::NOTIFY_SOCKET.name) else { return Self::default() };
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            let address = match name.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(&name)?,
            };
            socket.connect_addr(&address)?;
            // A supervisor that does not read must not hold up the gateway.
            socket.set_nonblocking(true)?;
            std::io::Result::Ok(socket)
        };
        Self(connect().map_err(|error| tracing::warn!(%error, "systemd cannot be told that the gateway serves")).ok())
    }

    /// It serves.
    pub(crate) fn ready(&self) {
        self.tell(&format!("READY=1\nSTATUS=serving, reeve {}", env!("CARGO_PKG_VERSION")));
    }

    /// It ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Another process is the service from now on.
    pub(crate) fn succeeded_by(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\nSTATUS=taken over by process {pid}"));
    }

    fn tell(&self, text: &str) {
        // Nothing depends on it but what `systemctl status` shows; at worst, a start runs into its time limit.
        let Some(socket) = &self.0 else { return };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::warn!(%error, "systemd was not told how the gateway does");
        }
    }
}
