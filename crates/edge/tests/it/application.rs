//! An application behind the gateway that answers with exactly the bytes it is told to, and keeps what it was sent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the application does with a connection after reading a head.
pub(crate) type Behaviour = Arc<dyn Fn(&str, &mut TcpStream) -> After + Send + Sync>;

/// What happens to the connection next.
#[derive(PartialEq)]
pub(crate) enum After {
    KeepAlive,
    Close,
}

pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    /// Every head that arrived.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Application {
    /// Answers every request with these bytes.
    pub(crate) fn answering(bytes: &'static str) -> Self {
        Self::behaving(Arc::new(move |_, stream| {
            stream.write_all(bytes.as_bytes()).unwrap();
            After::KeepAlive
        }))
    }

    pub(crate) fn behaving(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        // The thread ends with the test's process: it only waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (behaviour, kept) = (Arc::clone(&behaviour), Arc::clone(&kept));
                std::thread::spawn(move || converse(stream.unwrap(), &behaviour, &kept));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn converse(mut stream: TcpStream, behaviour: &Behaviour, kept: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            kept.lock().unwrap().push(head.clone());
            read_body(&head, &mut bytes, &mut stream);
            if behaviour(&head, &mut stream) == After::Close {
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => bytes.extend(&piece[..read]),
            _ => return,
        }
    }
}

/// Reads a body by the framing of its head, so that the next head is found.
fn read_body(head: &str, bytes: &mut Vec<u8>, stream: &mut TcpStream) {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|text| text.parse().unwrap());
    let mut piece = [0; 4096];
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut piece) {
        Ok(read) if read > 0 => bytes.extend(&piece[..read]),
        _ => bytes.extend(b"\r\n\r\n0\r\n\r\n"),
    };
    if let Some(length) = length {
        while bytes.len() < length {
            more(bytes);
        }
        bytes.drain(..length);
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            if let Some(end) = find(bytes, b"0\r\n\r\n") {
                bytes.drain(..end + 5);
                return;
            }
            more(bytes);
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
