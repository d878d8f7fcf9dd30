use std::net::SocketAddr;

use proptest::prelude::*;

use super::{MAX_HEADER, Parsed, V2_SIGNATURE, parse};

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

fn addresses(input: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match parse(input) {
        Parsed::Header { length, addresses } => {
            assert_eq!(length, input.len());
            addresses
        }
        other => panic!("{other:?}"),
    }
}

fn pair(client: &str, local: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((client.parse().unwrap(), local.parse().unwrap()))
}

#[test]
fn reads_version_1() {
    assert_eq!(
        addresses(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"),
        pair("192.0.2.1:56324", "198.51.100.7:443")
    );
    assert_eq!(
        addresses(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"),
        pair("[2001:db8::1]:1", "[::1]:65535")
    );
    assert_eq!(addresses(b"PROXY UNKNOWN\r\n"), None);
    assert_eq!(addresses(b"PROXY UNKNOWN ffff::1 x y z\r\n"), None);
}

#[test]
fn reads_version_2() {
    let ipv4 = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb];
    let expected = pair("192.0.2.1:56324", "198.51.100.7:443");
    assert_eq!(addresses(&v2(0x21, 0x11, &ipv4)), expected);
    // A TLV after the addresses (PP2_TYPE_NOOP, 1 byte).
    let mut with_tlv = ipv4.to_vec();
    with_tlv.extend([4, 0, 1, 0]);
    assert_eq!(addresses(&v2(0x21, 0x11, &with_tlv)), expected);
    let mut ipv6 = [0; 36];
    ipv6[15] = 1;
    ipv6[31] = 2;
    ipv6[33] = 80;
    ipv6[35] = 81;
    assert_eq!(addresses(&v2(0x21, 0x21, &ipv6)), pair("[::1]:80", "[::2]:81"));
}

#[test]
fn local_and_foreign_families_keep_the_connections_addresses() {
    assert_eq!(addresses(&v2(0x20, 0x00, &[])), None, "LOCAL");
    assert_eq!(addresses(&v2(0x20, 0x11, &[1; 12])), None, "LOCAL with addresses");
    assert_eq!(addresses(&v2(0x21, 0x31, &[0; 216])), None, "AF_UNIX");
    assert_eq!(addresses(&v2(0x21, 0x12, &[1; 12])), None, "UDP");
}

#[test]
fn refuses_what_only_begins_like_a_header() {
    for input in [
        &b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n"[..],
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 9\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
        b"PROXY TCP4 ::1 ::1 1 443\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.7 1 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1 443\n",
        b"PROXY TCP4 192.0.2.1  198.51.100.7 1 443\r\n",
        &[b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat(),
        &v2(0x31, 0x11, &[0; 12]),
        &v2(0x22, 0x11, &[0; 12]),
        &v2(0x21, 0x11, &[0; 11]),
        &v2(0x21, 0x21, &[0; 35]),
        &v2(0x21, 0x11, &vec![0; MAX_HEADER]),
    ] {
        assert!(matches!(parse(input), Parsed::Invalid(_)), "{input:?}");
    }
}

#[test]
fn tells_other_protocols_apart_early() {
    for input in [
        &b"G"[..],
        b"PRI * HTTP/2.0",
        b"POST / HTTP/1.1",
        b"\x16\x03\x01",
        b"\r\nGET",
        b"proxy ",
    ] {
        assert_eq!(parse(input), Parsed::Absent, "{input:?}");
    }
    for input in [&b""[..], b"P", b"PROXY", b"\r", b"\r\n\r\n\0"] {
        assert_eq!(parse(input), Parsed::Incomplete, "{input:?}");
    }
}

/// Bytes that get far into the parser.
fn headerlike() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..300);
    let line = "(TCP4|TCP6|UNKNOWN|TCP5)( [0-9a-f.:+]{0,20}){0,6}\r?\n?";
    prop_oneof![
        noise.clone(),
        (line, noise.clone()).prop_map(|(line, rest)| [b"PROXY ", line.as_bytes(), &rest].concat()),
        (
            0x1f..0x24u8,
            prop::sample::select(vec![0, 0x11, 0x12, 0x21, 0x31]),
            noise.clone(),
            noise
        )
            .prop_map(|(command, family, body, rest)| [v2(command, family, &body), rest].concat()),
    ]
}

/// Bytes one by one give the answer of all at once, and it never changes.
fn check(input: &[u8]) {
    let whole = parse(input);
    let first = (0..=input.len())
        .map(|end| parse(&input[..end]))
        .find(|parsed| *parsed != Parsed::Incomplete);
    assert_eq!(first.unwrap_or(Parsed::Incomplete), whole, "{input:?}");
    if let Parsed::Header { length, .. } = whole {
        assert!(length <= input.len() && length <= MAX_HEADER);
        assert_eq!(parse(&input[..length - 1]), Parsed::Incomplete);
    }
}

proptest! {
    #[test]
    fn incremental_equals_whole(input in headerlike()) {
        check(&input);
    }
}

#[test]
fn the_fuzz_seeds_hold() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/proxy_protocol");
    let mut headers = 0;
    for file in std::fs::read_dir(seeds).unwrap() {
        let input = std::fs::read(file.unwrap().path()).unwrap();
        check(&input);
        headers += usize::from(matches!(parse(&input), Parsed::Header { .. }));
    }
    assert_eq!(headers, 7);
}
