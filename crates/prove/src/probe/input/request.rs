//! Requests of an exact size, in each of their parts.

/// The head of a request over HTTP/1.1, well-formed and as large as is wanted.
#[derive(Debug, Clone)]
pub(super) struct Head {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// A head with three fields: Host, User-Agent and Connection.
    pub(super) fn new(method: &str, target: &str, authority: &str, agent: &str) -> Self {
        let fields = [("Host", authority), ("User-Agent", agent), ("Connection", "close")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { method: method.to_owned(), target: target.to_owned(), fields }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it goes over the wire, with the empty line.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// How many bytes that are.
    pub(super) fn length(&self) -> usize {
        self.bytes().len()
    }

    /// With a target of so many bytes. The length is in the query: a path that long would try the application's file
    /// system, not its gateway.
    pub(super) fn target_of(mut self, length: usize) -> Self {
        let front = "/?reeve=";
        self.target = format!("{front}{}", "a".repeat(length.saturating_sub(front.len())));
        self
    }

    /// Padded with fields until the whole head has so many bytes, using at most `fields_max` fields. No field is longer
    /// than need be, because servers also limit a single one.
    pub(super) fn padded_to(mut self, length: usize, fields_max: usize) -> Self {
        let room = fields_max.saturating_sub(self.fields.len()).max(1);
        let missing = length.saturating_sub(self.length());
        let count = missing.div_ceil(FIELD_BYTES).clamp(1, room);
        for index in 0..count {
            let missing = length.saturating_sub(self.length());
            let share = missing / (count - index);
            let name = format!("X-Reeve-{index:03}");
            let value = share.saturating_sub(name.len() + SEPARATORS_BYTES);
            self = self.with(&name, &"a".repeat(value));
        }
        self
    }

    /// With so many fields.
    pub(super) fn with_fields(mut self, count: usize) -> Self {
        for index in self.fields.len()..count {
            self = self.with(&format!("X-{index}"), "1");
        }
        self
    }

    /// With a body of so many bytes, and its length.
    pub(super) fn with_body(self, length: usize) -> Vec<u8> {
        let mut bytes = self.with("Content-Type", TEXT).with("Content-Length", &length.to_string()).bytes();
        bytes.resize(bytes.len() + length, b'a');
        bytes
    }

    /// Announces a body of so many bytes and waits to be asked for it.
    pub(super) fn announcing(self, length: usize) -> Vec<u8> {
        let head = self.with("Content-Type", TEXT).with("Content-Length", &length.to_string());
        head.with("Expect", "100-continue").bytes()
    }

    /// With a body of so many bytes, in chunks.
    pub(super) fn with_chunked_body(self, length: usize) -> Vec<u8> {
        let mut bytes = self.with("Content-Type", TEXT).with("Transfer-Encoding", "chunked").bytes();
        let mut left = length;
        while left > 0 {
            let size = left.min(CHUNK_BYTES);
            bytes.extend(format!("{size:x}\r\n").bytes());
            bytes.resize(bytes.len() + size, b'a');
            bytes.extend(b"\r\n");
            left -= size;
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

const TEXT: &str = "text/plain";

/// `: ` and the end of the line.
const SEPARATORS_BYTES: usize = 4;

/// Half of the 8 KiB that common servers allow one field.
const FIELD_BYTES: usize = 4_000;

const CHUNK_BYTES: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::new("GET", "/", "127.0.0.1:8443", "probe")
    }

    #[test]
    fn a_head_has_exactly_the_length_that_is_asked_for() {
        for length in [1_024, 4_096, 16_384, 16_385, 16_387, 65_536] {
            for fields in [8, 64, 200] {
                let padded = head().padded_to(length, fields);
                assert_eq!(padded.length(), length);
                assert!(padded.fields.len() <= fields);
            }
        }
    }

    #[test]
    fn a_target_and_the_fields_have_exactly_the_size_that_is_asked_for() {
        assert_eq!(head().target_of(4_096).target.len(), 4_096);
        assert_eq!(head().with_fields(64).fields.len(), 64);
    }

    #[test]
    fn bodies_are_as_long_as_they_say() {
        let end = |bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let stated = head().with_body(1_000);
        assert_eq!(stated.len() - end(&stated), 1_000);
        let chunked = head().with_chunked_body(8_193);
        let body = &chunked[end(&chunked)..];
        assert!(body.starts_with(b"2000\r\n") && body.ends_with(b"\r\n1\r\na\r\n0\r\n\r\n"));
    }
}
