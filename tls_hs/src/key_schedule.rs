// SPDX-License-Identifier: GPL-2.0
//! The TLS 1.3 key schedule, RFC 8446 section 7.1.
//!
//! ```text
//!             0
//!             |
//!   PSK -> HKDF-Extract = Early Secret          Early
//!             |
//!       Derive-Secret "derived"
//!             |
//! (EC)DHE -> HKDF-Extract = Handshake Secret    Handshake
//!             |
//!       Derive-Secret "derived"
//!             |
//!     0 -> HKDF-Extract = Master Secret         Master
//!             |
//!       Derive-Secret "res master"              Resumption
//! ```
//!
//! Each stage is a type that the step before it returns, so that no secret can be asked for
//! before it exists or after it is gone. The stages hold no secret themselves: there is one slot
//! for the current one, [`KeySchedule`], which stays where it is while stages are moved about.

use crate::record::{Boundary, Traffic};
use crate::secret::Secret;
use crate::transcript::Digest;
use crate::{codec::copy, Crypto, HashAlgorithm, Hmac, Suite};

/// The slot of the current secret.
pub struct KeySchedule {
    secret: Secret<48>,
}

impl KeySchedule {
    /// An empty slot.
    pub const fn new() -> Self {
        KeySchedule {
            secret: Secret::zero(),
        }
    }

    /// The slot itself, for TLS 1.2: the master secret.
    pub fn master(&mut self) -> &mut Secret<48> {
        &mut self.secret
    }

    /// Sets the secret as the key of `mac`.
    fn key<C: Crypto>(&self, hash: HashAlgorithm, mac: &mut Mac<C>) {
        mac.set_key(first(self.secret.bytes(), hash));
    }

    /// HKDF-Expand-Label of the secret.
    fn expand_label<C: Crypto>(
        &self,
        hash: HashAlgorithm,
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) {
        let mut mac = Mac::<C>::new(hash);
        self.key(hash, &mut mac);
        mac.expand_label(label, context, out);
    }

    /// Overwrites the secret with zeros.
    pub fn wipe(&mut self) {
        self.secret.wipe();
    }
}

/// The Early Secret is in the slot.
pub struct Early(Suite);
/// The Handshake Secret is in the slot.
pub struct Handshake(Suite);
/// The Master Secret is in the slot.
pub struct Master(Suite);
/// The resumption_master_secret is in the slot.
pub struct Resumption(Suite);

impl Early {
    /// Starts the schedule with a PSK, or without one.
    pub fn new<C: Crypto>(keys: &mut KeySchedule, suite: Suite, psk: Option<&Secret<48>>) -> Self {
        let zeros = [0; 48];
        let hash = suite.hash();
        let psk = first(psk.map_or(&zeros, Secret::bytes), hash);
        let mut salt = Mac::<C>::new(hash);
        salt.set_key(&[]);
        salt.mac(&[psk], keys.secret.bytes_mut());
        Early(suite)
    }

    /// The binder of a resumption PSK, section 4.2.11.2; `messages` is the hash of everything up to
    /// the binders.
    pub fn binder<C: Crypto>(&self, keys: &KeySchedule, messages: &Digest, out: &mut Secret<48>) {
        let hash = self.0.hash();
        let nothing = Digest::of_nothing(hash);
        let mut key = Secret::<48>::zero();
        let slot = first_mut(key.bytes_mut(), hash);
        keys.expand_label::<C>(hash, b"res binder", nothing.bytes(), slot);
        finished_mac::<C>(hash, key.bytes(), messages, out);
    }

    /// Mixes in the (EC)DHE shared secret and switches both directions to the handshake traffic
    /// keys. `hello` is the hash of ClientHello..ServerHello; `boundary` proves that no part of a
    /// handshake message was read under the keys before.
    pub fn handshake<C: Crypto>(
        self,
        keys: &mut KeySchedule,
        shared: &[u8],
        hello: &Digest,
        boundary: Boundary,
        read: &mut Traffic,
        write: &mut Traffic,
    ) -> Handshake {
        let Early(suite) = self;
        extract::<C>(keys, suite.hash(), shared);
        let mut mac = Mac::<C>::new(suite.hash());
        keys.key(suite.hash(), &mut mac);
        let hello = hello.bytes();
        read.change::<C>(boundary, suite, |out| {
            mac.expand_label(b"c hs traffic", hello, out);
        });
        write.prepare::<C>(suite, |out| mac.expand_label(b"s hs traffic", hello, out));
        Handshake(suite)
    }
}

impl Handshake {
    /// verify_data of the Finished that is sent under `traffic`, over `messages`.
    pub fn verify_data<C: Crypto>(
        &self,
        traffic: &Traffic,
        messages: &Digest,
        out: &mut Secret<48>,
    ) {
        finished_mac::<C>(self.0.hash(), traffic.secret(), messages, out);
    }

    /// Goes on to the Master Secret.
    pub fn master<C: Crypto>(self, keys: &mut KeySchedule) -> Master {
        extract::<C>(keys, self.0.hash(), first(&[0; 48], self.0.hash()));
        Master(self.0)
    }
}

impl Master {
    /// The server's application traffic keys; `messages` is the hash of ClientHello..server
    /// Finished.
    pub fn server_application<C: Crypto>(
        &self,
        keys: &KeySchedule,
        messages: &Digest,
        write: &mut Traffic,
    ) {
        write.prepare::<C>(self.0, |out| {
            keys.expand_label::<C>(self.0.hash(), b"s ap traffic", messages.bytes(), out);
        });
    }

    /// The client's application traffic keys, from the same hash.
    pub fn client_application<C: Crypto>(
        &self,
        keys: &KeySchedule,
        messages: &Digest,
        boundary: Boundary,
        read: &mut Traffic,
    ) {
        read.change::<C>(boundary, self.0, |out| {
            keys.expand_label::<C>(self.0.hash(), b"c ap traffic", messages.bytes(), out);
        });
    }

    /// Replaces the Master Secret by the resumption_master_secret; `messages` is the hash of
    /// ClientHello..client Finished.
    pub fn resumption<C: Crypto>(self, keys: &mut KeySchedule, messages: &Digest) -> Resumption {
        let hash = self.0.hash();
        let mut secret = Secret::<48>::zero();
        let slot = first_mut(secret.bytes_mut(), hash);
        keys.expand_label::<C>(hash, b"res master", messages.bytes(), slot);
        copy(secret.bytes(), keys.secret.bytes_mut());
        Resumption(self.0)
    }
}

impl Resumption {
    /// The PSK of the ticket with `nonce`, section 4.6.1.
    pub fn psk<C: Crypto>(&self, keys: &KeySchedule, nonce: u8, psk: &mut Secret<48>) {
        let hash = self.0.hash();
        let slot = first_mut(psk.bytes_mut(), hash);
        keys.expand_label::<C>(hash, b"resumption", &[nonce], slot);
    }
}

/// HMAC of `messages` under the finished_key of `base`, section 4.4.4.
fn finished_mac<C: Crypto>(
    hash: HashAlgorithm,
    base: &[u8; 48],
    messages: &Digest,
    out: &mut Secret<48>,
) {
    let mut key = Secret::<48>::zero();
    let mut mac = Mac::<C>::new(hash);
    mac.set_key(first(base, hash));
    mac.expand_label(b"finished", &[], first_mut(key.bytes_mut(), hash));
    mac.set_key(first(key.bytes(), hash));
    mac.mac(&[messages.bytes()], out.bytes_mut());
}

/// Derive-Secret(slot, "derived", "") as the salt of the HKDF-Extract of `input`.
fn extract<C: Crypto>(keys: &mut KeySchedule, hash: HashAlgorithm, input: &[u8]) {
    let nothing = Digest::of_nothing(hash);
    let mut salt = Secret::<48>::zero();
    let salt = first_mut(salt.bytes_mut(), hash);
    let mut mac = Mac::<C>::new(hash);
    keys.key(hash, &mut mac);
    mac.expand_label(b"derived", nothing.bytes(), salt);
    mac.set_key(salt);
    mac.mac(&[input], keys.secret.bytes_mut());
}

/// HMAC in the algorithm asked for, with a key that is used several times.
pub enum Mac<C: Crypto> {
    /// For suites with SHA-256.
    Sha256(C::HmacSha256),
    /// For suites with SHA-384.
    Sha384(C::HmacSha384),
}

impl<C: Crypto> Mac<C> {
    /// Without a key yet, so that none is left where the value was moved from.
    pub fn new(hash: HashAlgorithm) -> Self {
        match hash {
            HashAlgorithm::Sha256 => Mac::Sha256(C::HmacSha256::new()),
            HashAlgorithm::Sha384 => Mac::Sha384(C::HmacSha384::new()),
        }
    }

    /// Sets the key.
    pub fn set_key(&mut self, key: &[u8]) {
        match self {
            Mac::Sha256(mac) => mac.set_key(key),
            Mac::Sha384(mac) => mac.set_key(key),
        }
    }

    /// The code of `message`, into the front of `out`.
    pub fn mac(&self, message: &[&[u8]], out: &mut [u8; 48]) {
        match self {
            Mac::Sha256(mac) => {
                if let Some(out) = out.first_chunk_mut() {
                    mac.mac(message, out);
                }
            }
            Mac::Sha384(mac) => mac.mac(message, out),
        }
    }

    /// HKDF-Expand-Label for at most one block of output; the key is the secret.
    pub fn expand_label(&self, label: &[u8], context: &[u8], out: &mut [u8]) {
        const PREFIX: &[u8] = b"tls13 ";
        let mut block = Secret::<48>::zero();
        let length = (out.len() as u16).to_be_bytes();
        let label_len = (PREFIX.len() as u8).wrapping_add(label.len() as u8);
        self.mac(
            &[
                &length,
                &[label_len],
                PREFIX,
                label,
                &[context.len() as u8],
                context,
                &[1],
            ],
            block.bytes_mut(),
        );
        copy(block.bytes(), out);
    }
}

/// The part of a 48-byte slot that a hash value takes.
pub fn first(slot: &[u8; 48], hash: HashAlgorithm) -> &[u8] {
    slot.get(..hash.output_len()).unwrap_or(slot)
}

fn first_mut(slot: &mut [u8; 48], hash: HashAlgorithm) -> &mut [u8] {
    match hash {
        HashAlgorithm::Sha256 => slot.first_chunk_mut::<32>().map_or(&mut [], |s| &mut s[..]),
        HashAlgorithm::Sha384 => slot,
    }
}
