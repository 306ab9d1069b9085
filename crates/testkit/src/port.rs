//! Ports of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};

/// Ports that were free a moment ago, all different. Another process may take one in between: whoever binds them must
/// be ready to ask again.
///
/// # Errors
/// When the system has no port to give.
pub async fn free_ports<const N: usize>() -> std::io::Result<[u16; N]> {
    // All are held until the last is found, or the same one would be given twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Waits until something accepts connections there; whether it did within `wait`.
pub async fn answers(address: SocketAddr, wait: Duration) -> bool {
    let accepted = async {
        let mut beat = interval(POLL);
        while TcpStream::connect(address).await.is_err() {
            beat.tick().await;
        }
    };
    timeout(wait, accepted).await.is_ok()
}

const POLL: Duration = Duration::from_millis(10);
