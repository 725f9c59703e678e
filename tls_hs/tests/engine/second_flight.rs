// SPDX-License-Identifier: GPL-2.0
//! What may come between the ClientHello and the client's Finished, and what may not.

use crate::hello::*;
use crate::host::{Connection, Host};
use crate::protection::{split_records, Protection, Secrets};
use tls_hs::{AlertDescription, Error, Reason};

/// A connection that waits for the client's Finished, and what a client of it knows.
struct Waiting {
    connection: Connection,
    /// Application keys of the server, under which alerts come.
    server: Protection,
    client: Protection,
    finished: Vec<u8>,
    /// Types of EncryptedExtensions.
    extensions: Vec<u16>,
}

fn waiting() -> Waiting {
    waiting_for(&Hello::tls13())
}

fn waiting_for(hello: &Hello) -> Waiting {
    waiting_at(Host::default(), hello)
}

fn waiting_at(host: Host, hello: &Hello) -> Waiting {
    let mut connection = Connection::new(host);
    connection.take(&hello.record()).unwrap();
    let flight = std::mem::take(&mut connection.out);
    let records = split_records(&flight);
    let server_hello = &records[0][5..];
    let mut messages = [&hello.message(), server_hello].concat();
    let secrets = Secrets::new(&messages, server_hello);
    assert_eq!(records[1], CCS);
    let mut server = Protection::new(&secrets.server_handshake);
    for record in &records[2..] {
        let (kind, content) = server.open(record);
        assert_eq!(kind, 22);
        messages.extend_from_slice(&content);
    }
    let encrypted_extensions = &messages[hello.message().len() + server_hello.len()..];
    Waiting {
        extensions: extension_types(&encrypted_extensions[4..]),
        connection,
        server: Protection::new(&secrets.application("s", &messages)),
        client: Protection::new(&secrets.client_handshake),
        finished: secrets.finished(&messages),
    }
}

impl Waiting {
    fn refuses(mut self, bytes: &[u8], reason: Reason) {
        assert_eq!(self.connection.take(bytes), Err(Error(reason)));
        assert!(self.connection.server.established().is_none());
        match reason.alert() {
            Some(alert) => {
                assert_eq!(
                    self.server.open(&self.connection.out),
                    (21, vec![2, alert as u8])
                );
            }
            None => assert!(self.connection.out.is_empty()),
        }
    }

    fn completes(&mut self, bytes: &[u8]) {
        self.connection.take(bytes).unwrap();
        assert!(self.connection.server.established().is_some());
    }

    fn finish(mut self) {
        let record = self.client.seal(22, &self.finished, 0);
        self.completes(&record);
    }
}

const CCS: [u8; 6] = [20, 3, 3, 0, 1, 1];

#[test]
fn finished_may_be_padded_and_cut_into_records() {
    let mut w = waiting();
    let record = w.client.seal(22, &w.finished, 16384 - w.finished.len());
    w.completes(&record);
    for cut in 1..36 {
        let mut w = waiting();
        let finished = w.finished.clone();
        let first = w.client.seal(22, &finished[..cut], cut);
        let second = w.client.seal(22, &finished[cut..], 0);
        w.completes(&[first, second].concat());
    }
    let mut w = waiting();
    let finished = w.finished.clone();
    let bytes: Vec<u8> = finished
        .iter()
        .flat_map(|b| w.client.seal(22, &[*b], 0))
        .collect();
    w.completes(&bytes);
}

/// RFC 8446 section 5.1: legacy_record_version is ignored for all purposes. That of a protected record
/// is authentic, that of a change_cipher_spec is nothing.
#[test]
fn a_changed_bit_matters_but_in_the_version_of_a_change_cipher_spec() {
    let flight = |w: &mut Waiting| [&CCS[..], &w.client.seal(22, &w.finished, 0)].concat();
    let bits = 8 * flight(&mut waiting()).len();
    let mut harmless = Vec::new();
    for bit in 0..bits {
        let mut w = waiting();
        let mut flight = flight(&mut w);
        flight[bit / 8] ^= 1 << (bit % 8);
        // It may wait for more.
        let _ = w.connection.take(&flight);
        if w.connection.server.established().is_some() {
            harmless.push(bit);
        }
    }
    assert_eq!(harmless, Vec::from_iter(16..24));
}

#[test]
fn application_data_behind_finished_stays_unread_and_unharmed() {
    let mut w = waiting();
    let finished = w.client.seal(22, &w.finished, 0);
    let data = record(23, b"not looked at");
    w.completes(&[&finished[..], &data].concat());
    assert_eq!(w.connection.unread, data);
}

#[test]
fn finished_must_be_right_and_alone() {
    for at in 4..36 {
        let mut w = waiting();
        w.finished[at] ^= 0x80;
        let record = w.client.seal(22, &w.finished, 0);
        w.refuses(&record, Reason::BadFinished);
    }
    for len in [0, 31, 33, 48] {
        let mut w = waiting();
        let mut verify_data = w.finished[4..].to_vec();
        verify_data.resize(len, 0);
        let record = w.client.seal(22, &message(20, &verify_data), 0);
        w.refuses(&record, Reason::DecodeError);
    }
    let mut w = waiting();
    let record = w
        .client
        .seal(22, &[&w.finished[..], &message(24, &[0])].concat(), 0);
    w.refuses(&record, Reason::ExcessHandshakeData);
    let mut w = waiting();
    let record = w.client.seal(22, &[20, 0x7f, 0xff, 0xff], 0);
    w.refuses(&record, Reason::DecodeError);
}

/// ClientHello, NewSessionTicket, EndOfEarlyData, EncryptedExtensions, Certificate,
/// CertificateVerify, KeyUpdate and an unknown type.
#[test]
fn no_other_message_may_come() {
    for kind in [1, 4, 5, 8, 11, 15, 24, 99] {
        let mut w = waiting();
        let record = w.client.seal(22, &message(kind, &[0; 32]), 0);
        w.refuses(&record, Reason::UnexpectedMessage);
    }
}

#[test]
fn no_other_record_may_come() {
    let sealed = |kind, content: &[u8], reason| {
        let mut w = waiting();
        let record = w.client.seal(kind, content, 0);
        w.refuses(&record, reason);
    };
    sealed(
        23,
        b"application data before Finished",
        Reason::UnexpectedRecord,
    );
    sealed(20, &[1], Reason::BadChangeCipherSpec);
    sealed(24, &[1], Reason::UnexpectedRecord);
    sealed(22, &[], Reason::EmptyRecord);
    sealed(0, &[], Reason::EmptyRecord);
    let w = waiting();
    let plain = record(22, &w.finished);
    w.refuses(&plain, Reason::UnexpectedRecord);
    waiting().refuses(&record(99, &[0]), Reason::UnexpectedRecord);
    waiting().refuses(&record(23, &[0; 16]), Reason::BadRecordMac);
    waiting().refuses(&record(23, &[]), Reason::BadRecordMac);
    waiting().refuses(&record(23, &[0; 64]), Reason::BadRecordMac);
    waiting().refuses(&[23, 3, 3, 0x41, 0x01], Reason::RecordOverflow);
    waiting().refuses(&[23, 2, 3, 0, 20], Reason::RecordVersion);
    let mut w = waiting();
    let long = w.client.seal(22, &w.finished, 16385 - w.finished.len());
    w.refuses(&long, Reason::RecordOverflow);
}

#[test]
fn change_cipher_spec_is_dropped_within_limits() {
    let mut w = waiting();
    w.connection.take(&CCS.repeat(32)).unwrap();
    w.finish();
    waiting().refuses(&CCS.repeat(33), Reason::TooManyChangeCipherSpecs);
    waiting().refuses(&record(20, &[0]), Reason::BadChangeCipherSpec);
    waiting().refuses(&record(20, &[1, 1]), Reason::BadChangeCipherSpec);
    waiting().refuses(&record(20, &[]), Reason::BadChangeCipherSpec);
    let mut w = waiting();
    let first = w.client.seal(22, &w.finished[..5], 0);
    w.refuses(&[&first[..], &CCS].concat(), Reason::InterleavedRecord);
}

#[test]
fn alerts_end_the_handshake_but_for_user_canceled() {
    let canceled = [1, AlertDescription::UserCanceled as u8];
    for alert in [[2, 40], [1, 0], [2, 0], [1, 100], [2, canceled[1]]] {
        let mut w = waiting();
        let sealed = w.client.seal(21, &alert, 0);
        w.refuses(&sealed, Reason::AlertReceived);
        waiting().refuses(&record(21, &alert), Reason::AlertReceived);
        let mut w = waiting();
        assert_eq!(w.connection.server.alert_received(), None);
        w.connection.take(&record(21, &alert)).unwrap_err();
        assert_eq!(w.connection.server.alert_received(), Some(alert[1]));
    }
    for alert in [&[2][..], &[2, 40, 0]] {
        let mut w = waiting();
        let sealed = w.client.seal(21, alert, 0);
        w.refuses(&sealed, Reason::DecodeError);
    }
    for padding in [0, 2, 30] {
        let mut w = waiting();
        let sealed = w.client.seal(21, &[], padding);
        w.refuses(&sealed, Reason::EmptyRecord);
    }
    let mut w = waiting();
    for _ in 0..4 {
        let sealed = w.client.seal(21, &canceled, 0);
        w.connection.take(&sealed).unwrap();
    }
    w.finish();
    let mut w = waiting();
    let five: Vec<u8> = (0..5)
        .flat_map(|_| w.client.seal(21, &canceled, 0))
        .collect();
    w.refuses(&five, Reason::TooManyWarnings);
    let mut w = waiting();
    let first = w.client.seal(22, &w.finished[..5], 0);
    let sealed = w.client.seal(21, &canceled, 0);
    w.refuses(&[first, sealed].concat(), Reason::InterleavedRecord);
}

#[test]
fn records_are_as_short_as_the_client_wants() {
    for (limit, longest) in [(64, 63), (100, 99), (0x4001, 16384)] {
        let limit: u16 = limit;
        let data = limit.to_be_bytes().to_vec();
        let hello = Hello::tls13().with(RECORD_SIZE_LIMIT, data);
        let mut connection = Connection::new(Host::default());
        connection.take(&hello.record()).unwrap();
        let records = split_records(&connection.out);
        let content_len = |record: &&[u8]| record.len() - 5 - 16 - 1;
        assert_eq!(
            records[2..].iter().map(content_len).max(),
            Some(longest.min(content_len(&records[2])))
        );
        assert!(content_len(&records[2]) <= longest);
        let w = waiting_for(&hello);
        assert!(w.extensions.contains(&RECORD_SIZE_LIMIT));
        w.finish();
    }
}

/// RFC 8446 section 4.2.9: a ticket that the client cannot use SHOULD NOT be sent.
#[test]
fn tickets_are_sent_to_clients_that_can_use_them() {
    for (modes, tickets) in [(&[][..], 0), (&[0], 0), (&[1], 2), (&[0x0b, 1], 2)] {
        let hello = match modes {
            [] => Hello::tls13(),
            modes => Hello::tls13().with(PSK_MODES, vec8(modes)),
        };
        let host = Host {
            ticket_keys: vec![([1; 16], [2; 32])],
            ..Host::default()
        };
        let mut w = waiting_at(host, &hello);
        let record = w.client.seal(22, &w.finished, 0);
        w.completes(&record);
        let established = w.connection.server.established().unwrap();
        assert_eq!(established.server.seq(), tickets);
        let mut nonces = Vec::new();
        for record in split_records(&w.connection.out) {
            let (kind, message) = w.server.open(record);
            assert_eq!((kind, message[0]), (22, 4));
            assert_eq!(message[4..8], (24 * 60 * 60_u32).to_be_bytes());
            // At least one deployed client fails with long nonces.
            let len = usize::from(message[12]);
            assert!((1..=8).contains(&len));
            nonces.push(message[13..13 + len].to_vec());
        }
        nonces.dedup();
        assert_eq!(nonces.len() as u64, tickets);
    }
}

/// RFC 8446 section 4.1.2: of its PSKs a client may drop those that do not suit what was chosen.
#[test]
fn a_good_psk_is_not_dropped_after_a_retry() {
    let host = || Host {
        ticket_keys: vec![([1; 16], [2; 32])],
        ..Host::default()
    };
    let modes = Hello::tls13().with(PSK_MODES, vec8(&[1]));
    let mut w = waiting_at(host(), &modes);
    let record = w.client.seal(22, &w.finished, 0);
    w.completes(&record);
    let (_, message) = w.server.open(split_records(&w.connection.out)[0]);
    let nonce_len = usize::from(message[12]);
    let ticket = &message[13 + nonce_len + 2..message.len() - 2];

    let second = modes
        .clone()
        .set(KEY_SHARE, key_shares(&[(0x001d, &X25519_SHARE)]));
    let mut other = ticket.to_vec();
    other[20] ^= 1;
    for (offered, result) in [
        (ticket, Err(Error(Reason::BadSecondClientHello))),
        (&other, Ok(())),
    ] {
        let first = modes
            .clone()
            .set(KEY_SHARE, key_shares(&[]))
            .with(PRE_SHARED_KEY, psks(&[offered], 1));
        let mut connection = Connection::new(host());
        connection.take(&first.record()).unwrap();
        assert_eq!(connection.take(&second.record()), result);
        // One that is still offered is checked as ever.
        let mut connection = Connection::new(host());
        connection.take(&first.record()).unwrap();
        let again = second.clone().with(PRE_SHARED_KEY, psks(&[offered], 1));
        let expected = result.map_err(|_| Error(Reason::BadBinder));
        assert_eq!(connection.take(&again.record()), expected);
    }
}

/// Early data is protected by keys that the engine does not have.
#[test]
fn early_data_is_skipped_up_to_the_limit() {
    let announced = Hello::tls13().with_early_data();
    let half = early_data(8192);
    for skipped in [
        early_data(16384),
        [&half[..], &CCS, &half].concat(),
        early_data(0).repeat(256),
    ] {
        let mut w = waiting_for(&announced);
        w.connection.take(&skipped).unwrap();
        w.finish();
        let mut w = waiting_for(&announced);
        for byte in &skipped {
            w.connection.take(&[*byte]).unwrap();
        }
        w.finish();
        for excess in [early_data(1), record(23, &[])] {
            let mut w = waiting_for(&announced);
            w.connection.take(&skipped).unwrap();
            w.refuses(&excess, Reason::TooMuchEarlyData);
        }
    }
    waiting_for(&announced).refuses(&early_data(16385), Reason::TooMuchEarlyData);
    // Behind the first record that opens there is none.
    let mut w = waiting_for(&announced);
    let first = w.client.seal(22, &w.finished[..5], 0);
    w.connection.take(&first).unwrap();
    w.refuses(&early_data(100), Reason::BadRecordMac);
}

/// RFC 8446 section 4.2.10: early data comes with a PSK.
#[test]
fn less_early_data_is_skipped_without_a_psk() {
    let announced = Hello::tls13().with(EARLY_DATA, vec![]);
    let mut w = waiting_for(&announced);
    w.connection.take(&early_data(4096)).unwrap();
    w.finish();
    waiting_for(&announced).refuses(&early_data(4097), Reason::TooMuchEarlyData);
}
