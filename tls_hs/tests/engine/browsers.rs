// SPDX-License-Identifier: GPL-2.0
//! ClientHellos with all that browsers put into them, in their order of values.

use crate::hello::*;
use crate::host::{Connection, Host, NAME};
use crate::protection::split_records;
use tls_hs::{Config, NamedGroup, Step, Suite, Version};

const MLKEM768_SHARE: [u8; 1216] = [0x77; 1216];
const P384: u16 = 0x0018;
const P521: u16 = 0x0019;
const X25519MLKEM768: u16 = 0x11ec;
const ALPN: u16 = 16;
const STATUS_REQUEST: u16 = 5;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// encrypted_client_hello of GREASE: outer, a suite of HPKE, a configuration's number, a key, a
/// payload.
fn ech_grease() -> Vec<u8> {
    let suite = [&[0][..], &u16s(&[1, 1]), &[0x5a]].concat();
    [suite, vec16(&[0x33; 32]), vec16(&[0x44; 208])].concat()
}

fn server_name() -> Vec<u8> {
    vec16(&[&[0][..], &vec16(NAME.as_bytes())].concat())
}

fn alpn(first: &[u8]) -> Vec<u8> {
    vec16(&[vec8(first), vec8(b"h2"), vec8(b"http/1.1")].concat())
}

/// Like one of BoringSSL in Chrome.
fn chrome(shares: &[(u16, &[u8])]) -> Hello {
    Hello {
        suites: vec![
            0x6a6a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![
            (0x8a8a, vec![]),
            // compress_certificate: brotli.
            (27, vec8(&[0, 2])),
            (EXTENDED_MASTER_SECRET, vec![]),
            (VERSIONS, vec8(&u16s(&[0xcaca, 0x0304, 0x0303]))),
            (SESSION_TICKET, vec![]),
            (KEY_SHARE, key_shares(shares)),
            // application_settings, with the name of a protocol.
            (17613, vec16(&vec8(b"h2"))),
            (
                SIGNATURE_ALGORITHMS,
                vec16(&u16s(&[
                    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
                ])),
            ),
            (ENCRYPTED_CLIENT_HELLO, ech_grease()),
            (RENEGOTIATION_INFO, vec8(&[])),
            (POINT_FORMATS, vec8(&[0])),
            (PSK_MODES, vec8(&[0x0b, 1])),
            // signed_certificate_timestamp.
            (18, vec![]),
            (
                GROUPS,
                vec16(&u16s(&[0xdada, X25519MLKEM768, 0x001d, 0x0017, P384])),
            ),
            (ALPN, alpn(&[0xea, 0xea])),
            (STATUS_REQUEST, vec![1, 0, 0, 0, 0]),
            (SERVER_NAME, server_name()),
            (0xbaba, vec![0]),
        ],
        ..Hello::tls13()
    }
}

/// Like one of NSS in Firefox.
fn firefox(shares: &[(u16, &[u8])]) -> Hello {
    Hello {
        suites: vec![
            0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009,
            0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![
            (SERVER_NAME, server_name()),
            (EXTENDED_MASTER_SECRET, vec![]),
            (RENEGOTIATION_INFO, vec8(&[])),
            (
                GROUPS,
                vec16(&u16s(&[
                    X25519MLKEM768,
                    0x001d,
                    0x0017,
                    P384,
                    P521,
                    0x0100,
                    0x0101,
                ])),
            ),
            (POINT_FORMATS, vec8(&[0])),
            (SESSION_TICKET, vec![]),
            (ALPN, alpn(b"http/0.9")),
            (STATUS_REQUEST, vec![1, 0, 0, 0, 0]),
            // delegated_credentials.
            (34, vec16(&u16s(&[0x0403, 0x0503, 0x0603, 0x0203]))),
            (18, vec![]),
            (KEY_SHARE, key_shares(shares)),
            (VERSIONS, vec8(&u16s(&[0x0304, 0x0303]))),
            (
                SIGNATURE_ALGORITHMS,
                vec16(&u16s(&[
                    0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203,
                    0x0201,
                ])),
            ),
            (PSK_MODES, vec8(&[1])),
            (RECORD_SIZE_LIMIT, vec![0x40, 0x01]),
            // compress_certificate: zlib, brotli, zstd.
            (27, vec8(&[0, 1, 0, 2, 0, 3])),
            (ENCRYPTED_CLIENT_HELLO, ech_grease()),
        ],
        ..Hello::tls13()
    }
}

/// The first ClientHello of each, and its second one with a share of P-256.
fn hellos() -> [(Hello, Hello); 2] {
    let x25519 = (0x001d, &X25519_SHARE[..]);
    let p256 = (0x0017, &P256_SHARE[..]);
    let hybrid = (X25519MLKEM768, &MLKEM768_SHARE[..]);
    [
        (chrome(&[(0xdada, &[0]), hybrid, x25519]), chrome(&[p256])),
        (firefox(&[hybrid, x25519]), firefox(&[p256])),
    ]
}

fn connection(change: impl FnOnce(&mut Config)) -> Connection {
    let mut host = Host {
        alpn: b"\x08http/1.1".to_vec(),
        names: vec![NAME.as_bytes().to_vec()],
        ticket_keys: vec![([1; 16], [2; 32])],
        ocsp: b"a response".to_vec(),
        ..Host::default()
    };
    change(&mut host.config);
    Connection::new(host)
}

/// Whether a ServerHello went out and the client's next flight is waited for.
fn is_served(connection: &Connection) -> bool {
    let retry = [0xcf, 0x21];
    matches!(connection.server.step(), Step::Receive)
        && connection.unread.is_empty()
        && split_records(&connection.out)
            .iter()
            .any(|record| record[0] == 22 && record[5] == 2 && record[5 + 6..][..2] != retry)
}

/// By one record, by many, and with a ticket and early data of another server.
#[test]
fn todays_browsers_are_served() {
    for (hello, _) in hellos() {
        for stream in [
            hello.record(),
            records(&hello.message(), 100),
            records(&hello.message(), 1),
        ] {
            let mut connection = connection(|_| ());
            assert_eq!(connection.take(&stream), Ok(()));
            assert!(is_served(&connection));
        }
        let resuming = hello
            .with(EARLY_DATA, vec![])
            .with(PRE_SHARED_KEY, psks(&[&[9; 192]], 1));
        let mut connection = connection(|_| ());
        let flight = [resuming.record(), record(20, &[1]), early_data(1400)].concat();
        assert_eq!(connection.take(&flight), Ok(()));
        assert!(is_served(&connection));
    }
}

#[test]
fn todays_browsers_are_served_by_a_narrow_configuration() {
    for (hello, second) in hellos() {
        let mut retried = connection(|config| config.ecurves = NamedGroup::Secp256r1.bit());
        assert_eq!(retried.take(&hello.record()), Ok(()));
        assert!(!is_served(&retried));
        assert_eq!(
            retried.take(&[record(20, &[1]), second.record()].concat()),
            Ok(())
        );
        assert!(is_served(&retried));

        let mut old = connection(|config| config.versions = Version::Tls12.bit());
        assert_eq!(old.take(&hello.record()), Ok(()));
        assert!(is_served(&old));

        for suite in Suite::ALL {
            let mut one = connection(|config| config.tls_13_ciphersuites = suite.bit());
            assert_eq!(one.take(&hello.record()), Ok(()));
            assert!(is_served(&one));
        }
    }
}
