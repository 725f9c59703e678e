// SPDX-License-Identifier: GPL-2.0
//! After a handshake with rustls the test writes the client's records itself.

use std::sync::Arc;

use rustls::ClientConnection;

use super::*;
use crate::{Endpoint, Handshake, Identity};

/// The client's side of a connection, with the keys of both directions.
struct Peer {
    session: Session,
    crypto: HostCrypto,
    write: Direction,
    read: Direction,
}

fn connect(version: &'static rustls::SupportedProtocolVersion) -> Peer {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["a.test".to_string()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let identity = Identity::new(certificate.der(), &key.serialize_der()).unwrap();
    let endpoint = Endpoint::new(tls_hs::Config::SUPPORTED, Arc::new(identity));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "a.test".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut handshake = Handshake::new(HostCrypto::seeded(1));
    while client.is_handshaking() || client.wants_write() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        handshake.feed(&endpoint, &bytes).unwrap();
        let answer = handshake.take_output();
        let mut answer = &answer[..];
        while !answer.is_empty() {
            client.read_tls(&mut answer).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let (write, read) = handshake.directions().unwrap();
    let Ok((_, session)) = handshake.finish(&endpoint) else {
        panic!("the handshake is not complete");
    };
    Peer {
        session,
        crypto: HostCrypto::seeded(2),
        write,
        read,
    }
}

fn tls12() -> Peer {
    connect(&rustls::version::TLS12)
}

fn tls13() -> Peer {
    connect(&rustls::version::TLS13)
}

impl Peer {
    fn send(&mut self, kind: u8, content: &[u8]) -> Result<Option<Received>, Failure> {
        let mut record = Vec::new();
        self.write
            .seal(&mut self.crypto, kind, content, &mut record);
        self.session.feed(&record);
        self.session.receive()
    }

    fn next(&mut self) -> (u8, Vec<u8>) {
        let output = self.session.take_output();
        let (header, body) = output.split_first_chunk().unwrap();
        self.read.open(&mut self.crypto, *header, body).unwrap()
    }

    /// The record must be refused, with this alert.
    fn refuses(mut self, kind: u8, content: &[u8], alert: u8) {
        let result = self.send(kind, content);
        self.refused(result, alert);
    }

    fn refused(&mut self, result: Result<Option<Received>, Failure>, alert: u8) {
        assert!(
            matches!(result, Err(Failure::Refused(a, _)) if a == alert),
            "{result:?}"
        );
        assert_eq!(self.next(), (ALERT, vec![FATAL, alert]));
    }
}

#[test]
fn data_goes_both_ways() {
    for mut peer in [tls12(), tls13()] {
        let data = Received::Data(b"there".to_vec());
        assert_eq!(peer.send(APPLICATION_DATA, b"there").unwrap(), Some(data));
        assert_eq!(peer.send(APPLICATION_DATA, b"").unwrap(), None);
        peer.session.send(b"and back");
        assert_eq!(peer.next(), (APPLICATION_DATA, b"and back".to_vec()));
        let closed = peer.send(ALERT, &[WARNING, CLOSE_NOTIFY]).unwrap();
        assert_eq!(closed, Some(Received::Closed));
        peer.session.close();
        assert_eq!(peer.next(), (ALERT, vec![WARNING, CLOSE_NOTIFY]));
        peer.session.close();
        assert!(peer.session.take_output().is_empty());
    }
}

#[test]
fn records_of_the_wrong_kind_are_refused() {
    for connect in [tls12, tls13] {
        connect().refuses(CHANGE_CIPHER_SPEC, &[1], 10);
        connect().refuses(HANDSHAKE, &[], 10);
        connect().refuses(HANDSHAKE, &[20, 0, 0, 0], 10);
        connect().refuses(ALERT, &[1, 0, 0], 50);
        connect().refuses(ALERT, &[42, 0], 47);
        let mut peer = connect();
        for _ in 0..EMPTY_RECORDS_MAX {
            assert!(peer.send(APPLICATION_DATA, b"").unwrap().is_none());
        }
        peer.refuses(APPLICATION_DATA, b"", 10);
    }
    // RFC 8446 section 5.4 has an alert of its own for it.
    tls12().refuses(ALERT, &[], 50);
    tls13().refuses(ALERT, &[], 10);
    tls12().refuses(HANDSHAKE, &[CLIENT_HELLO, 0, 0, 0], 100);
    tls13().refuses(HANDSHAKE, &[CLIENT_HELLO, 0, 0, 0], 10);
    tls13().refuses(0, &[], 10);
}

#[test]
fn broken_records_are_refused() {
    for connect in [tls12, tls13] {
        let mut peer = connect();
        let mut record = Vec::new();
        peer.write
            .seal(&mut peer.crypto, APPLICATION_DATA, b"data", &mut record);
        *record.last_mut().unwrap() ^= 1;
        peer.session.feed(&record);
        let result = peer.session.receive();
        peer.refused(result, 20);

        for (header, alert) in [
            ([23, 3, 3, 0x48, 0x01], 22),
            ([23, 2, 3, 0, 40], 70),
            ([24, 3, 3, 0, 1], 10),
        ] {
            let mut peer = connect();
            peer.session.feed(&header);
            peer.session.feed(&[0]);
            let result = peer.session.receive();
            peer.refused(result, alert);
        }
    }
    let mut peer = tls13();
    peer.session.feed(&[23, 3, 3, 0x41, 0x01]);
    let result = peer.session.receive();
    peer.refused(result, 22);
    tls13().refuses(APPLICATION_DATA, &[0; 16385], 22);
    tls12().refuses(APPLICATION_DATA, &[0; 16385], 22);
}

#[test]
fn key_update_comes_in_pieces_but_alone() {
    let mut peer = tls13();
    for byte in &KEY_UPDATE[..4] {
        assert!(peer.send(HANDSHAKE, &[*byte]).unwrap().is_none());
    }
    // The last byte asks for an update in return.
    assert!(peer.send(HANDSHAKE, &[1]).unwrap().is_none());
    peer.session.send(b"data");
    let output = peer.session.take_output();
    let update_len = 5 + KEY_UPDATE.len() + 1 + 16;
    let (header, body) = output[..update_len].split_first_chunk().unwrap();
    let record = peer.read.open(&mut peer.crypto, *header, body);
    assert_eq!(record, Some((HANDSHAKE, KEY_UPDATE.to_vec())));
    // Old keys no longer open what follows.
    let (header, body) = output[update_len..].split_first_chunk().unwrap();
    assert_eq!(peer.read.open(&mut peer.crypto, *header, body), None);
    let result = peer.send(APPLICATION_DATA, b"under old keys");
    assert!(matches!(result, Err(Failure::Refused(20, _))));

    tls13().refuses(HANDSHAKE, &[24, 0, 0, 1, 0, 24], 10);
    tls13().refuses(HANDSHAKE, &[24, 0, 0, 2], 50);
    tls13().refuses(HANDSHAKE, &[24, 0, 0, 1, 2], 47);
    tls12().refuses(HANDSHAKE, &KEY_UPDATE, 10);
    let mut peer = tls13();
    assert!(peer.send(HANDSHAKE, &KEY_UPDATE[..2]).unwrap().is_none());
    peer.refuses(APPLICATION_DATA, b"between", 10);
}

#[test]
fn alerts_end_the_connection() {
    for (mut peer, level) in [(tls12(), FATAL), (tls13(), FATAL), (tls13(), WARNING)] {
        let result = peer.send(ALERT, &[level, 80]);
        assert!(matches!(result, Err(Failure::Alert(80))), "{result:?}");
        peer.session.close();
        assert!(peer.session.take_output().is_empty());
    }
    let mut peer = tls12();
    for _ in 0..session::MAX_WARNINGS {
        assert!(peer.send(ALERT, &[WARNING, 90]).unwrap().is_none());
    }
    peer.refuses(ALERT, &[WARNING, 90], 10);
}
