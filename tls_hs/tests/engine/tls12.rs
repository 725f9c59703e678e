// SPDX-License-Identifier: GPL-2.0
//! TLS 1.2: what becomes of its ClientHello, and what may come behind it.

use rustls::crypto::ring;

use crate::client::{rustls_config, Client, Rustls};
use crate::hello::*;
use crate::host::{Connection, Host};
use crate::protection::split_records;
use tls_hs::{Error, Reason, Version};

fn refused(hello: &Hello, reason: Reason) {
    let mut connection = Connection::new(Host::default());
    let record = hello.record();
    assert_eq!(connection.take(&record), Err(Error(reason)));
    assert_eq!(connection.unread, record, "something was consumed");
    let alert = reason.alert().unwrap() as u8;
    assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, alert]);
}

/// The ServerHello's extensions by their types, and the types of the messages.
fn served(hello: &Hello) -> (Vec<u16>, Vec<u8>) {
    let mut connection = Connection::new(Host::default());
    connection.take(&hello.record()).unwrap();
    let records = split_records(&connection.out);
    let mut content: Vec<u8> = records.iter().flat_map(|r| r[5..].to_vec()).collect();
    let mut extensions = Vec::new();
    let mut kinds = Vec::new();
    let mut first = true;
    while !content.is_empty() {
        let len = 4 + u32::from_be_bytes([0, content[1], content[2], content[3]]) as usize;
        let message: Vec<u8> = content.drain(..len).collect();
        kinds.push(message[0]);
        if std::mem::take(&mut first) {
            let at = 4 + 2 + 32;
            assert_eq!(message[at], 0, "a session ID that cannot be resumed");
            extensions = message.get(at + 4..).map_or(Vec::new(), |list| match list {
                [] => Vec::new(),
                list => extension_types(list),
            });
        }
    }
    (extensions, kinds)
}

#[test]
fn extensions_are_answered_if_they_were_sent() {
    let hello = Hello::tls12();
    let (extensions, kinds) = served(&hello);
    assert_eq!(
        extensions,
        [
            SERVER_NAME,
            RENEGOTIATION_INFO,
            EXTENDED_MASTER_SECRET,
            POINT_FORMATS
        ]
    );
    assert_eq!(kinds, [2, 11, 12, 14]);
    let (extensions, _) = served(&hello.with(RECORD_SIZE_LIMIT, vec![0, 64]));
    assert!(extensions.contains(&RECORD_SIZE_LIMIT));
    // SCSV stands for an empty renegotiation_info; groups may be left out; there may be no
    // extension but the one for signatures.
    let mut old = Hello::tls12();
    old.extensions
        .retain(|(kind, _)| *kind == SIGNATURE_ALGORITHMS);
    assert_eq!(served(&old).0, []);
    old.suites.push(0x00ff);
    assert_eq!(served(&old).0, [RENEGOTIATION_INFO]);
    // A ticket cannot be sent without a key for it.
    assert!(!served(&Hello::tls12().with(SESSION_TICKET, vec![]))
        .0
        .contains(&SESSION_TICKET));
}

#[test]
fn malformed_or_unservable_hellos() {
    let hello = Hello::tls12();
    let mut compression = hello.clone();
    compression.compression = vec![1];
    refused(&compression, Reason::BadCompressionMethods);
    compression.compression = vec![1, 0];
    served(&compression);
    refused(
        &hello.clone().set(POINT_FORMATS, vec8(&[1])),
        Reason::BadPointFormats,
    );
    refused(
        &hello.clone().set(RENEGOTIATION_INFO, vec8(&[7])),
        Reason::BadRenegotiationInfo,
    );
    refused(
        &hello.clone().with(RECORD_SIZE_LIMIT, vec![0, 63]),
        Reason::BadRecordSizeLimit,
    );
    let mut version = hello.clone();
    version.version = 0x0302;
    refused(&version, Reason::UnsupportedVersion);
    let mut suites = hello.clone();
    suites.suites = vec![0xc02f, 0x1301];
    refused(&suites, Reason::NoCommonCipherSuite);
    let mut fallback = hello.clone();
    fallback.suites.push(0x5600);
    refused(&fallback, Reason::InappropriateFallback);
    refused(
        &hello.clone().set(GROUPS, vec16(&u16s(&[0x0018]))),
        Reason::NoCommonGroup,
    );
    let sha1 = hello.clone().without(SIGNATURE_ALGORITHMS);
    refused(&sha1, Reason::NoCommonSignatureAlgorithm);
    let rsa = hello.set(SIGNATURE_ALGORITHMS, vec16(&u16s(&[0x0401])));
    refused(&rsa, Reason::NoCommonSignatureAlgorithm);
}

/// A fallback to what is the best version here is in order.
#[test]
fn fallback_scsv_is_no_error_without_tls13() {
    let mut hello = Hello::tls12();
    hello.suites.push(0x5600);
    let mut connection = Connection::new(Host::default());
    connection.host.config.versions = Version::Tls12.bit();
    connection.take(&hello.record()).unwrap();
}

/// A connection that waits for ClientKeyExchange, and the three records of a rustls client: that,
/// change_cipher_spec and Finished.
fn waiting() -> (Connection, Vec<Vec<u8>>) {
    let mut client = Rustls::new(rustls_config(ring::default_provider()));
    let mut connection = Connection::new(Host::default());
    connection.host.config.versions = Version::Tls12.bit();
    connection.take(&client.give()).unwrap();
    client.take(&std::mem::take(&mut connection.out)).unwrap();
    let flight = client.give();
    let records: Vec<_> = split_records(&flight).iter().map(|r| r.to_vec()).collect();
    assert_eq!(
        records.iter().map(|r| r[0]).collect::<Vec<_>>(),
        [22, 20, 22]
    );
    (connection, records)
}

#[test]
fn the_second_flight_may_be_cut_anywhere() {
    let flight_len = waiting().1.concat().len();
    for cut in (1..flight_len).step_by(3) {
        let (mut connection, records) = waiting();
        let flight = records.concat();
        connection.take(&flight[..cut]).unwrap();
        assert!(connection.server.established().is_none());
        connection.take(&flight[cut..]).unwrap();
        assert!(connection.server.established().is_some());
    }
    for len in [1, 2, 5, 33] {
        let (mut connection, records) = waiting();
        let exchange = crate::hello::records(&records[0][5..], len);
        connection
            .take(&[&exchange[..], &records[1], &records[2]].concat())
            .unwrap();
        assert!(connection.server.established().is_some());
    }
}

#[test]
fn every_change_of_the_second_flight_is_noticed() {
    let flight_len = waiting().1.concat().len();
    for at in (0..flight_len).step_by(5) {
        let (mut connection, records) = waiting();
        let mut flight = records.concat();
        flight[at] ^= 0x10;
        let _ = connection.take(&flight);
        let ignored = [2, records[0].len() + 2].contains(&at);
        assert_eq!(
            connection.server.established().is_some(),
            ignored,
            "byte {at}"
        );
    }
}

#[test]
fn messages_come_in_order_and_nothing_else_comes() {
    let refuses = |order: &[&[u8]], reason: Reason| {
        let (mut connection, _) = waiting();
        let last = order.last().unwrap();
        for record in &order[..order.len() - 1] {
            connection.take(record).unwrap();
        }
        assert_eq!(connection.take(last), Err(Error(reason)), "{order:?}");
        assert!(connection.server.established().is_none());
        let alert = reason.alert().map(|a| a as u8);
        if connection.out.first() == Some(&21) && connection.out.len() == 7 {
            assert_eq!(connection.out.last().copied(), alert);
        }
    };
    let exchange = record(22, &message(16, &vec8(&P256_SHARE)));
    let x25519 = record(22, &message(16, &vec8(&X25519_SHARE)));
    let ccs = record(20, &[1]);
    let finished = record(22, &message(20, &[0; 12]));
    refuses(&[&ccs], Reason::UnexpectedRecord);
    refuses(&[&finished], Reason::UnexpectedMessage);
    refuses(&[&record(23, b"data")], Reason::UnexpectedRecord);
    refuses(&[&record(22, &[])], Reason::EmptyRecord);
    refuses(&[&record(21, &[2, 40])], Reason::AlertReceived);
    refuses(&[&record(21, &[1, 0])], Reason::AlertReceived);
    // ClientHello, Certificate, CertificateVerify and an unknown type.
    for kind in [1, 11, 15, 99] {
        refuses(
            &[&record(22, &message(kind, &[0; 40]))],
            Reason::UnexpectedMessage,
        );
    }
    // The connection prefers x25519.
    refuses(&[&exchange], Reason::BadKeyShare);
    refuses(&[&record(22, &message(16, &[1]))], Reason::DecodeError);
    refuses(&[&record(22, &message(16, &[0]))], Reason::DecodeError);
    let trailing = message(16, &[vec8(&X25519_SHARE), vec![0]].concat());
    refuses(&[&record(22, &trailing)], Reason::DecodeError);
    let low_order = message(16, &vec8(&[0; 32]));
    refuses(&[&record(22, &low_order)], Reason::BadKeyShare);
    let excess = [message(16, &vec8(&X25519_SHARE)), message(20, &[0; 12])].concat();
    refuses(&[&record(22, &excess)], Reason::ExcessHandshakeData);
    refuses(
        &[&x25519[..20], &x25519[20..], &finished],
        Reason::UnexpectedMessage,
    );
    refuses(&[&x25519, &x25519], Reason::UnexpectedMessage);
    refuses(&[&x25519, &record(20, &[2])], Reason::BadChangeCipherSpec);
    refuses(&[&x25519, &record(23, b"data")], Reason::UnexpectedRecord);
    let cut = message(16, &vec8(&X25519_SHARE));
    refuses(&[&record(22, &cut[..9]), &ccs], Reason::InterleavedRecord);
    refuses(&[&x25519, &ccs, &ccs], Reason::BadRecordMac);
    refuses(&[&x25519, &ccs, &finished], Reason::BadRecordMac);
    let warning = record(21, &[1, 100]);
    let mut five: Vec<&[u8]> = vec![&warning; 5];
    refuses(&five, Reason::TooManyWarnings);
    five.truncate(4);
    five.extend([&x25519[..], &ccs, &finished]);
    refuses(&five, Reason::BadRecordMac);
}

#[test]
fn application_data_behind_finished_stays_unread() {
    let (mut connection, records) = waiting();
    let data = record(23, b"not looked at");
    connection
        .take(&[&records.concat()[..], &data].concat())
        .unwrap();
    assert!(connection.server.established().is_some());
    assert_eq!(connection.unread, data);
}
