// SPDX-License-Identifier: GPL-2.0
//! TLS 1.2: what becomes of its ClientHello, and what may come behind it.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::Aes128Gcm;
use rustls::crypto::ring;
use sha2::{Digest, Sha256};

use crate::client::{rustls_config, Client, Rustls};
use crate::hello::*;
use crate::host::{Connection, Host};
use crate::protection::{hmac, split_records};
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
    // x25519 would do for the key exchange, but not for the certificate.
    refused(
        &hello.clone().set(GROUPS, vec16(&u16s(&[0x001d]))),
        Reason::NoCommonGroup,
    );
    served(&hello.clone().set(GROUPS, vec16(&u16s(&[0x001d, 0x0017]))));
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
    refuses(
        &[&x25519, &record(20, &[2])],
        Reason::IllegalChangeCipherSpec,
    );
    refuses(
        &[&x25519, &record(20, &[1, 1])],
        Reason::IllegalChangeCipherSpec,
    );
    refuses(&[&[22, 3, 1, 0, 1, 16]], Reason::RecordVersion);
    refuses(&[&x25519, &[20, 3, 4, 0, 1, 1]], Reason::RecordVersion);
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

/// A client that has sent everything but Finished.
struct Waiting {
    connection: Connection,
    key: [u8; 16],
    salt: [u8; 4],
    /// verify_data.
    finished: Vec<u8>,
}

fn prf(secret: &[u8], label: &[u8], seed: &[u8], len: usize) -> Vec<u8> {
    let seed = [label, seed].concat();
    let (mut a, mut out) = (seed.clone(), Vec::new());
    while out.len() < len {
        a = hmac(secret, &a);
        out.extend(hmac(secret, &[&a[..], &seed].concat()));
    }
    out[..len].to_vec()
}

/// The client's private key is 1: its share is the generator, the premaster secret the x-coordinate
/// of the server's share.
fn waiting_for_finished() -> Waiting {
    let hello = Hello::tls12().set(GROUPS, vec16(&u16s(&[0x0017])));
    let mut connection = Connection::new(Host::default());
    connection.take(&hello.record()).unwrap();
    let flight = std::mem::take(&mut connection.out);
    let mut messages = hello.message();
    split_records(&flight)
        .iter()
        .for_each(|record| messages.extend_from_slice(&record[5..]));
    let random = messages[hello.message().len() + 6..][..32].to_vec();
    let share = messages
        .windows(5)
        .position(|w| w == [3, 0, 23, 65, 4])
        .unwrap()
        + 5;
    let premaster = messages[share..share + 32].to_vec();
    let exchange = message(16, &vec8(&P256_SHARE));
    messages.extend_from_slice(&exchange);
    connection
        .take(&[record(22, &exchange), record(20, &[1])].concat())
        .unwrap();

    let hash = Sha256::digest(&messages);
    let master = prf(&premaster, b"extended master secret", &hash, 48);
    let keys = prf(
        &master,
        b"key expansion",
        &[&random[..], &hello.random].concat(),
        40,
    );
    Waiting {
        connection,
        key: keys[..16].try_into().unwrap(),
        salt: keys[32..36].try_into().unwrap(),
        finished: prf(&master, b"client finished", &hash, 12),
    }
}

impl Waiting {
    /// The first record under the client's keys.
    fn record(&self, kind: u8, content: &[u8]) -> Vec<u8> {
        let explicit = [9; 8];
        let nonce: [u8; 12] = [&self.salt[..], &explicit].concat().try_into().unwrap();
        let mut aad = vec![0, 0, 0, 0, 0, 0, 0, 0, kind, 3, 3];
        aad.extend_from_slice(&(content.len() as u16).to_be_bytes());
        let cipher = Aes128Gcm::new(&self.key.into());
        let sealed = cipher
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: content,
                    aad: &aad,
                },
            )
            .unwrap();
        record(kind, &[&explicit[..], &sealed].concat())
    }

    fn refuses(kind: u8, content: &[u8], reason: Reason) {
        let mut w = waiting_for_finished();
        let record = w.record(kind, content);
        assert_eq!(w.connection.take(&record), Err(Error(reason)));
        assert!(w.connection.server.established().is_none());
        let alert = reason
            .alert()
            .map(|alert| vec![21, 3, 3, 0, 2, 2, alert as u8]);
        assert_eq!(w.connection.out, alert.unwrap_or_default());
    }
}

#[test]
fn finished_must_be_right_and_alone() {
    let mut w = waiting_for_finished();
    let record = w.record(22, &message(20, &w.finished));
    w.connection.take(&record).unwrap();
    let established = w.connection.server.established().unwrap();
    assert_eq!((established.client.seq(), established.server.seq()), (1, 1));

    for at in 0..12 {
        let mut w = waiting_for_finished();
        w.finished[at] ^= 1;
        let record = w.record(22, &message(20, &w.finished));
        assert_eq!(w.connection.take(&record), Err(Error(Reason::BadFinished)));
    }
    for len in [0, 11, 13, 32] {
        let mut w = waiting_for_finished();
        w.finished.resize(len, 0);
        let record = w.record(22, &message(20, &w.finished));
        assert_eq!(w.connection.take(&record), Err(Error(Reason::BadFinished)));
    }
    let mut w = waiting_for_finished();
    let excess = w.record(22, &[message(20, &w.finished), vec![0]].concat());
    assert_eq!(
        w.connection.take(&excess),
        Err(Error(Reason::ExcessHandshakeData))
    );
    Waiting::refuses(22, &[], Reason::EmptyRecord);
    Waiting::refuses(22, &message(1, &[0; 40]), Reason::UnexpectedMessage);
    Waiting::refuses(20, &[1], Reason::UnexpectedRecord);
    Waiting::refuses(23, b"data", Reason::UnexpectedRecord);
    Waiting::refuses(21, &[2, 40], Reason::AlertReceived);
    Waiting::refuses(22, &[20; 16385], Reason::RecordOverflow);
    Waiting::refuses(99, &[1], Reason::UnexpectedRecord);
}
