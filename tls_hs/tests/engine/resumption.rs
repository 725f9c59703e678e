// SPDX-License-Identifier: GPL-2.0
//! Tickets: taken up by clients of other implementations, and refused outside of their scope.

use std::sync::{Arc, Mutex};

use openssl::ssl::{SslSession, SslVersion};
use rustls::crypto::{aws_lc_rs, ring};

use crate::client::{handshake, keys, rustls_config, Client, OpenSsl, Rustls};
use crate::host::{Connection, Host};
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
    // The ticket is the one sealed with the other key now.
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
}

#[test]
fn openssl_resumes_in_both_versions() {
    for (version, protocol) in [
        (Version::Tls12, SslVersion::TLS1_2),
        (Version::Tls13, SslVersion::TLS1_3),
    ] {
        // In DER, since OpenSSL spoils the session of a connection that is dropped.
        let sessions: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let connect = |session: Option<&SslSession>| {
            let store = sessions.clone();
            let mut client = OpenSsl::with(
                |context| {
                    context.set_max_proto_version(Some(protocol)).unwrap();
                    context.set_session_cache_mode(openssl::ssl::SslSessionCacheMode::CLIENT);
                    context.set_new_session_callback(move |_, session| {
                        store.lock().unwrap().push(session.to_der().unwrap());
                    });
                },
                |ssl| {
                    if let Some(session) = session {
                        // SAFETY: the session is used with a context of the same configuration.
                        unsafe { ssl.set_session(session) }.unwrap();
                    }
                },
            );
            let mut connection = Connection::new(host(version));
            handshake(&mut client, &mut connection).unwrap();
            assert!(client.complete());
            client.read_nothing();
            let resumed = connection.server.established().unwrap().resumed;
            assert_eq!(client.stream.ssl().session_reused(), resumed);
            resumed
        };
        assert!(!connect(None));
        let session = sessions.lock().unwrap().pop().expect("a session");
        let session = SslSession::from_der(&session).unwrap();
        assert!(connect(Some(&session)));
    }
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
