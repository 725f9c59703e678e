// SPDX-License-Identifier: GPL-2.0
//! The client: rustls, the same for all servers. Its cryptography is ring's as a rule, which none of
//! them has: no server finds its own library's code and tables warm from the client's step before.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{aws_lc_rs, ring, CryptoProvider};
use rustls::{CipherSuite, ClientConfig, ClientConnection, NamedGroup};

use crate::pki::{Pki, NAME};
use crate::Case;

/// Where the client's cryptography comes from.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Library {
    Ring,
    /// That of the rustls server, too.
    AwsLc,
}

impl Library {
    fn provider(self) -> CryptoProvider {
        match self {
            Library::Ring => ring::default_provider(),
            Library::AwsLc => aws_lc_rs::default_provider(),
        }
    }
}

pub struct Client {
    config: ClientConfig,
    connection: Option<ClientConnection>,
}

impl Client {
    /// A client that offers exactly what the case needs, with cryptography of that library.
    pub fn new(pki: &Pki, case: &Case, library: Library) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(pki.authority.clone().into()).unwrap();
        let (version, suite) = if case.tls13 {
            let suite = CipherSuite::TLS13_AES_128_GCM_SHA256;
            (&rustls::version::TLS13, suite)
        } else {
            let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
            (&rustls::version::TLS12, suite)
        };
        let group = if case.x25519 {
            NamedGroup::X25519
        } else {
            NamedGroup::secp256r1
        };
        let mut provider = library.provider();
        provider
            .cipher_suites
            .retain(|known| known.suite() == suite);
        provider.kx_groups.retain(|known| known.name() == group);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Client {
            config,
            connection: None,
        };
        client.forget();
        client
    }

    /// Forgets all sessions.
    pub fn forget(&mut self) {
        self.config.resumption = Resumption::in_memory_sessions(8);
    }

    /// Begins a handshake.
    pub fn start(&mut self) -> Vec<u8> {
        let config = Arc::new(self.config.clone());
        let connection = ClientConnection::new(config, NAME.try_into().unwrap()).unwrap();
        self.connection = Some(connection);
        self.step(&[])
    }

    /// Takes bytes of the server; returns what goes back.
    pub fn step(&mut self, mut input: &[u8]) -> Vec<u8> {
        let connection = self.connection.as_mut().expect("started");
        while !input.is_empty() {
            connection.read_tls(&mut input).unwrap();
            connection.process_new_packets().unwrap();
        }
        let mut output = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut output).unwrap();
        }
        output
    }

    pub fn complete(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| !connection.is_handshaking())
    }
}
