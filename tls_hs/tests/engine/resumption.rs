// SPDX-License-Identifier: GPL-2.0
//! Tickets: taken up by clients of other implementations, and refused outside of their scope.

use std::sync::{Arc, Mutex};

use openssl::ssl::{SslSession, SslVersion};
use rustls::crypto::{aws_lc_rs, ring};

use crate::client::{handshake, keys, rustls_config, Client, OpenSsl, Rustls};
use crate::hello::*;
use crate::host::{Connection, Host};
use crate::protection::split_records;
use tls_hs::{Error, NamedGroup, Reason, Suite, Version};

const KEY: ([u8; 16], [u8; 32]) = ([1; 16], [2; 32]);
const OTHER: ([u8; 16], [u8; 32]) = ([3; 16], [4; 32]);
const DAY: u64 = 24 * 60 * 60;

fn host(version: Version) -> Host {
    let mut host = Host {
        ticket_keys: vec![KEY],
        ..Host::default()
    };
    host.config.versions = version.bit();
    host
}

/// Connects again with the same client configuration; returns whether the session was resumed, and
/// checks that both sides agree on that.
fn connect(config: &rustls::ClientConfig, host: Host) -> bool {
    let mut client = Rustls::new(config.clone());
    let mut connection = Connection::new(host);
    handshake(&mut client, &mut connection).unwrap();
    let established = connection.server.established().expect("established");
    let resumed = client.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    assert_eq!(established.resumed, resumed);
    let says = resumed && established.version == Version::Tls13;
    assert_eq!(established.ticket_age.is_some(), says);
    // Milliseconds of this test, not a random number.
    assert!(established.ticket_age.is_none_or(|age| age < 100_000));
    let (tx, rx) = (keys(established.client), keys(established.server));
    let secrets = client.connection.dangerous_extract_secrets().unwrap();
    assert_eq!((tx.0, rx.0), (secrets.tx.0, secrets.rx.0));
    resumed
}

#[test]
fn rustls_resumes_in_both_versions() {
    for provider in [ring::default_provider(), aws_lc_rs::default_provider()] {
        for version in [Version::Tls12, Version::Tls13] {
            for suite in Suite::ALL {
                let mut provider = provider.clone();
                provider
                    .cipher_suites
                    .retain(|s| u16::from(s.suite()) == suite.code(version));
                let config = rustls_config(provider);
                assert!(!connect(&config, host(version)));
                assert!(connect(&config, host(version)));
                assert!(connect(&config, host(version)));
            }
        }
    }
}

#[test]
fn tickets_are_good_in_their_scope_only() {
    for version in [Version::Tls12, Version::Tls13] {
        let resumes = |change: fn(&mut Host)| {
            let config = rustls_config(ring::default_provider());
            assert!(!connect(&config, host(version)));
            let mut later = host(version);
            change(&mut later);
            connect(&config, later)
        };
        assert!(resumes(|_| ()));
        assert!(!resumes(|h| h.scope = [9; 32]));
        assert!(!resumes(|h| h.ticket_keys = vec![OTHER]));
        assert!(!resumes(|h| h.ticket_keys = vec![(KEY.0, OTHER.1)]));
        assert!(!resumes(|h| h.ticket_keys.clear()));
        assert!(resumes(|h| h.ticket_keys = vec![OTHER, KEY]));
        assert!(resumes(|h| h.now += DAY - 1));
        assert!(!resumes(|h| h.now += DAY));
        assert!(!resumes(|h| h.now -= 7 * DAY));
        assert!(!resumes(|h| {
            h.config.tls_12_cipher_suites = Suite::Aes256GcmSha384.bit();
            h.config.tls_13_ciphersuites = Suite::Aes256GcmSha384.bit();
        }));
    }
}

#[test]
fn tickets_are_bound_to_the_application_protocol() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut config = rustls_config(ring::default_provider());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let with = |alpn: &[u8]| Host {
            alpn: alpn.to_vec(),
            ..host(version)
        };
        assert!(!connect(&config, with(b"\x02h2")));
        assert!(!connect(&config, with(b"\x08http/1.1")));
        assert!(connect(&config, with(b"\x08http/1.1")));
    }
}

#[test]
fn no_lifetime_no_tickets() {
    for version in [Version::Tls12, Version::Tls13] {
        let config = rustls_config(ring::default_provider());
        for _ in 0..2 {
            let mut host = host(version);
            host.config.ticket_lifetime = 0;
            let mut client = Rustls::new(config.clone());
            let mut connection = Connection::new(host);
            let hello = client.give();
            assert!(!hello.windows(16).any(|w| w == KEY.0), "a ticket of no use");
            connection.take(&hello).unwrap();
            client.take(&std::mem::take(&mut connection.out)).unwrap();
            handshake(&mut client, &mut connection).unwrap();
            let established = connection.server.established().unwrap();
            assert!(!established.resumed);
            assert_eq!(established.server.seq(), (version == Version::Tls12).into());
        }
    }
}

/// A lifetime beyond 7 days is cut.
#[test]
fn lifetimes_are_limited() {
    for version in [Version::Tls12, Version::Tls13] {
        for (age, good) in [(7 * DAY - 1, true), (7 * DAY, false)] {
            let config = rustls_config(ring::default_provider());
            let mut first = host(version);
            first.config.ticket_lifetime = u32::MAX;
            assert!(!connect(&config, first));
            let mut later = host(version);
            later.now += age;
            assert_eq!(connect(&config, later), good);
        }
    }
}

/// However often a TLS 1.3 session is resumed, it ends 7 days after its full handshake.
#[test]
fn tls13_sessions_end_after_7_days() {
    let config = rustls_config(ring::default_provider());
    let at = |age: u64| {
        let mut host = host(Version::Tls13);
        host.config.ticket_lifetime = 2 * DAY as u32;
        host.now += age;
        host
    };
    assert!(!connect(&config, at(0)));
    for day in 1..7 {
        assert!(connect(&config, at(day * DAY)), "day {day}");
    }
    assert!(connect(&config, at(7 * DAY - 1)));
    assert!(!connect(&config, at(7 * DAY)));
    assert!(connect(&config, at(8 * DAY)));
}

/// Tickets of a resumed TLS 1.2 session end when the session ends; they are replaced only when the
/// key that sealed them is on its way out.
#[test]
fn tls12_tickets_are_not_prolonged() {
    let config = rustls_config(ring::default_provider());
    assert!(!connect(&config, host(Version::Tls12)));
    let at = |age: u64, keys: &[([u8; 16], [u8; 32])]| {
        let mut host = host(Version::Tls12);
        host.now += age;
        host.ticket_keys = keys.to_vec();
        host
    };
    assert!(connect(&config, at(DAY / 2, &[OTHER, KEY])));
    // The ticket is the one sealed with the other key now, and is not replaced again.
    let mut client = Rustls::new(config.clone());
    let mut connection = Connection::new(at(DAY / 2, &[OTHER, KEY]));
    connection.take(&client.give()).unwrap();
    assert!(!connection
        .out
        .windows(16)
        .any(|w| w == OTHER.0 || w == KEY.0));
    handshake(&mut client, &mut connection).unwrap();
    assert!(connect(&config, at(DAY - 1, &[OTHER])));
    assert!(!connect(&config, at(DAY, &[OTHER])));
}

#[test]
fn the_number_of_tickets_is_configured() {
    for count in [0, 1, 2, 5] {
        let mut host = host(Version::Tls13);
        host.config.tickets = count;
        let mut client = Rustls::new(rustls_config(ring::default_provider()));
        let mut connection = Connection::new(host);
        handshake(&mut client, &mut connection).unwrap();
        assert_eq!(
            connection.server.established().unwrap().server.seq(),
            count.into()
        );
        assert_eq!(client.connection.tls13_tickets_received(), count.into());
    }
}

#[test]
fn tickets_may_leave_in_pieces() {
    let config = rustls_config(ring::default_provider());
    for version in [Version::Tls12, Version::Tls13] {
        for room in [128, 150, 200] {
            connect(
                &config,
                Host {
                    room,
                    ..host(version)
                },
            );
            assert!(connect(
                &config,
                Host {
                    room,
                    ..host(version)
                }
            ));
        }
    }
}

/// A client whose first share is not for the group wanted resumes behind a HelloRetryRequest.
#[test]
fn a_retried_handshake_may_resume() {
    let mut provider = ring::default_provider();
    provider
        .kx_groups
        .sort_by_key(|g| u16::from(g.name()) == NamedGroup::Secp256r1.code());
    let config = rustls_config(provider);
    let with = |groups: u32| {
        let mut host = host(Version::Tls13);
        host.config.ecurves = groups;
        host
    };
    assert!(!connect(&config, with(NamedGroup::X25519.bit())));
    let mut client = Rustls::new(config);
    let mut connection = Connection::new(with(NamedGroup::Secp256r1.bit()));
    handshake(&mut client, &mut connection).unwrap();
    let established = connection.server.established().unwrap();
    assert!(established.resumed);
    assert_eq!(established.group, NamedGroup::Secp256r1);

    let new = |session| Resuming::new(SslVersion::TLS1_3, true, session);
    let (_, _, session) = new(None).connect(Version::Tls13);
    let mut again = new(session.as_deref());
    let mut connection = Connection::new(with(NamedGroup::Secp256r1.bit()));
    let mut kinds = Vec::new();
    while !again.client.complete() {
        connection.take(&again.client.give()).unwrap();
        let records = split_records(&connection.out);
        kinds.extend(records.iter().map(|record| record[0]));
        again
            .client
            .take(&std::mem::take(&mut connection.out))
            .unwrap();
    }
    // HelloRetryRequest, change_cipher_spec, ServerHello, and what is protected.
    assert_eq!(kinds[..4], [22, 20, 22, 23]);
    connection.take(&again.client.give()).unwrap();
    let established = connection.server.established().unwrap();
    assert!(established.resumed);
    assert_eq!(established.group, NamedGroup::Secp256r1);
}

/// An OpenSSL client that keeps the sessions it gets. In DER, since OpenSSL spoils the session of a
/// connection that is dropped.
struct Resuming {
    sessions: Arc<Mutex<Vec<Vec<u8>>>>,
    client: OpenSsl,
}

impl Resuming {
    fn new(version: SslVersion, extended: bool, session: Option<&[u8]>) -> Self {
        Self::for_name(version, extended, session, crate::host::NAME)
    }

    fn for_name(version: SslVersion, extended: bool, session: Option<&[u8]>, name: &str) -> Self {
        let sessions: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let store = sessions.clone();
        let client = OpenSsl::with(
            |context| {
                context.set_max_proto_version(Some(version)).unwrap();
                context.set_session_cache_mode(openssl::ssl::SslSessionCacheMode::CLIENT);
                context.set_new_session_callback(move |_, session| {
                    store.lock().unwrap().push(session.to_der().unwrap());
                });
                if !extended {
                    // SSL_OP_NO_EXTENDED_MASTER_SECRET, which the crate has no name for.
                    context.set_options(openssl::ssl::SslOptions::from_bits_retain(1));
                }
            },
            |ssl| {
                ssl.set_hostname(name).unwrap();
                if let Some(session) = session {
                    let session = SslSession::from_der(session).unwrap();
                    // SAFETY: the session is used with a context of the same configuration.
                    unsafe { ssl.set_session(&session) }.unwrap();
                }
            },
        );
        Resuming { sessions, client }
    }

    /// Runs the handshake. Returns whether it was a resumption, whether there is an extended master
    /// secret, and the new session.
    fn connect(mut self, version: Version) -> (bool, bool, Option<Vec<u8>>) {
        let mut connection = Connection::new(host(version));
        handshake(&mut self.client, &mut connection).unwrap();
        assert!(self.client.complete());
        self.client.read_nothing();
        let established = connection.server.established().unwrap();
        assert_eq!(
            self.client.stream.ssl().session_reused(),
            established.resumed
        );
        let session = self.sessions.lock().unwrap().pop();
        (
            established.resumed,
            established.extended_master_secret,
            session,
        )
    }
}

#[test]
fn openssl_resumes_in_both_versions() {
    for (version, protocol) in [
        (Version::Tls12, SslVersion::TLS1_2),
        (Version::Tls13, SslVersion::TLS1_3),
    ] {
        let (resumed, _, session) = Resuming::new(protocol, true, None).connect(version);
        assert!(!resumed);
        let again = Resuming::new(protocol, true, session.as_deref());
        assert!(again.connect(version).0);
    }
}

/// The first ticket in a stream, found by the name of its key behind its length.
fn ticket_in(stream: &[u8]) -> Vec<u8> {
    let at = stream
        .windows(16)
        .position(|w| w == KEY.0)
        .expect("a ticket");
    let len = usize::from(u16::from_be_bytes([stream[at - 2], stream[at - 1]]));
    stream[at..at + len].to_vec()
}

#[test]
fn tickets_are_bound_to_version_and_suite() {
    // A ticket of TLS 1.3, from the ClientHello that offers it, for TLS 1.2: a resumption would
    // have a change_cipher_spec in the first flight.
    let config = rustls_config(ring::default_provider());
    assert!(!connect(&config, host(Version::Tls13)));
    let ticket = ticket_in(&Rustls::new(config).give());
    let resumes = |hello: &Hello| {
        let mut connection = Connection::new(host(Version::Tls12));
        connection.take(&hello.record()).unwrap();
        split_records(&connection.out)
            .iter()
            .any(|record| record[0] == 20)
    };
    let mut hello = Hello::tls12().with(SESSION_TICKET, ticket);
    // The suite of the session, whichever it is.
    hello.suites = vec![0xc02b, 0xc02c, 0xcca9];
    assert!(!resumes(&hello));

    // A ticket of TLS 1.2, from the NewSessionTicket, for TLS 1.3: it would be found out by its
    // binder, which nobody can make.
    let config = rustls_config(ring::default_provider());
    let mut client = Rustls::new(config.clone());
    let mut connection = Connection::new(host(Version::Tls12));
    let mut stream = Vec::new();
    while !client.complete() {
        connection.take(&client.give()).unwrap();
        stream.extend_from_slice(&connection.out);
        client.take(&std::mem::take(&mut connection.out)).unwrap();
    }
    let ticket = ticket_in(&stream);
    hello.extensions.last_mut().unwrap().1 = ticket.clone();
    assert!(resumes(&hello));
    // Nor is it good with another suite than that of its session.
    hello.suites = vec![0xc02c];
    assert!(!resumes(&hello));
    let hello = Hello::tls13()
        .with(PSK_MODES, vec8(&[1]))
        .with(PRE_SHARED_KEY, psks(&[&ticket], 1));
    let mut connection = Connection::new(host(Version::Tls13));
    assert_eq!(connection.take(&hello.record()), Ok(()));
}

/// Without (EC)DHE a ticket is not looked at, let alone its binder.
#[test]
fn tickets_are_used_with_dhe_only() {
    let config = rustls_config(ring::default_provider());
    assert!(!connect(&config, host(Version::Tls13)));
    let ticket = ticket_in(&Rustls::new(config).give());
    for (modes, result) in [(&[0][..], Ok(())), (&[0, 1], Err(Error(Reason::BadBinder)))] {
        let hello = Hello::tls13()
            .with(PSK_MODES, vec8(modes))
            .with(PRE_SHARED_KEY, psks(&[b"unknown", &ticket], 2));
        let mut connection = Connection::new(host(Version::Tls13));
        assert_eq!(connection.take(&hello.record()), result);
    }
}

/// RFC 5077 section 3.3: a ticket that was announced and cannot be made is sent empty.
#[test]
fn a_key_may_go_while_a_handshake_is_under_way() {
    let config = rustls_config(ring::default_provider());
    let mut client = Rustls::new(config.clone());
    let mut connection = Connection::new(host(Version::Tls12));
    connection.take(&client.give()).unwrap();
    connection.host.ticket_keys.clear();
    client.take(&std::mem::take(&mut connection.out)).unwrap();
    handshake(&mut client, &mut connection).unwrap();
    assert!(client.complete());
    assert!(!connect(&config, host(Version::Tls12)));
}

/// Whatever certificate serves the other name.
#[test]
fn tickets_are_bound_to_the_server_name() {
    for (version, protocol) in [
        (Version::Tls12, SslVersion::TLS1_2),
        (Version::Tls13, SslVersion::TLS1_3),
    ] {
        let (_, _, session) = Resuming::new(protocol, true, None).connect(version);
        for (name, resumes) in [("TLS-HS.Test", true), ("other.test", false)] {
            let again = Resuming::for_name(protocol, true, session.as_deref(), name);
            assert_eq!(again.connect(version).0, resumes, "{version:?} {name}");
        }
    }
}

/// RFC 7627 section 5.3.
#[test]
fn extended_master_secrets_are_kept_over_resumption() {
    let new = |extended, session| Resuming::new(SslVersion::TLS1_2, extended, session);
    let version = Version::Tls12;
    let (_, extended, without) = new(false, None).connect(version);
    assert!(!extended);
    let (_, extended, with) = new(true, None).connect(version);
    assert!(extended);

    let (resumed, extended, _) = new(false, without.as_deref()).connect(version);
    assert_eq!((resumed, extended), (true, false));
    let (resumed, extended, _) = new(true, without.as_deref()).connect(version);
    assert_eq!((resumed, extended), (false, true));
    let (resumed, extended, _) = new(true, with.as_deref()).connect(version);
    assert_eq!((resumed, extended), (true, true));
    let mut lost = new(false, with.as_deref());
    let mut connection = Connection::new(host(version));
    let result = connection.take(&lost.client.give());
    assert_eq!(result, Err(Error(Reason::LostExtendedMasterSecret)));
    assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, 40]);
}

/// RFC 6066 section 3: no server_name in the ServerHello of a resumed session.
#[test]
fn server_name_is_not_acknowledged_again() {
    let config = rustls_config(ring::default_provider());
    let extensions = || {
        let mut client = Rustls::new(config.clone());
        let mut connection = Connection::new(host(Version::Tls12));
        connection.take(&client.give()).unwrap();
        let hello = connection.out.clone();
        client.take(&std::mem::take(&mut connection.out)).unwrap();
        handshake(&mut client, &mut connection).unwrap();
        let session_id_len = usize::from(hello[5 + 38]);
        extension_types(&hello[5 + 39 + session_id_len + 3..])
    };
    assert!(extensions().contains(&SERVER_NAME));
    assert!(!extensions().contains(&SERVER_NAME));
}

/// A byte of a ticket that changes makes a full handshake, one of a binder an alert.
#[test]
fn changed_tickets_and_binders() {
    let config = rustls_config(ring::default_provider());
    assert!(!connect(&config, host(Version::Tls13)));
    let mut record = Rustls::new(config).give();
    let len = record.len();
    let mut connection = Connection::new(host(Version::Tls13));
    record[len - 1] ^= 1;
    assert_eq!(connection.take(&record), Err(Error(Reason::BadBinder)));
    assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, 51]);
    record[len - 1] ^= 1;

    // The binder list takes 2 + 1 + 32 or 48 bytes, the age before it 4.
    let tag = (len - 120..len).rev().find(|at| {
        let mut changed = record.clone();
        changed[*at] ^= 1;
        let mut connection = Connection::new(host(Version::Tls13));
        connection.take(&changed).is_ok()
    });
    assert!(
        tag.is_some(),
        "no byte of the ticket leads to a full handshake"
    );
}
