// SPDX-License-Identifier: GPL-2.0
//! The table of decisions in src/server/negotiate.rs: that Documentation/protocol.md has the same,
//! and that the engine does what each row says.

use crate::hello::*;
use crate::host::{Connection, Host};
use tls_hs::{Disposition, Error, Step};

const ALPN: u16 = 16;

/// What becomes of a ClientHello, in the words of the table.
fn decision(hello: &Hello) -> &'static str {
    let host = Host {
        names: vec![b"tls-hs.test".to_vec()],
        alpn: b"\x08http/1.1".to_vec(),
        ..Host::default()
    };
    let mut connection = Connection::new(host);
    match connection.take(&hello.record()) {
        Err(Error(reason)) => match connection.server.disposition(reason) {
            Disposition::Fallback => "falls back",
            Disposition::Alert | Disposition::Close => "refused",
        },
        // The random of a HelloRetryRequest.
        Ok(()) if connection.out[5 + 6..][..2] == [0xcf, 0x21] => "HelloRetryRequest",
        Ok(()) => {
            assert!(matches!(connection.server.step(), Step::Receive));
            "full handshake"
        }
    }
}

/// A row: its first words, and ClientHellos of TLS 1.3 and of TLS 1.2 that it is about.
type Row = (&'static str, Vec<Hello>, Vec<Hello>);

fn rows() -> Vec<Row> {
    let (new, old) = (Hello::tls13, Hello::tls12);
    let each = |change: &dyn Fn(Hello) -> Hello| (vec![change(new())], vec![change(old())]);
    let row = |words, change: &dyn Fn(Hello) -> Hello| {
        let (tls13, tls12) = each(change);
        (words, tls13, tls12)
    };
    let name = |list: &[u8]| vec16(list);
    let entry = |name: &[u8]| [&[0][..], &vec16(name)].concat();
    let psk = |hello: Hello| hello.with(PSK_MODES, vec8(&[1]));
    vec![
        (
            "does not parse, has an extension twice",
            vec![new().set(GROUPS, vec![0]), new().with(0x2a2a, vec![])],
            vec![old().set(GROUPS, vec![0]), old().with(0x2a2a, vec![])],
        ),
        (
            "no version in common, or a legacy_version of SSL",
            vec![
                new().set(VERSIONS, vec8(&u16s(&[0x0302]))),
                Hello {
                    version: 0x0300,
                    ..new()
                },
            ],
            vec![
                Hello {
                    version: 0x0302,
                    ..old()
                },
                Hello {
                    version: 0x0300,
                    ..old()
                },
            ],
        ),
        row("a server name that is not ASCII, or two", &|hello| {
            let names = [entry(b"tls-hs.test"), entry(b"other.test")].concat();
            hello.set(SERVER_NAME, name(&names))
        }),
        (
            "TLS_FALLBACK_SCSV though TLS 1.3 is served",
            vec![],
            vec![Hello {
                suites: vec![0xc02b, 0x5600],
                ..old()
            }],
        ),
        (
            "compression methods: not null alone (TLS 1.3), without null",
            vec![
                Hello {
                    compression: vec![0, 1],
                    ..new()
                },
                Hello {
                    compression: vec![1],
                    ..new()
                },
            ],
            vec![Hello {
                compression: vec![1],
                ..old()
            }],
        ),
        (
            "lacks signature_algorithms, supported_groups or key_share, or modes of its PSKs",
            vec![
                new().without(SIGNATURE_ALGORITHMS),
                new().without(GROUPS),
                new().without(KEY_SHARE),
                new().with(PRE_SHARED_KEY, psks(&[&[1]], 1)),
            ],
            vec![],
        ),
        (
            "pre_shared_key is not last",
            vec![psk(new().with(PRE_SHARED_KEY, psks(&[&[1]], 1)))],
            vec![],
        ),
        row(
            "pre_shared_key has not one binder for each identity",
            &|hello| psk(hello).with(PRE_SHARED_KEY, psks(&[&[1], &[2]], 1)),
        ),
        (
            "point formats without the uncompressed one, renegotiation_info not empty",
            vec![],
            vec![
                old().set(POINT_FORMATS, vec8(&[1])),
                old().set(RENEGOTIATION_INFO, vec8(&[0; 12])),
            ],
        ),
        (
            "a share for a group that supported_groups lacks, or two for one group",
            vec![
                new().set(GROUPS, vec16(&u16s(&[0x001d]))),
                new().set(
                    KEY_SHARE,
                    key_shares(&[(0x0017, &P256_SHARE), (0x0017, &P256_SHARE)]),
                ),
            ],
            vec![],
        ),
        (
            "no suite, group or signature algorithm in common",
            vec![
                Hello {
                    suites: vec![0x1304],
                    ..new()
                },
                new()
                    .set(GROUPS, vec16(&u16s(&[0x0018])))
                    .set(KEY_SHARE, key_shares(&[(0x0018, &[4; 97])])),
                new().set(SIGNATURE_ALGORITHMS, vec16(&u16s(&[0x0804]))),
            ],
            vec![
                Hello {
                    suites: vec![0xc02f],
                    ..old()
                },
                old().set(GROUPS, vec16(&u16s(&[0x0018]))),
                old().set(GROUPS, vec16(&u16s(&[0x001d]))),
                old().set(SIGNATURE_ALGORITHMS, vec16(&u16s(&[0x0804]))),
                // ECDSA and RSA with SHA-1.
                old().set(SIGNATURE_ALGORITHMS, vec16(&u16s(&[0x0203, 0x0201]))),
                old().without(SIGNATURE_ALGORITHMS),
            ],
        ),
        row("no certificate for the server name", &|hello| {
            hello.set(SERVER_NAME, name(&entry(b"other.test")))
        }),
        row("ALPN without a protocol in common", &|hello| {
            hello.with(ALPN, vec16(&vec8(b"h2")))
        }),
        (
            "no share for the group chosen",
            vec![
                new().set(KEY_SHARE, key_shares(&[])),
                new().set(KEY_SHARE, key_shares(&[(0x3a3a, &[0])])),
            ],
            vec![],
        ),
        // Connections of more than one message: outcomes.rs, second_flight.rs, resumption.rs.
        (
            "second ClientHello: another one, or without the PSKs of the first",
            vec![],
            vec![],
        ),
        (
            "ticket of this scope: the binder is wrong, the extended master secret is lost",
            vec![],
            vec![],
        ),
        (
            "any other ticket",
            vec![
                psk(new()).with(PRE_SHARED_KEY, psks(&[&[7; 132]], 1)),
                new(),
            ],
            vec![old().with(SESSION_TICKET, vec![7; 132]), old()],
        ),
    ]
}

/// Rows of the table in a text, its lines behind a prefix.
fn table(text: &str, prefix: &str) -> Vec<[String; 3]> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    let rows = lines.skip_while(|line| !line.starts_with("| ClientHello "));
    rows.skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            let cells: Vec<String> = cells.map(|cell| cell.trim().to_string()).collect();
            cells.try_into().expect("three columns")
        })
        .collect()
}

#[test]
fn the_engine_decides_as_the_table_says() {
    let table = table(include_str!("../../src/server/negotiate.rs"), "//! ");
    let rows = rows();
    let words: Vec<_> = rows.iter().map(|row| row.0).collect();
    let first_cells: Vec<_> = table.iter().map(|row| &row[0][..]).collect();
    assert_eq!(words, first_cells);
    for ((words, tls13, tls12), [_, with_tls13, with_tls12]) in rows.iter().zip(&table) {
        for (hellos, expected) in [(tls13, with_tls13), (tls12, with_tls12)] {
            for (number, hello) in hellos.iter().enumerate() {
                let decision = decision(hello);
                assert_eq!(decision, expected, "{words}, ClientHello {number}");
            }
        }
    }
}

#[test]
fn the_documentation_has_the_same_table() {
    let documented = table(include_str!("../../../Documentation/protocol.md"), "");
    let source = table(include_str!("../../src/server/negotiate.rs"), "//! ");
    assert!(source.len() > 10);
    assert_eq!(documented, source);
}
