// SPDX-License-Identifier: GPL-2.0
//! A driver for tests: an identity made for the run, public-key operations of other crates than
//! the module's, and the loop that carries out the engine's steps.

use std::sync::OnceLock;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::DecodePrivateKey;
use rand_core::{OsRng, RngCore};
use tls_hs::{
    Config, Environment, Error, NamedGroup, Server, Step, TicketKey, ALERT_MAX, SCRATCH_LEN,
};
use tls_hs_host::HostCrypto;

/// A certificate authority's certificate, and a chain and key for `NAME`.
pub struct Identity {
    pub authority: Vec<u8>,
    pub chain: Vec<u8>,
    pub key: p256::ecdsa::SigningKey,
}

pub const NAME: &str = "tls-hs.test";

pub fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "tls_hs test authority");
        let authority = params.self_signed(&authority_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new([NAME.to_string()])
            .unwrap()
            .signed_by(&key, &authority, &authority_key)
            .unwrap();
        let mut chain = Vec::new();
        for der in [leaf.der(), authority.der()] {
            chain.extend_from_slice(&(der.len() as u32).to_be_bytes()[1..]);
            chain.extend_from_slice(der);
        }
        Identity {
            authority: authority.der().to_vec(),
            chain,
            key: p256::ecdsa::SigningKey::from_pkcs8_der(&key.serialize_der()).unwrap(),
        }
    })
}

/// Environment and driver in one.
pub struct Host {
    pub crypto: HostCrypto,
    pub config: Config,
    pub chain: Vec<u8>,
    /// Names that are served; all if empty.
    pub names: Vec<Vec<u8>>,
    /// Private key of the next share, instead of a random one.
    pub private: Option<[u8; 32]>,
    /// Most bytes that a call of `transmit` is given room for.
    pub room: usize,
    /// Protocols, each behind its length.
    pub alpn: Vec<u8>,
    pub ocsp: Vec<u8>,
    /// Names and keys; the first seals.
    pub ticket_keys: Vec<([u8; 16], [u8; 32])>,
    pub scope: [u8; 32],
    pub now: u64,
}

impl Default for Host {
    fn default() -> Self {
        Host {
            crypto: HostCrypto::default(),
            config: Config::SUPPORTED,
            chain: identity().chain.clone(),
            names: Vec::new(),
            private: None,
            room: 1 << 15,
            alpn: Vec::new(),
            ocsp: Vec::new(),
            ticket_keys: Vec::new(),
            scope: [0; 32],
            now: 1_000_000,
        }
    }
}

impl Environment for Host {
    type Crypto = HostCrypto;

    fn crypto(&mut self) -> &mut HostCrypto {
        &mut self.crypto
    }

    fn config(&self) -> Config {
        self.config
    }

    fn select_identity(&mut self, server_name: Option<&[u8]>) -> bool {
        self.names.is_empty() || self.names.iter().any(|n| Some(&n[..]) == server_name)
    }

    fn certificate_chain(&self) -> &[u8] {
        &self.chain
    }

    fn alpn_protocols(&self) -> &[u8] {
        &self.alpn
    }

    fn ocsp_response(&self) -> &[u8] {
        &self.ocsp
    }

    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        let mut keys = self.ticket_keys.iter();
        let found = keys.find(|(n, _)| name.is_none_or(|name| name == n));
        if let Some((name, secret)) = found {
            key.name = *name;
            *key.secret.bytes_mut() = *secret;
        }
        found.is_some()
    }

    fn ticket_scope(&self) -> [u8; 32] {
        self.scope
    }

    fn now(&self) -> u64 {
        self.now
    }
}

impl Host {
    fn make_share(&mut self, group: NamedGroup) -> ([u8; 32], Vec<u8>) {
        let private = self.private.take().unwrap_or_else(|| {
            let mut private = [0; 32];
            OsRng.fill_bytes(&mut private);
            private[0] &= 0x7f;
            private
        });
        let public = match group {
            NamedGroup::Secp256r1 => p256::SecretKey::from_slice(&private)
                .unwrap()
                .public_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
            NamedGroup::X25519 => {
                let secret = x25519_dalek::StaticSecret::from(private);
                x25519_dalek::PublicKey::from(&secret).as_bytes().to_vec()
            }
        };
        (private, public)
    }
}

fn derive(group: NamedGroup, private: &[u8; 32], peer: &[u8]) -> Option<[u8; 32]> {
    match group {
        NamedGroup::Secp256r1 => {
            let secret = p256::SecretKey::from_slice(private).unwrap();
            let peer = p256::PublicKey::from_sec1_bytes(peer).ok()?;
            let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
            Some((*shared.raw_secret_bytes()).into())
        }
        NamedGroup::X25519 => {
            let peer: [u8; 32] = peer.try_into().unwrap();
            let secret = x25519_dalek::StaticSecret::from(*private);
            let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(peer));
            shared.was_contributory().then(|| *shared.as_bytes())
        }
    }
}

/// A connection of the engine: what it was sent and has not consumed, and what it sends.
pub struct Connection {
    pub server: Server<HostCrypto>,
    pub host: Host,
    pub unread: Vec<u8>,
    pub out: Vec<u8>,
    pub scratch: Box<[u8; SCRATCH_LEN]>,
}

impl Connection {
    pub fn new(host: Host) -> Self {
        Connection {
            server: Server::new(),
            host,
            unread: Vec::new(),
            out: Vec::new(),
            scratch: Box::new([0; SCRATCH_LEN]),
        }
    }

    /// Takes `bytes` from the client and goes as far as they reach. After an error the alert, if
    /// there is one, is in `out`.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.unread.extend_from_slice(bytes);
        let result = self.run();
        if let Err(Error(reason)) = result {
            let mut record = [0; ALERT_MAX];
            let len = self.server.alert(&mut self.host, reason, &mut record);
            self.out.extend_from_slice(&record[..len]);
        }
        result
    }

    fn run(&mut self) -> Result<(), Error> {
        while self.turn()? {}
        Ok(())
    }

    /// Carries out one step. False if there is nothing to do.
    pub fn turn(&mut self) -> Result<bool, Error> {
        let Connection {
            server,
            host,
            unread,
            out,
            scratch,
        } = self;
        match server.step() {
            Step::Receive => {
                let consumed = server.receive(host, &unread[..], scratch)?;
                unread.drain(..consumed);
                return Ok(consumed != 0);
            }
            Step::MakeShare { group } => {
                let (private, public) = host.make_share(group);
                server.share_made(host, &private, &public)?;
            }
            Step::Derive {
                group,
                private,
                peer,
            } => {
                let shared = derive(group, private, peer);
                server.derived(host, shared.as_ref().map(|s| &s[..]))?;
            }
            Step::Sign { digest } => {
                let signature: p256::ecdsa::Signature =
                    identity().key.sign_prehash(digest).unwrap();
                server.signed(host, signature.to_der().as_bytes())?;
            }
            Step::Transmit => {
                let mut room = vec![0; host.room];
                let len = server.transmit(host, &mut room)?;
                assert!(len > 0, "transmit stalls with {} bytes of room", host.room);
                out.extend_from_slice(&room[..len]);
            }
            Step::Established | Step::Failed => return Ok(false),
        }
        Ok(true)
    }
}
