//! Frames of HTTP/2, made by hand (RFC 9113 sections 4 and 6, RFC 7541).

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let pairs: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [id.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat())
        .collect();
    frame(SETTINGS, 0, 0, &pairs)
}

/// A GET.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    request(
        stream,
        END_STREAM,
        &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)],
    )
}

/// A request with these fields, each a literal that is put into no table (RFC 7541 section 6.2.2).
pub(crate) fn request(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| [vec![0x00], text(name), text(value)].concat()).collect();
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}
