// SPDX-License-Identifier: GPL-2.0
//! Whole handshakes with other implementations.

use rustls::crypto::{aws_lc_rs, ring, CryptoProvider};
use rustls::ConnectionTrafficSecrets;

use crate::client::{handshake, keys, rustls_config, Client, OpenSsl, Rustls};
use crate::host::{identity, Connection, Host, NAME};
use tls_hs::{Aead, Error, NamedGroup, Reason, Suite, Traffic, Version};

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

/// A client that offers one version, suite and group, and in TLS 1.2 that of the certificate, too.
fn rustls_with(
    mut provider: CryptoProvider,
    version: Version,
    suite: Suite,
    group: NamedGroup,
) -> Rustls {
    provider
        .cipher_suites
        .retain(|s| u16::from(s.suite()) == suite.code(version));
    provider.kx_groups.retain(|g| {
        let code = u16::from(g.name());
        let certificate = version == Version::Tls12 && code == NamedGroup::Secp256r1.code();
        code == group.code() || certificate
    });
    Rustls::new(rustls_config(provider))
}

#[test]
fn rustls_has_the_same_keys_in_every_combination() {
    for provider in providers() {
        for version in [Version::Tls12, Version::Tls13] {
            for (suite, group) in combinations() {
                let mut client = rustls_with(provider.clone(), version, suite, group);
                let mut connection = Connection::new(Host::default());
                connection.host.config.ecurves = group.bit();
                handshake(&mut client, &mut connection).unwrap();
                assert!(client.complete());
                let established = connection.server.established().expect("established");
                assert_eq!(established.version, version);
                assert_eq!(established.suite, suite);
                assert_eq!(established.group, group);
                assert!(!established.resumed);
                assert!(established.extended_master_secret);
                assert_eq!(established.server_name, Some(NAME.as_bytes()));
                let secrets = client.connection.dangerous_extract_secrets().unwrap();
                compare(version, established.client, &secrets.tx);
                compare(version, established.server, &secrets.rx);
            }
        }
    }
}

/// In TLS 1.2 with AES-GCM only 4 bytes of the IV come from the handshake.
fn compare(version: Version, ours: &Traffic, theirs: &(u64, ConnectionTrafficSecrets)) {
    let aead = ours.aead();
    let (mut ours, mut theirs) = (keys(ours), rustls_keys(theirs));
    if version == Version::Tls12 && aead != Aead::Chacha20Poly1305 {
        ours.2.truncate(4);
        theirs.2.truncate(4);
    }
    assert_eq!(ours, theirs);
}

fn combinations() -> impl Iterator<Item = (Suite, NamedGroup)> {
    Suite::ALL
        .into_iter()
        .flat_map(|s| NamedGroup::ALL.into_iter().map(move |g| (s, g)))
}

#[test]
fn rustls_answers_a_hello_retry_request() {
    for mut provider in providers() {
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

/// RFC 9849: an extension that is not known here, which stays the same in a retried
/// handshake.
#[test]
fn rustls_may_grease_encrypted_client_hello() {
    use rustls::client::{EchGreaseConfig, EchMode};
    use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128 as HPKE;
    use rustls::crypto::hpke::Hpke;
    for group in NamedGroup::ALL {
        let (key, _) = HPKE.generate_key_pair().unwrap();
        let mode = EchMode::from(EchGreaseConfig::new(HPKE, key));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity().authority.clone().into()).unwrap();
        let provider = aws_lc_rs::default_provider();
        let config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_ech(mode)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Rustls::new(config);
        let mut connection = Connection::new(Host::default());
        connection.host.config.ecurves = group.bit();
        handshake(&mut client, &mut connection).unwrap();
        assert!(client.complete());
        assert_eq!(connection.server.established().unwrap().group, group);
    }
}

#[test]
fn openssl_completes_in_every_combination() {
    for version in [Version::Tls12, Version::Tls13] {
        for (suite, group) in combinations() {
            // The curve of the certificate has to be among a TLS 1.2 client's groups.
            let groups = match group {
                NamedGroup::Secp256r1 => "P-256",
                NamedGroup::X25519 => "X25519:P-256",
            };
            let mut client = OpenSsl::new(|context| openssl_offer(context, version, suite, groups));
            let mut connection = Connection::new(Host::default());
            handshake(&mut client, &mut connection).unwrap();
            assert!(client.complete());
            let established = connection.server.established().unwrap();
            assert_eq!(established.version, version);
            assert_eq!((established.suite, established.group), (suite, group));
            assert!(established.extended_master_secret);
        }
    }
}

fn openssl_offer(
    context: &mut openssl::ssl::SslContextBuilder,
    version: Version,
    suite: Suite,
    groups: &str,
) {
    use openssl::ssl::SslVersion;
    context.set_groups_list(groups).unwrap();
    match version {
        Version::Tls12 => {
            context
                .set_max_proto_version(Some(SslVersion::TLS1_2))
                .unwrap();
            context
                .set_cipher_list(match suite {
                    Suite::Aes128GcmSha256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
                    Suite::Aes256GcmSha384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
                    Suite::Chacha20Poly1305Sha256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
                })
                .unwrap();
        }
        Version::Tls13 => {
            context
                .set_min_proto_version(Some(SslVersion::TLS1_3))
                .unwrap();
            context.set_ciphersuites(suite.name(version)).unwrap();
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

/// rustls checks the sentinel and would refuse the handshake if it were wrong; a server that knows
/// TLS 1.2 only must not send it.
#[test]
fn downgrade_sentinel_is_sent_when_tls13_is_served() {
    for (versions, sentinel) in [
        (Version::Tls12.bit() | Version::Tls13.bit(), true),
        (1, false),
    ] {
        let mut connection = Connection::new(Host::default());
        connection.host.config.versions = versions;
        let hello = crate::hello::Hello::tls12();
        connection.take(&hello.record()).unwrap();
        assert_eq!(
            connection.out[5 + 6 + 24..][..8] == *b"DOWNGRD\x01",
            sentinel
        );
    }
}

#[test]
fn application_protocols_are_agreed_in_both_versions() {
    for version in [Version::Tls12, Version::Tls13] {
        let client = |protocols: &[&str]| {
            let mut config = rustls_config(ring::default_provider());
            config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
            Rustls::new(config)
        };
        let server = || {
            let mut connection = Connection::new(Host::default());
            connection.host.config.versions = version.bit();
            connection.host.alpn = b"\x02h2\x08http/1.1".to_vec();
            connection
        };
        for (offered, position) in [
            (&["http/1.1", "h2"][..], Some(0)),
            (&["x", "http/1.1"], Some(1)),
            (&[], None),
        ] {
            let (mut client, mut connection) = (client(offered), server());
            handshake(&mut client, &mut connection).unwrap();
            let agreed = position.map(|p: u8| [&b"h2"[..], b"http/1.1"][usize::from(p)]);
            assert_eq!(client.connection.alpn_protocol(), agreed);
            assert_eq!(connection.server.established().unwrap().alpn, position);
        }
        let (mut none, mut connection) = (client(&["spdy/3"]), server());
        let result = connection.take(&none.give());
        assert_eq!(result, Err(Error(Reason::NoApplicationProtocol)));
        assert_eq!(connection.out, [21, 3, 3, 0, 2, 2, 120]);
    }
}

#[test]
fn ocsp_responses_are_stapled_in_both_versions() {
    for version in [Version::Tls12, Version::Tls13] {
        for wanted in [true, false] {
            let mut client = OpenSsl::with(
                |context| openssl_offer(context, version, Suite::Aes128GcmSha256, "P-256"),
                |ssl| {
                    if wanted {
                        ssl.set_status_type(openssl::ssl::StatusType::OCSP).unwrap();
                    }
                },
            );
            let mut connection = Connection::new(Host::default());
            connection.host.ocsp = b"not looked at by the client".to_vec();
            handshake(&mut client, &mut connection).unwrap();
            assert!(client.complete());
            let expected = wanted.then_some(&b"not looked at by the client"[..]);
            assert_eq!(client.stream.ssl().ocsp_status(), expected);
        }
    }
}
