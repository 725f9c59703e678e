// SPDX-License-Identifier: GPL-2.0
//! What becomes of a ClientHello: served, fallen back or refused, and with which alert.

use crate::hello::*;
use crate::host::{Connection, Host};
use tls_hs::{AlertDescription, Disposition, Error, NamedGroup, Reason, Server, Step, Suite};

/// Shows a new connection `bytes`.
fn show(host: Host, bytes: &[u8]) -> (Result<(), Error>, Connection) {
    let mut connection = Connection::new(host);
    let result = connection.take(bytes);
    (result, connection)
}

fn expect(bytes: &[u8], reason: Reason) {
    expect_of(Host::default(), bytes, reason);
}

fn expect_of(host: Host, bytes: &[u8], reason: Reason) {
    let (result, connection) = show(host, bytes);
    assert_eq!(result, Err(Error(reason)));
    assert_eq!(connection.unread, bytes, "something was consumed");
    assert_eq!(connection.server.disposition(reason), reason.disposition());
    assert!(matches!(connection.server.step(), Step::Failed));
    match reason.alert() {
        Some(alert) => assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, alert as u8]),
        None => assert!(connection.out.is_empty()),
    }
}

fn serve(hello: &Hello) -> Connection {
    serve_of(Host::default(), hello)
}

fn serve_of(host: Host, hello: &Hello) -> Connection {
    let (result, connection) = show(host, &hello.record());
    assert_eq!(result, Ok(()));
    assert!(connection.unread.is_empty());
    assert_eq!(
        connection.out[..6],
        [22, 3, 3, connection.out[3], connection.out[4], 2]
    );
    connection
}

#[test]
fn grease_and_unknown_values_are_passed_over() {
    serve(&Hello::tls13());
    serve(&Hello::tls13().with(0xfabc, vec![1, 2, 3]));
}

#[test]
fn legacy_fields_do_not_matter() {
    let mut hello = Hello::tls13();
    hello.version = 0x0302;
    serve(&hello);
    hello.session_id.clear();
    let connection = serve(&hello);
    // Neither an echo nor a change_cipher_spec for a client without compatibility mode.
    assert_eq!(connection.out[5 + 38], 0);
    let len = usize::from(u16::from_be_bytes([connection.out[3], connection.out[4]]));
    assert_eq!(connection.out[5 + len], 23);
    // The version in the record header is ignored.
    let mut record = Hello::tls13().record();
    record[2] = 0x77;
    assert_eq!(show(Host::default(), &record).0, Ok(()));
}

#[test]
fn session_id_is_echoed_and_followed_by_change_cipher_spec() {
    let connection = serve(&Hello::tls13());
    assert_eq!(connection.out[5 + 38], 32);
    assert_eq!(connection.out[5 + 39..5 + 71], [0x55; 32]);
    let len = usize::from(u16::from_be_bytes([connection.out[3], connection.out[4]]));
    assert_eq!(connection.out[5 + len..][..6], [20, 3, 3, 0, 1, 1]);
}

#[test]
fn nothing_in_common_falls_back() {
    let hello = Hello::tls13();
    let only = |versions: &[u16]| hello.clone().set(VERSIONS, vec8(&u16s(versions))).record();
    expect(&only(&[0x0302, 0x0301]), Reason::UnsupportedVersion);
    expect(&only(&[0x7f1c]), Reason::UnsupportedVersion);
    let mut suites = hello.clone();
    suites.suites = vec![0x1304, 0xc013];
    expect(&suites.record(), Reason::NoCommonCipherSuite);
    let algorithms = hello
        .clone()
        .set(SIGNATURE_ALGORITHMS, vec16(&u16s(&[0x0804, 0x0503])));
    expect(&algorithms.record(), Reason::NoCommonSignatureAlgorithm);
    // Not even a HelloRetryRequest is sent then.
    let algorithms = algorithms.set(KEY_SHARE, key_shares(&[]));
    expect(&algorithms.record(), Reason::NoCommonSignatureAlgorithm);
    let groups = hello
        .clone()
        .set(GROUPS, vec16(&u16s(&[0x0018])))
        .set(KEY_SHARE, key_shares(&[(0x0018, &[4; 97])]));
    expect(&groups.record(), Reason::NoCommonGroup);
    let host = Host {
        names: vec![b"elsewhere.test".to_vec()],
        ..Host::default()
    };
    expect_of(host, &hello.record(), Reason::UnrecognizedName);
}

#[test]
fn configuration_limits_what_is_in_common() {
    let hello = Hello::tls13();
    let host = |change: fn(&mut tls_hs::Config)| {
        let mut host = Host::default();
        change(&mut host.config);
        host
    };
    let record = hello.record();
    expect_of(
        host(|c| c.versions = 0),
        &record,
        Reason::UnsupportedVersion,
    );
    expect_of(
        host(|c| c.tls_13_ciphersuites = 0),
        &record,
        Reason::NoCommonCipherSuite,
    );
    expect_of(host(|c| c.ecurves = 0), &record, Reason::NoCommonGroup);
    let connection = serve_of(
        host(|c| c.tls_13_ciphersuites = Suite::Chacha20Poly1305Sha256.bit()),
        &hello,
    );
    assert_eq!(connection.out[5 + 71..][..2], [0x13, 0x03]);
}

#[test]
fn a_client_that_prefers_chacha20_gets_it() {
    let mut hello = Hello::tls13();
    assert_eq!(serve(&hello).out[5 + 71..][..2], [0x13, 0x01]);
    hello.suites = vec![0x0a0a, 0x1303, 0x1301];
    assert_eq!(serve(&hello).out[5 + 71..][..2], [0x13, 0x03]);
}

#[test]
fn malformed_hellos_are_refused() {
    let hello = Hello::tls13();
    let mut compression = hello.clone();
    compression.compression = vec![0, 1];
    expect(&compression.record(), Reason::BadCompressionMethods);
    let mut session_id = hello.clone();
    session_id.session_id = vec![0; 33];
    expect(&session_id.record(), Reason::DecodeError);
    expect(
        &hello
            .clone()
            .with(0xfabc, vec![])
            .with(0xfabc, vec![])
            .record(),
        DUPLICATE,
    );
    expect(&hello.clone().with(SERVER_NAME, vec![]).record(), DUPLICATE);
    for kind in [GROUPS, SIGNATURE_ALGORITHMS, KEY_SHARE] {
        expect(
            &hello.clone().without(kind).record(),
            Reason::MissingExtension,
        );
    }
    let many = (0..65).fold(hello.clone(), |h, i| h.with(0x8000 + i, vec![]));
    expect(&many.record(), Reason::TooManyExtensions);
    // Trailing bytes in every extension that is known.
    let known = [0, 5, 10, 13, 16, 23, 28, 41, 42, 43, 44, 45, 51, 0xff01];
    let sound = |kind: u16| -> Vec<u8> {
        match kind {
            5 => vec![1, 0, 0, 0, 0],
            16 => vec16(&vec8(b"http/1.1")),
            23 | 42 => vec![],
            28 => vec![0x40, 1],
            41 => psks(&[b"ticket"], 1),
            44 => vec16(b"cookie"),
            45 => vec8(&[1]),
            0xff01 => vec8(&[]),
            _ => hello
                .extensions
                .iter()
                .find(|(k, _)| *k == kind)
                .unwrap()
                .1
                .clone(),
        }
    };
    let base = hello.clone().with(PSK_MODES, vec8(&[1]));
    for kind in known {
        let bare = base.clone().without(kind);
        let modes = if kind == PSK_MODES { None } else { Some(()) };
        let whole = bare.clone().with(kind, sound(kind));
        serve(&whole);
        let data = [sound(kind), vec![0]].concat();
        expect(&bare.clone().with(kind, data).record(), Reason::DecodeError);
        if let (Some(()), Some(len)) = (modes, sound(kind).len().checked_sub(1)) {
            let data = sound(kind)[..len].to_vec();
            expect(&bare.with(kind, data).record(), Reason::DecodeError);
        }
    }
    const DUPLICATE: Reason = Reason::DuplicateExtension;
}

#[test]
fn server_names_are_checked() {
    let hello = Hello::tls13();
    let with = |list: &[u8]| hello.clone().set(SERVER_NAME, vec16(list)).record();
    let entry = |kind: u8, name: &[u8]| [&[kind][..], &vec16(name)].concat();
    expect(&with(&entry(0, b"")), Reason::DecodeError);
    for name in [
        &b"a\0b"[..],
        b"a\x07b",
        "m\u{105}".as_bytes(),
        b"a b",
        b"\x1b[31m",
    ] {
        expect(&with(&entry(0, name)), Reason::BadServerName);
    }
    expect(&with(&entry(0, &[b'a'; 256])), Reason::DecodeError);
    expect(&with(&[0, 0, 1]), Reason::DecodeError);
    expect(
        &with(&[entry(0, b"a"), entry(0, b"b")].concat()),
        Reason::BadServerName,
    );
    // Names of other types are passed over.
    let (result, connection) = show(Host::default(), &with(&entry(1, b"a")));
    assert_eq!(result, Ok(()));
    assert_eq!(connection.server.server_name(), None);
    let both = [entry(7, b"\0"), entry(0, b"b"), entry(1, b"c")].concat();
    let (result, connection) = show(Host::default(), &with(&both));
    assert_eq!(result, Ok(()));
    assert_eq!(connection.server.server_name(), Some(&b"b"[..]));
    expect(&with(&[]), Reason::DecodeError);
    let (result, connection) = show(Host::default(), &with(&entry(0, &[b'a'; 255])));
    assert_eq!(result, Ok(()));
    assert_eq!(connection.server.server_name(), Some(&[b'a'; 255][..]));
}

/// RFC 8446 appendix D.5.
#[test]
fn legacy_versions_of_ssl_are_refused() {
    for version in [0x0300, 0x0200, 0x0002, 0x0103, 0] {
        for mut hello in [Hello::tls13(), Hello::tls12()] {
            hello.version = version;
            expect(&hello.record(), Reason::UnsupportedVersion);
        }
    }
}

#[test]
fn key_shares_are_checked() {
    let hello = Hello::tls13();
    let with = |shares: &[(u16, &[u8])]| hello.clone().set(KEY_SHARE, key_shares(shares)).record();
    let twice: [(u16, &[u8]); 2] = [(0x0017, &P256_SHARE), (0x0017, &P256_SHARE)];
    expect(&with(&twice), Reason::BadKeyShareList);
    let unlisted = hello.clone().set(GROUPS, vec16(&u16s(&[0x001d])));
    expect(&unlisted.record(), Reason::BadKeyShareList);
    expect(&with(&[(0x0017, &P256_SHARE[..64])]), Reason::BadKeyShare);
    expect(&with(&[(0x0017, &[])]), Reason::DecodeError);
    // Not points of the curve, and a point of low order: known only once it is computed with.
    let mut off = P256_SHARE;
    off[64] ^= 1;
    let mut compressed = P256_SHARE;
    compressed[0] = 2;
    for share in [
        (0x0017, &off[..]),
        (0x0017, &compressed),
        (0x001d, &[0; 32]),
    ] {
        let (result, connection) = show(Host::default(), &with(&[share]));
        assert_eq!(result, Err(Error(Reason::BadKeyShare)));
        let alert = AlertDescription::IllegalParameter as u8;
        assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, alert]);
    }
}

#[test]
fn pre_shared_keys_are_checked_though_they_are_not_used() {
    let hello = Hello::tls13().with(PSK_MODES, vec8(&[1]));
    let identities: [&[u8]; 2] = [b"one", b"two"];
    serve(&hello.clone().with(PRE_SHARED_KEY, psks(&identities, 2)));
    for binders in [1, 3] {
        let hello = hello
            .clone()
            .with(PRE_SHARED_KEY, psks(&identities, binders));
        expect(&hello.record(), Reason::BadPreSharedKeys);
    }
    let not_last = hello
        .clone()
        .with(PRE_SHARED_KEY, psks(&identities, 2))
        .with(0xfabc, vec![]);
    expect(&not_last.record(), Reason::PreSharedKeyNotLast);
    // Section 4.2.3: without a PSK that is good there is a certificate to be verified. It may be
    // good for another library.
    let unverified = hello
        .clone()
        .without(SIGNATURE_ALGORITHMS)
        .with(PRE_SHARED_KEY, psks(&identities, 2));
    let missing = Reason::MissingSignatureAlgorithms;
    expect(&unverified.record(), missing);
    expect(
        &unverified.set(KEY_SHARE, key_shares(&[])).record(),
        missing,
    );
    assert_eq!(missing.disposition(), Disposition::Fallback);
    assert_eq!(missing.alert(), Some(AlertDescription::MissingExtension));
    let without_modes = Hello::tls13().with(PRE_SHARED_KEY, psks(&identities, 2));
    expect(&without_modes.record(), Reason::MissingExtension);
}

#[test]
fn what_is_no_handshake_record_is_refused() {
    expect(b"GET / HTTP/1.0\r\n\r\n", Reason::NotTls);
    expect(&[0x80, 0x2e, 1, 0, 2, 0, 0], Reason::NotTls);
    expect(&record(23, b"data"), Reason::NotTls);
    expect(&record(20, &[1]), Reason::NotTls);
    expect(&record(21, &[2, 40]), Reason::AlertReceived);
    expect(&record(22, &[]), Reason::EmptyRecord);
    expect(&[22, 4, 0, 0, 1, 1], Reason::RecordVersion);
    expect(&[22, 3, 1, 0x40, 0x01], Reason::RecordOverflow);
    expect(
        &record(22, &message(2, &[0; 40])),
        Reason::UnexpectedMessage,
    );
    expect(
        &record(22, &message(20, &[0; 32])),
        Reason::UnexpectedMessage,
    );
}

#[test]
fn limits_hold() {
    expect(&record(22, &[1, 0, 0x3f, 0xfd]), Reason::ClientHelloTooLong);
    let hello = Hello::tls13();
    let fill = 16384 - hello.message().len() - 4;
    let longest = hello.clone().with(0xfabc, vec![0; fill]);
    assert_eq!(longest.message().len(), 16384);
    serve(&longest);
    let message = hello.with(0xfabc, vec![0; 2048]).message();
    expect(
        &records(&message, 1)[..2048 * 6],
        Reason::ClientHelloTooFragmented,
    );
    let enough = message.len().div_ceil(2);
    assert!(enough < 2048);
    assert_eq!(show(Host::default(), &records(&message, 2)).0, Ok(()));
}

#[test]
fn nothing_may_follow_the_client_hello() {
    let mut message = Hello::tls13().message();
    message.push(0);
    expect(&record(22, &message), Reason::ExcessHandshakeData);
    let message = Hello::tls13().message();
    let interleaved = [record(22, &message[..9]), record(20, &[1])].concat();
    expect(&interleaved, Reason::InterleavedRecord);
}

#[test]
fn driver_errors_are_caught() {
    let mut host = Host::default();
    let mut server = Server::new();
    assert_eq!(
        server.signed(&mut host, &[0x30, 0]),
        Err(Error(Reason::OutOfOrder))
    );
    assert!(matches!(server.step(), Step::Failed));
    let mut server = Server::<tls_hs_host::HostCrypto>::new();
    assert_eq!(
        server.transmit(&mut host, &mut [0; 512]),
        Err(Error(Reason::OutOfOrder))
    );
    assert!(server.established().is_none());
}

#[test]
fn retry_names_the_group_and_nothing_can_fall_back_any_more() {
    let hello = Hello::tls13().set(KEY_SHARE, key_shares(&[]));
    let (result, mut connection) = show(Host::default(), &hello.record());
    assert_eq!(result, Ok(()));
    let flight = std::mem::take(&mut connection.out);
    assert_eq!(flight[5 + 6..][..2], [0xcf, 0x21]);
    assert_eq!(flight[flight.len() - 6..], [20, 3, 3, 0, 1, 1]);
    // x25519 is preferred.
    let group = NamedGroup::X25519.code().to_be_bytes();
    assert!(flight
        .windows(6)
        .any(|w| w == [0, 51, 0, 2, group[0], group[1]]));
    let fallback = connection.server.disposition(Reason::UnsupportedVersion);
    assert_eq!(fallback, Disposition::Alert);

    let second = hello
        .clone()
        .set(KEY_SHARE, key_shares(&[(0x001d, &X25519_SHARE)]));
    let take = |bytes: &[u8]| {
        let (_, mut connection) = show(Host::default(), &hello.record());
        connection.out.clear();
        let result = connection.take(bytes);
        (result, connection)
    };
    let (result, connection) = take(&[record(20, &[1]), second.record()].concat());
    assert_eq!(result, Ok(()));
    assert_eq!(connection.out[..6], [22, 3, 3, 0, 122, 2]);
    // Appendix D.4: one change_cipher_spec, behind the server's first message.
    let kinds = |stream| -> Vec<u8> {
        let records = crate::protection::split_records(stream);
        records.iter().map(|record| record[0]).collect()
    };
    assert_eq!(kinds(&flight), [22, 20]);
    assert!(!kinds(&connection.out).contains(&20));

    let refused = |bytes: &[u8], reason: Reason| {
        let (result, connection) = take(bytes);
        assert_eq!(result, Err(Error(reason)));
        let alert = reason.alert().unwrap() as u8;
        assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, alert]);
    };
    let changed = Reason::BadSecondClientHello;
    refused(&hello.record(), changed);
    let other_group = hello
        .clone()
        .set(KEY_SHARE, key_shares(&[(0x0017, &P256_SHARE)]));
    refused(&other_group.record(), changed);
    // Section 4.1.2: the share of that group, and no other.
    for more in [(0x0017, &P256_SHARE[..]), (0x3a3a, &[0])] {
        for shares in [
            [(0x001d, &X25519_SHARE[..]), more],
            [more, (0x001d, &X25519_SHARE)],
        ] {
            refused(
                &second.clone().set(KEY_SHARE, key_shares(&shares)).record(),
                changed,
            );
        }
    }
    let mut other = second.clone();
    other.random[0] ^= 1;
    refused(&other.record(), changed);
    let mut other = second.clone();
    other.session_id[0] ^= 1;
    refused(&other.record(), changed);
    let mut other = second.clone();
    other.suites = vec![0x1302];
    refused(&other.record(), changed);
    let name = [&[0][..], &vec16(b"other.test")].concat();
    refused(
        &second.clone().set(SERVER_NAME, vec16(&name)).record(),
        changed,
    );
    let versions = second.clone().set(VERSIONS, vec8(&u16s(&[0x0302])));
    refused(&versions.record(), Reason::UnsupportedVersion);
    // Nothing else that is known may change, appear or vanish, RFC 8446 section 4.1.2.
    let mut other = second.clone();
    other.version = 0x0302;
    refused(&other.record(), changed);
    let mut other = second.clone();
    other.suites.insert(0, 0x1304);
    refused(&other.record(), changed);
    refused(&second.clone().without(SERVER_NAME).record(), changed);
    let limit = second.clone().with(RECORD_SIZE_LIMIT, vec![1, 0]);
    refused(&limit.record(), changed);
    let algorithms = vec16(&u16s(&[0x0403]));
    let algorithms = second.clone().set(SIGNATURE_ALGORITHMS, algorithms);
    refused(&algorithms.record(), changed);
    let groups = second.clone().set(GROUPS, vec16(&u16s(&[0x001d])));
    refused(&groups.record(), changed);
    let early = second.clone().with(EARLY_DATA, vec![]);
    refused(&early.record(), changed);
    refused(
        &second.clone().without(KEY_SHARE).record(),
        Reason::MissingExtension,
    );
    // But padding, a cookie, and what is not known here; and the order.
    let mut moved = second.clone().with(21, vec![0; 9]).with(0xfe0d, vec![1]);
    moved.extensions.swap(1, 3);
    let (result, _) = take(&moved.with(44, vec16(&[7])).record());
    assert_eq!(result, Ok(()));
    refused(
        &record(23, b"no early data was announced"),
        Reason::UnexpectedRecord,
    );
    refused(
        &record(22, &message(20, &[0; 32])),
        Reason::UnexpectedMessage,
    );
    refused(&record(20, &[2]), Reason::BadChangeCipherSpec);
}

#[test]
fn early_data_before_the_second_hello_is_skipped_up_to_the_limit() {
    let first = Hello::tls13()
        .set(KEY_SHARE, key_shares(&[]))
        .with_early_data();
    let second = first
        .clone()
        .without(EARLY_DATA)
        .set(KEY_SHARE, key_shares(&[(0x001d, &X25519_SHARE)]));
    // A client without compatibility mode is not sent a change_cipher_spec.
    let mut bare = first.clone();
    bare.session_id.clear();
    let (_, connection) = show(Host::default(), &bare.record());
    assert_eq!(crate::protection::split_records(&connection.out).len(), 1);

    let retried = || show(Host::default(), &first.record()).1;
    let half = early_data(8192);
    for skipped in [
        early_data(16384),
        [&half[..], &record(20, &[1]), &half].concat(),
        early_data(0).repeat(256),
    ] {
        let mut connection = retried();
        assert_eq!(connection.take(&skipped), Ok(()));
        assert_eq!(connection.take(&second.record()), Ok(()));
        // There is none behind the second ClientHello.
        let late = connection.take(&early_data(64));
        assert_eq!(late, Err(Error(Reason::BadRecordMac)));

        let mut connection = retried();
        for byte in [&skipped[..], &second.record()].concat() {
            assert_eq!(connection.take(&[byte]), Ok(()));
        }
        assert!(connection.unread.is_empty());

        for excess in [early_data(1), record(23, &[])] {
            let mut connection = retried();
            assert_eq!(connection.take(&skipped), Ok(()));
            let result = connection.take(&excess);
            assert_eq!(result, Err(Error(Reason::TooMuchEarlyData)));
        }
    }
    let result = retried().take(&early_data(16385));
    assert_eq!(result, Err(Error(Reason::TooMuchEarlyData)));
}
