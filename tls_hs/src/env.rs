// SPDX-License-Identifier: GPL-2.0
//! What the engine asks of its caller: cryptography, bytes, and what only the caller knows.

use crate::{codec::copy, ticket::TicketKey, Aead, Config, Error};

/// A running hash with `N` bytes of output.
pub trait Hash<const N: usize>: Clone {
    /// The hash of nothing yet.
    fn new() -> Self;
    /// Appends `data`.
    fn update(&mut self, data: &[u8]);
    /// Ends the computation.
    fn finish(self) -> [u8; N];
}

/// HMAC, RFC 2104, with `N` bytes of output. A value holds a key, prepared to be used several
/// times; it overwrites itself when it is dropped.
pub trait Hmac<const N: usize> {
    /// Without a key yet.
    fn new() -> Self;
    /// Sets the key, of any length.
    fn set_key(&mut self, key: &[u8]);
    /// The code of the concatenated parts of `msg`.
    fn mac(&self, msg: &[&[u8]], out: &mut [u8; N]);
}

/// Symmetric cryptography and randomness. Public-key operations are not here: the engine asks for
/// them as [`Step`](crate::Step)s.
pub trait Crypto {
    /// SHA-256, FIPS 180-4.
    type Sha256: Hash<32>;
    /// SHA-384, FIPS 180-4.
    type Sha384: Hash<48>;
    /// HMAC-SHA-256.
    type HmacSha256: Hmac<32>;
    /// HMAC-SHA-384.
    type HmacSha384: Hmac<48>;

    /// Encrypts `data` in place and returns the tag. `key` has [`Aead::key_len`] bytes.
    ///
    /// Fails with [`Reason::CryptoFailed`](crate::Reason::CryptoFailed) only.
    fn seal(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error>;

    /// Checks `tag` in constant time and decrypts `data` in place; on failure `data` is undefined,
    /// but holds no plaintext.
    ///
    /// Fails with [`Reason::BadRecordMac`](crate::Reason::BadRecordMac) only.
    fn open(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error>;

    /// Fills `out` with unpredictable bytes.
    fn random(&mut self, out: &mut [u8]);
}

/// What the caller knows about one connection. A value may be made anew for each call.
pub trait Environment {
    /// The cryptography.
    type Crypto: Crypto;

    /// The cryptography.
    fn crypto(&mut self) -> &mut Self::Crypto;

    /// What the listener allows. The same in every call for one connection.
    fn config(&self) -> Config;

    /// Picks certificate and key for the name that the client asked for, as it wrote it: 1 to 255
    /// bytes without NUL, any case. Asked once per connection; the caller remembers its choice.
    /// False if there is nothing for that name.
    fn select_identity(&mut self, server_name: Option<&[u8]>) -> bool;

    /// The chain of the identity selected, leaf first, each certificate as uint24 length and DER.
    /// The same bytes in every call for one connection.
    fn certificate_chain(&self) -> &[u8];

    /// The application protocols of the identity selected, each behind its uint8 length, in the
    /// order of preference; empty if ALPN is not used.
    fn alpn_protocols(&self) -> &[u8] {
        &[]
    }

    /// The OCSPResponse to staple to the certificate of the identity selected, in DER; empty if
    /// there is none.
    fn ocsp_response(&self) -> &[u8] {
        &[]
    }

    /// Fills in the ticket key with the name given, or, without a name, the one to seal new
    /// tickets with. False if there is none: such a ticket is not accepted, no tickets are sent.
    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        let _ = (name, key);
        false
    }

    /// A digest of what a ticket must not outlive: the identity selected and the policy of the
    /// listener. The same on all machines that share ticket keys.
    fn ticket_scope(&self) -> [u8; 32] {
        [0; 32]
    }

    /// Seconds since some moment in the past, the same moment on all machines that share ticket
    /// keys. Used for the age of tickets only.
    fn now(&self) -> u64 {
        0
    }
}

/// Bytes that the client sent and that are not consumed yet.
pub trait Input {
    /// How many there are.
    fn available(&self) -> usize;

    /// Copies bytes from `at` on into `out` and returns how many; fewer than `out.len()` only at
    /// the end. Nothing is consumed.
    fn peek(&self, at: usize, out: &mut [u8]) -> usize;
}

impl Input for [u8] {
    fn available(&self) -> usize {
        self.len()
    }

    fn peek(&self, at: usize, out: &mut [u8]) -> usize {
        copy(self.get(at..).unwrap_or(&[]), out)
    }
}
