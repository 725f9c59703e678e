// SPDX-License-Identifier: GPL-2.0
//! The same bytes cut and joined in other places, cut short, and changed.

use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::client::{handshake, rustls_config, Client, Rustls};
use crate::hello::{records, Hello};
use crate::host::{Connection, Host};
use rustls::crypto::ring;
use tls_hs::{Input, Server, Step, MIN_TRANSMIT};

#[test]
fn a_hello_may_be_cut_into_segments_anywhere() {
    let record = Hello::tls13().record();
    for cut in 1..record.len() {
        let mut connection = Connection::new(Host::default());
        assert_eq!(connection.take(&record[..cut]), Ok(()));
        assert_eq!(
            connection.unread.len(),
            cut,
            "consumed before it was complete"
        );
        assert!(connection.out.is_empty());
        assert_eq!(connection.take(&record[cut..]), Ok(()));
        assert!(connection.unread.is_empty());
        assert!(!connection.out.is_empty());
    }
}

#[test]
fn a_hello_may_be_cut_into_records_anywhere() {
    let message = Hello::tls13().message();
    for len in 1..=message.len() {
        let mut connection = Connection::new(Host::default());
        assert_eq!(connection.take(&records(&message, len)), Ok(()));
        assert!(connection.unread.is_empty());
        assert!(!connection.out.is_empty());
    }
}

#[test]
fn bytes_behind_the_hello_stay_unread() {
    let mut bytes = Hello::tls13().record();
    let len = bytes.len();
    bytes.extend_from_slice(&[20, 3, 3, 0]);
    let mut connection = Connection::new(Host::default());
    assert_eq!(connection.take(&bytes), Ok(()));
    assert_eq!(connection.unread, bytes[len..]);
}

/// Counts the bytes that are looked at.
struct Counted<'a>(&'a [u8], std::cell::Cell<usize>);

impl Input for Counted<'_> {
    fn available(&self) -> usize {
        self.0.len()
    }
    fn peek(&self, at: usize, out: &mut [u8]) -> usize {
        let len = self.0.peek(at, out);
        self.1.set(self.1.get() + len);
        len
    }
}

/// A hello that drips in costs a constant number of looks for each byte.
#[test]
fn dripping_bytes_cost_linear_work() {
    let message = Hello::tls13().with(0xfabc, vec![0; 4000]).message();
    for stream in [records(&message, 16384), records(&message, 8)] {
        let mut connection = Connection::new(Host::default());
        let mut scratch = Box::new([0; tls_hs::SCRATCH_LEN]);
        let mut looked = 0;
        for end in 1..=stream.len() {
            let input = Counted(&stream[..end], 0.into());
            let host = &mut connection.host;
            connection
                .server
                .receive(host, &input, &mut scratch)
                .unwrap();
            looked += input.1.get();
        }
        assert!(matches!(connection.server.step(), Step::MakeShare { .. }));
        assert!(
            looked < 8 * stream.len(),
            "{looked} for {} bytes",
            stream.len()
        );
    }
}

/// Whatever one byte becomes, the engine accepts, refuses or waits, and consumes only what it
/// accepts.
#[test]
fn changed_bytes_do_not_panic() {
    let record = Hello::tls13().record();
    let mut host = Host::default();
    let mut scratch = Box::new([0; tls_hs::SCRATCH_LEN]);
    for at in 0..record.len() {
        for change in 1..=255 {
            let mut bytes = record.clone();
            bytes[at] ^= change;
            let mut server = Server::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                server.receive(&mut host, &bytes[..], &mut scratch)
            }));
            let result = outcome.unwrap_or_else(|_| panic!("byte {at} ^ {change}"));
            let accepted = matches!(server.step(), Step::MakeShare { .. } | Step::Transmit);
            assert_eq!(
                result.is_ok_and(|consumed| consumed == record.len()),
                accepted
            );
        }
    }
}

/// A flight that has to leave in small pieces is the same handshake.
#[test]
fn flights_fit_small_rooms() {
    for room in (MIN_TRANSMIT..1500).step_by(31) {
        let mut client = Rustls::new(rustls_config(ring::default_provider()));
        let mut connection = Connection::new(Host {
            room,
            ..Host::default()
        });
        handshake(&mut client, &mut connection).unwrap();
        assert!(client.complete());
        assert!(connection.server.established().is_some());
    }
}

#[test]
fn no_record_is_longer_than_configured() {
    for versions in [1, 2] {
        for fragment_max in [64, 100, 512] {
            let mut client = Rustls::new(rustls_config(ring::default_provider()));
            let mut connection = Connection::new(Host::default());
            connection.host.config.versions = versions;
            connection.host.config.fragment_max = fragment_max;
            connection.take(&client.give()).unwrap();
            let records = crate::protection::split_records(&connection.out);
            for record in records {
                let overhead = if record[0] == 23 { 5 + 1 + 16 } else { 5 };
                assert!(record.len() - overhead <= fragment_max.into());
            }
            client.take(&std::mem::take(&mut connection.out)).unwrap();
            handshake(&mut client, &mut connection).unwrap();
            assert!(client.complete());
        }
    }
}

/// A chain that does not fit in one record.
#[test]
fn long_chains_are_cut_into_records() {
    let mut client = Rustls::new(rustls_config(ring::default_provider()));
    let mut host = Host::default();
    let extra = host.chain.clone();
    while host.chain.len() < 40_000 {
        host.chain.extend_from_slice(&extra);
    }
    let mut connection = Connection::new(host);
    handshake(&mut client, &mut connection).unwrap();
    assert!(client.complete());
}

/// A rustls client's second flight, and the connection that waits for it.
fn second_flight() -> (Connection, Vec<u8>) {
    let mut client = Rustls::new(rustls_config(ring::default_provider()));
    let mut connection = Connection::new(Host::default());
    connection.take(&client.give()).unwrap();
    client.take(&std::mem::take(&mut connection.out)).unwrap();
    (connection, client.give())
}

#[test]
fn the_second_flight_may_be_cut_anywhere() {
    for cut in 1..second_flight().1.len() {
        let (mut connection, flight) = second_flight();
        connection.take(&flight[..cut]).unwrap();
        assert!(connection.server.established().is_none());
        connection.take(&flight[cut..]).unwrap();
        assert!(connection.server.established().is_some());
    }
}

#[test]
fn every_change_of_the_second_flight_is_noticed() {
    for at in 0..second_flight().1.len() {
        let (mut connection, mut flight) = second_flight();
        flight[at] ^= 0x10;
        let result = connection.take(&flight);
        // The low byte of the version of a change_cipher_spec record means nothing. A record that
        // grew waits for the rest.
        assert_eq!(
            connection.server.established().is_some(),
            at == 2,
            "byte {at}"
        );
        assert!(
            result.is_err() || [2, 3, 4, 9, 10].contains(&at),
            "byte {at}"
        );
    }
}
