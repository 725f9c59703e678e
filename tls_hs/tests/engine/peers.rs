// SPDX-License-Identifier: GPL-2.0
//! Whole handshakes with other implementations.

use rustls::crypto::{aws_lc_rs, ring, CryptoProvider};
use rustls::ConnectionTrafficSecrets;

use crate::client::{handshake, keys, rustls_config, Client, OpenSsl, Rustls};
use crate::host::{Connection, Host, NAME};
use tls_hs::{NamedGroup, Suite, Version};

/// The keys as rustls has them, in the form of [`keys`].
fn rustls_keys((seq, secrets): &(u64, ConnectionTrafficSecrets)) -> (u64, Vec<u8>, Vec<u8>) {
    let (key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("a suite that was not offered"),
    };
    (*seq, key.as_ref().to_vec(), iv.as_ref().to_vec())
}

fn providers() -> [CryptoProvider; 2] {
    [ring::default_provider(), aws_lc_rs::default_provider()]
}

#[test]
fn rustls_has_the_same_keys_for_every_suite_and_group() {
    for provider in providers() {
        for suite in Suite::ALL {
            for group in NamedGroup::ALL {
                let mut provider = provider.clone();
                provider
                    .cipher_suites
                    .retain(|s| u16::from(s.suite()) == suite.code(Version::Tls13));
                provider
                    .kx_groups
                    .retain(|g| u16::from(g.name()) == group.code());
                let mut client = Rustls::new(rustls_config(provider));
                let mut connection = Connection::new(Host::default());
                handshake(&mut client, &mut connection).unwrap();
                assert!(client.complete());
                let established = connection.server.established().expect("established");
                assert_eq!(established.version, Version::Tls13);
                assert_eq!(established.suite, suite);
                assert_eq!(established.group, group);
                assert_eq!(established.server_name, Some(NAME.as_bytes()));
                let secrets = client.connection.dangerous_extract_secrets().unwrap();
                assert_eq!(keys(established.client), rustls_keys(&secrets.tx));
                assert_eq!(keys(established.server), rustls_keys(&secrets.rx));
            }
        }
    }
}

#[test]
fn rustls_answers_a_hello_retry_request() {
    for provider in providers() {
        let mut provider = provider;
        // The share is for the first group only.
        provider
            .kx_groups
            .sort_by_key(|g| u16::from(g.name()) == NamedGroup::Secp256r1.code());
        let mut client = Rustls::new(rustls_config(provider));
        let mut connection = Connection::new(Host::default());
        connection.host.config.ecurves = NamedGroup::Secp256r1.bit();
        handshake(&mut client, &mut connection).unwrap();
        assert!(client.complete());
        let kind = client.connection.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
        assert_eq!(
            connection.server.established().unwrap().group,
            NamedGroup::Secp256r1
        );
    }
}

#[test]
fn openssl_completes_with_every_suite_and_group() {
    for suite in Suite::ALL {
        for (group, name) in [
            (NamedGroup::Secp256r1, "P-256"),
            (NamedGroup::X25519, "X25519"),
        ] {
            let mut client = OpenSsl::new(|context| {
                context
                    .set_ciphersuites(suite.name(Version::Tls13))
                    .unwrap();
                context.set_groups_list(name).unwrap();
            });
            let mut connection = Connection::new(Host::default());
            handshake(&mut client, &mut connection).unwrap();
            assert!(client.complete());
            let established = connection.server.established().unwrap();
            assert_eq!((established.suite, established.group), (suite, group));
        }
    }
}

#[test]
fn openssl_answers_a_hello_retry_request() {
    let mut client = OpenSsl::new(|context| context.set_groups_list("X25519:P-256").unwrap());
    let mut connection = Connection::new(Host::default());
    connection.host.config.ecurves = NamedGroup::Secp256r1.bit();
    handshake(&mut client, &mut connection).unwrap();
    assert!(client.complete());
    assert_eq!(
        connection.server.established().unwrap().group,
        NamedGroup::Secp256r1
    );
}
