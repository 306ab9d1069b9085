//! Sockets that were opened by whoever started this process (systemd socket activation, sd_listen_fds(3)).

use listenfd::ListenFd;
use reeve_edge::Inherited;
use rustix::io::{FdFlags, fcntl_setfd};

/// The sockets that came with the start. Each serves the listener of the settings that has its address.
pub(crate) fn sockets() -> Vec<Inherited> {
    let mut came = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..came.len() {
        match came.take_tcp_listener(index) {
            Ok(Some(socket)) => match socket.local_addr() {
                Ok(address) => {
                    // Helpers have no use for it, and would keep the port open.
                    let _ = fcntl_setfd(&socket, FdFlags::CLOEXEC);
                    sockets.push(Inherited { address, tls: None, socket });
                }
                Err(error) => tracing::warn!(%error, index, "a socket that came with the start has no address"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, index, "a socket that came with the start is no TCP listener"),
        }
    }
    sockets
}
