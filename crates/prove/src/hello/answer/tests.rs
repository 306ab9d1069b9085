use proptest::prelude::*;

use super::*;

/// A ServerHello as the body of a handshake message.
fn hello(version: u16, suite: u16, extensions: Option<&[u8]>) -> Vec<u8> {
    let mut message = version.to_be_bytes().to_vec();
    message.extend([9; 32]);
    message.push(0);
    message.extend(suite.to_be_bytes());
    message.push(0);
    if let Some(extensions) = extensions {
        message.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        message.extend(extensions);
    }
    message
}

fn handshake(kind: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

#[track_caller]
fn check(bytes: &[u8], expected: Result<Option<&str>, Malformed>) {
    let read = read(bytes).map(|answer| answer.map(|answer| answer.to_string()));
    assert_eq!(read, expected.map(|text| text.map(str::to_owned)));
}

#[test]
fn a_server_hello_names_version_and_suite() {
    check(&record(22, &handshake(2, &hello(0x0300, 0x0005, None))), Ok(Some("SSL 3.0 with TLS_RSA_WITH_RC4_128_SHA")));
    check(
        &record(22, &handshake(2, &hello(0x0303, 0xC02F, Some(&[0xFF, 0x01, 0, 1, 0])))),
        Ok(Some("TLS 1.2 with TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")),
    );
    check(
        &record(22, &handshake(2, &hello(0x0303, 0x1302, Some(&[0, 43, 0, 2, 3, 4])))),
        Ok(Some("TLS 1.3 with TLS_AES_256_GCM_SHA384")),
    );
    check(&record(22, &handshake(2, &hello(0x0303, 0xFEFE, Some(&[])))), Ok(Some("TLS 1.2 with suite 0xFEFE")));
}

#[test]
fn a_message_may_be_spread_over_records() {
    let whole = handshake(2, &hello(0x0303, 0xC02F, None));
    let (front, back) = whole.split_at(7);
    let bytes = [record(22, front), record(22, back)].concat();
    check(&bytes, Ok(Some("TLS 1.2 with TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")));
}

#[test]
fn every_front_part_asks_for_more() {
    let bytes = record(22, &handshake(2, &hello(0x0303, 0xC02F, Some(&[]))));
    for length in 0..bytes.len() {
        check(&bytes[..length], Ok(None));
    }
}

#[test]
fn alerts_refuse_and_warnings_do_not() {
    check(&record(21, &[2, 70]), Ok(Some("alert protocol_version")));
    check(&record(21, &[2, 200]), Ok(Some("alert 200")));
    check(&record(21, &[1, 0]), Ok(Some("alert close_notify")));
    check(&record(21, &[1, 112]), Ok(None));
    let warned = [record(21, &[1, 112]), record(22, &handshake(2, &hello(0x0302, 0x002F, None)))].concat();
    check(&warned, Ok(Some("TLS 1.1 with TLS_RSA_WITH_AES_128_CBC_SHA")));
}

#[test]
fn what_is_no_answer_is_said_to_be_none() {
    check(b"HTTP/1.1 400 Bad Request\r\n", Err(Malformed::NoRecord));
    check(&[22, 9, 9, 0, 1, 0], Err(Malformed::NoRecord));
    check(&[22, 3, 3, 0xFF, 0xFF], Err(Malformed::RecordTooLong));
    check(&record(21, &[2]), Err(Malformed::Inconsistent));
    check(&record(23, &[0]), Err(Malformed::NoServerHello));
    check(&record(22, &handshake(11, &[0; 8])), Err(Malformed::NoServerHello));
    check(&record(22, &[2, 0xFF, 0, 0]), Err(Malformed::Inconsistent));
}

#[test]
fn lengths_that_point_past_the_end_are_inconsistent() {
    let cut = |bytes: &[u8]| record(22, &handshake(2, bytes));
    let whole = hello(0x0303, 0xC02F, Some(&[0, 43, 0, 2, 3, 4]));
    // Up to the compression method there must be something; from there on, nothing or all of the extensions.
    for length in (0..38).chain(39..whole.len()) {
        check(&cut(&whole[..length]), Err(Malformed::Inconsistent));
    }
    let mut session = hello(0x0303, 0xC02F, None);
    session[34] = 255;
    check(&cut(&session), Err(Malformed::Inconsistent));
    check(&cut(&hello(0x0303, 0xC02F, Some(&[0, 43, 0, 9, 3, 4]))), Err(Malformed::Inconsistent));
    check(&cut(&hello(0x0303, 0xC02F, Some(&[0, 43, 0, 1, 3]))), Err(Malformed::Inconsistent));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_message_makes_the_reader_panic(
        message in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 20_u8..=23,
    ) {
        let _ = read(&record(kind, &handshake(2, &message)));
    }

    #[test]
    fn more_bytes_never_change_an_answer(message in proptest::collection::vec(any::<u8>(), 36..300), more: [u8; 4]) {
        let bytes = record(22, &handshake(2, &message));
        if let Ok(Some(answer)) = read(&bytes) {
            prop_assert_eq!(read(&[bytes.as_slice(), &more].concat()), Ok(Some(answer)));
        }
    }
}
