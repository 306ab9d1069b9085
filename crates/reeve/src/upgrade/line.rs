//! Lines of JSON over a socket between two processes of this program, with open sockets beside them.

use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One end of the conversation. Reads and writes wait, at most as long as was said.
pub(crate) struct Line {
    stream: BufReader<UnixStream>,
    /// Sockets that came and were not taken yet.
    came: Vec<OwnedFd>,
}

impl Line {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), came: Vec::new() }
    }

    /// Waits at most so long for each read and write from now on; without an end if there is none.
    pub(crate) fn patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(patience)?;
        self.stream.get_ref().set_write_timeout(patience)
    }

    pub(crate) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.stream.get_mut().write_all(&text(message)?)
    }

    /// Sends bytes that an earlier line has announced.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends open files along with a line; at most [`FILES_MAX`].
    pub(crate) fn send_with(&mut self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = text(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::Error::other(format!("more than {FILES_MAX} sockets cannot be handed over")));
        }
        let stream = self.stream.get_mut();
        let sent = rustix::net::sendmsg(&*stream, &[IoSlice::new(&text)], &mut beside, SendFlags::NOSIGNAL)?;
        stream.write_all(text.get(sent..).unwrap_or_default())
    }

    /// The next line, and no error at the end.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        (&mut self.stream).take(LINE_BYTES_MAX).read_line(&mut line)?;
        if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&line)?)) }
    }

    /// The next line, of which it is known that nothing was sent before it was asked for, and what came with it.
    pub(crate) fn receive_with<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && (line.len() as u64) < LINE_BYTES_MAX {
            // A byte at a time after the first piece would be slow and is rare: a line is sent in one piece.
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(None);
            }
            line.extend(piece);
        }
        Ok(Some((serde_json::from_slice(&line)?, std::mem::take(&mut self.came))))
    }

    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let read = rustix::net::recvmsg(
            self.stream.get_ref().as_fd(),
            &mut [IoSliceMut::new(&mut bytes)],
            &mut beside,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                self.came.extend(files);
            }
        }
        bytes.truncate(read.bytes);
        Ok(bytes)
    }

    /// Exactly so many bytes.
    pub(crate) fn receive_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn text(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    Ok(text)
}

/// Open files of one line. The kernel takes 253.
pub(crate) const FILES_MAX: usize = 64;

/// A line holds addresses or the reason of a failure, which may quote some lines of the settings.
const LINE_BYTES_MAX: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sockets_come_with_their_line() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Line::new(one), Line::new(other));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        one.send_with(&"take this", &[listener.as_fd()]).unwrap();
        drop(listener);
        let (text, mut files): (String, _) = other.receive_with().unwrap().unwrap();
        assert_eq!((text.as_str(), files.len()), ("take this", 1));
        let taken = TcpListener::from(files.remove(0));
        assert_eq!(taken.local_addr().unwrap(), address);
    }

    #[test]
    fn the_end_is_no_line() {
        let (one, other) = UnixStream::pair().unwrap();
        drop(one);
        assert_eq!(Line::new(other).receive::<String>().unwrap(), None);
    }

    #[test]
    fn silence_ends_with_the_patience() {
        let (_one, other) = UnixStream::pair().unwrap();
        let mut other = Line::new(other);
        other.patience(Some(Duration::from_millis(10))).unwrap();
        assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
