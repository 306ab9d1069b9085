use super::*;

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn codes(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn hello(ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let all: Vec<u8> =
        extensions.iter().flat_map(|(kind, content)| [codes(&[*kind]), prefixed(content)].concat()).collect();
    let body = [codes(&[0x0303]), vec![7; 32], vec![0], prefixed(&codes(ciphers)), vec![1, 0], prefixed(&all)].concat();
    [vec![1, 0], prefixed(&body)].concat()
}

fn record(message: &[u8]) -> Vec<u8> {
    [vec![22, 3, 1], prefixed(message)].concat()
}

/// The example of the specification, whose fingerprint it works out by hand: a Chrome.
fn example() -> Vec<u8> {
    let ciphers = [
        0x4a4a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let signatures = prefixed(&codes(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]));
    let versions = [&[6][..], &codes(&[0x1a1a, 0x0304, 0x0303])].concat();
    let protocols = prefixed(b"\x02h2\x08http/1.1");
    let bare = |kind: u16| (kind, Vec::new());
    let extensions = [
        bare(0x2a2a),
        bare(0x001b),
        bare(0x0000),
        bare(0x0033),
        (0x0010, protocols),
        bare(0x4469),
        bare(0x0017),
        bare(0x002d),
        (0x000d, signatures),
        bare(0x0005),
        bare(0x0023),
        bare(0x0012),
        (0x002b, versions),
        bare(0xff01),
        bare(0x000b),
        bare(0x000a),
        bare(0x0015),
        bare(0xfafa),
    ];
    hello(&ciphers, &extensions)
}

#[test]
fn the_example_of_the_specification_has_its_fingerprint() {
    assert_eq!(ja4(&record(&example())).unwrap(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn a_message_may_be_spread_over_records() {
    let message = example();
    let (first, second) = message.split_at(100);
    let whole = ja4(&record(&message));
    assert_eq!(ja4(&[record(first), record(second)].concat()), whole);
    // And something may follow it.
    assert_eq!(ja4(&[record(&message), vec![20, 3, 3, 0, 1, 1]].concat()), whole);
}

#[test]
fn what_is_not_there_is_told_by_zeros() {
    assert_eq!(ja4(&record(&hello(&[], &[]))).unwrap(), "t12i000000_000000000000_000000000000");
    let odd = prefixed(b"\x02\xabc");
    assert_eq!(ja4(&record(&hello(&[], &[(0x0010, odd)]))).unwrap(), "t12i0001a3_000000000000_000000000000");
}

#[test]
fn whatever_is_cut_off_has_no_fingerprint_and_nothing_breaks() {
    let whole = record(&example());
    for length in 0..whole.len() {
        assert_eq!(ja4(&whole[..length]), None, "{length}");
    }
    assert_eq!(ja4(b"GET / HTTP/1.1\r\n\r\n"), None);
    for position in 0..whole.len() {
        let mut altered = whole.clone();
        altered[position] ^= 0xff;
        let _ = ja4(&altered);
    }
}
